"""Models that are Python functions, as a provider. Knows nothing of how they were found."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from dataclasses import replace
from time import monotonic

from streamchat.chat.events import Event, Finished
from streamchat.chat.request import Request
from streamchat.errors import ProviderError, SettingsError
from streamchat.providers.catalog import Source
from streamchat.providers.history import known_calls
from streamchat.providers.python.definition import PROVIDER, Model
from streamchat.providers.python.pieces import Pieces
from streamchat.providers.python.running import Answer, Loops


class PythonModels:
    """Implements ``Provider``. Raises ``SettingsError`` if two models have one name."""

    def __init__(self, models: Iterable[Model]) -> None:
        self._models: dict[str, Model] = {}
        for model in models:
            if self._models.setdefault(model.name, model) is not model:
                raise SettingsError(f"Two models have the name {model.name!r}; each needs its own.")
        self._loops = Loops()

    def source(self) -> Source:
        """Return the entry of the catalog, in the order in which the models were found."""
        return Source(PROVIDER, self, [model.info for model in self._models.values()])

    async def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        """Stream the events of one answer: see ``base.Provider``."""
        model, watch = self._models[request.model], request.watch
        pieces = Pieces(model.name, known_calls(request))
        answer = Answer(model, replace(request, watch=None, tracker=None), pieces, self._loops)
        if watch is not None:
            watch.asked(monotonic())
        await answer.start()
        complete = False
        try:
            while True:
                batch = await answer.receive()
                if watch is not None:
                    watch.first_byte(monotonic())
                    watch = None
                for event in batch:
                    if isinstance(event, ProviderError):
                        raise event
                    complete = isinstance(event, Finished)
                    yield event
                    if complete:
                        return
        finally:
            await answer.leave(complete=complete)

    async def close(self) -> None:
        """Stop the event loop of the models. May be called twice."""
        self._loops.close()
