"""Which models are on offer, and who answers for each. Knows no vendor: it is filled by ``wiring``.

Rules:

* A model id is ``provider:name``. A provider with ``open_ended`` takes any name; the others only their own.
* A model that cannot be used now stays listed, with the reason.
* The default is the first one that can be used, in the order of offering.
* A server's own list is asked for once, after the start; until it answers, the server has no listed models.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from streamchat.errors import InvalidInput, NotFound, ProviderError
from streamchat.providers.base import Capabilities, ModelInfo, Provider
from streamchat.providers.schema_tools import SchemaTools

_NAME = re.compile(r"[\w./:@+-]{1,100}")


@dataclass(slots=True)
class Source:
    """A provider under a name, and the models it is known to have, in order. ``ask``: how it lists its own.

    ``capabilities_of``: what a model of this name takes and gives. ``start``: how it is warmed up.
    """

    name: str
    provider: Provider
    models: Sequence[ModelInfo] = ()
    open_ended: bool = False
    unavailable: str | None = None
    note: str = ""
    ask: Callable[[], Awaitable[list[str]]] | None = None
    capabilities_of: Callable[[str], Capabilities] = lambda name: Capabilities()
    start: Callable[[], Awaitable[object]] | None = None

    def info(self, model_id: str) -> ModelInfo | None:
        for model in self.models:
            if model.id == model_id:
                return model
        name = model_id.partition(":")[2]
        if self.open_ended and _NAME.fullmatch(name):
            return self.made(name)
        return None

    def made(self, name: str, label: str = "") -> ModelInfo:
        """A model of this provider."""
        capabilities = self.capabilities_of(name)
        return ModelInfo(f"{self.name}:{name}", label or name, self.unavailable, self.note, capabilities)


@dataclass(slots=True)
class Catalog:
    """``chosen``: the ids to offer, in order; empty offers everything that is known. ``schema_tools``: the ids of
    models that have no tools of their own and get ours by a schema."""

    sources: Sequence[Source]
    chosen: Sequence[str] = field(default=())
    schema_tools: Sequence[str] = field(default=())

    @property
    def offered(self) -> Mapping[str, ModelInfo]:
        """Id to model, the usable ones first, each group in the order of offering."""
        if self.chosen:
            listed: Iterable[ModelInfo] = [self._find(i) or _unknown(i) for i in self.chosen]
            return {model.id: model for model in listed}
        every = [model for source in self.sources for model in source.models]
        return {model.id: model for model in sorted(every, key=lambda model: model.unavailable is not None)}

    @property
    def default(self) -> str:
        """The first usable model's id, ``""`` where there is none."""
        return next((model.id for model in self.offered.values() if model.unavailable is None), "")

    def info(self, model_id: str) -> ModelInfo:
        """Raises ``NotFound`` for an unknown id, ``InvalidInput`` with the reason for an unusable one."""
        model = self._find(model_id) if isinstance(model_id, str) else None
        if model is None:
            raise NotFound(f"There is no model named “{str(model_id)[:60]}” here. Choose another one.")
        if model.unavailable is not None:
            raise InvalidInput(f"{model.label} cannot be used now: {model.unavailable}")
        return model

    def provider(self, model_id: str) -> Provider:
        """Who answers for this model. Raises as ``info``."""
        by_schema = self.info(model_id).capabilities.schema_tools
        provider = next(s.provider for s in self.sources if s.name == model_id.partition(":")[0])
        return SchemaTools(provider) if by_schema else provider

    async def discover(self) -> bool:
        """Ask the servers for their models; whether any answered."""
        asked = [source for source in self.sources if source.ask]
        for source, names in zip(asked, await asyncio.gather(*(s.ask() for s in asked if s.ask)), strict=True):
            usable = [name for name in names if _NAME.fullmatch(name)]
            source.models = [source.made(name, f"{name} ({source.name})") for name in usable]
        return any(source.models for source in asked)

    async def warm_up(self) -> None:
        """Start what answers for the default model, so that the first answer does not wait for it."""
        source = next((s for s in self.sources if self.default and s.info(self.default)), None)
        if source and source.start:
            with suppress(ProviderError):  # Whoever asks it is told.
                await source.start()

    async def close(self) -> None:
        for source in self.sources:
            await source.provider.close()

    def _find(self, model_id: str) -> ModelInfo | None:
        name = model_id.partition(":")[0]
        model = next((source.info(model_id) for source in self.sources if source.name == name), None)
        if model is None or model_id not in self.schema_tools:
            return model
        return replace(model, capabilities=replace(model.capabilities, tools=False, schema_tools=True))


def _unknown(model_id: str) -> ModelInfo:
    return ModelInfo(model_id, model_id, unavailable="no such provider is set up.")
