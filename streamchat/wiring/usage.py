"""Use of a server by each owner and each client address, within the limits of the settings.

Knows answers and handlers by their number only. Rules:

* A start is counted, and its slot among the running answers taken, before anything is stored.
* A repeated start (the same client message id) counts against the rate, but finds its run even if no other may start.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from streamchat.errors import StreamchatError, TooManyRequests
from streamchat.limits import Rate, Slot, Slots, client_key
from streamchat.runs.ports import Begun
from streamchat.runs.service import RunService
from streamchat.settings import Settings
from streamchat.wiring.administration import Administration

RETRY_SECONDS = 5.0


class Usage:
    """The counters of one server."""

    def __init__(self, settings: Settings, administration: Administration) -> None:
        self._settings = settings
        self._administration = administration
        self._starts = Rate()
        self._starting = Slots()
        self._events = Rate()
        self._handlers = Slots()
        self._sockets = Slots()
        # Answers that are written in this process, by the address that started each.
        self._runs: dict[str, set[str]] = {}

    def take_socket(self, address: str) -> Slot:
        """Take a slot for a socket of the page. Raises ``TooManyRequests``."""
        limit = (client_key(address), self._settings.sockets_per_client)
        return self._sockets.take([limit], lambda _: _busy("Too many pages are open from this address. Close one."))

    def take_handler(self, owner: str, address: str) -> Slot:
        """Count an event of the page, and take a slot for its handler. Raises ``TooManyRequests``."""
        client, of_owner, settings = _client(address), _owner(owner), self._settings
        self._events.take(((client, settings.events_per_client), (of_owner, settings.events_per_owner)), _too_often)
        limits = ((client, settings.handlers_per_client), (of_owner, settings.handlers_per_owner))
        return self._handlers.take(limits, lambda _: _busy("Too many requests are being handled. Try again."))

    async def start(
        self,
        runs: RunService,
        owner: str,
        credential: str,
        address: str,
        start: Callable[[], Awaitable[Sequence[Begun]]],
        is_repeated: Callable[[], Awaitable[object]],
        count: int = 1,
    ) -> Sequence[Begun]:
        """Start ``count`` answers within the limits. ``credential``: the id of the API key that asks, if one does.

        Raises ``TooManyRequests``, and what ``start`` raises.
        """
        client, of_owner, settings = _client(address), _owner(owner), self._settings
        rates = ((client, settings.starts_per_client), (of_owner, settings.starts_per_owner))
        self._starts.take(rates, _too_often, count)
        self._forget_ended(runs)
        limits = (
            (client, settings.runs_per_client - len(self._runs.get(client, ()))),
            (of_owner, settings.runs_per_owner - len(runs.running(owner))),
        )
        try:
            slot = self._starting.take(
                limits, lambda _: _busy("Too many answers are being written. Stop one first."), count
            )
        except TooManyRequests:
            if not await is_repeated():
                raise
            slot = Slot()
        with slot:
            async with self._administration.within(owner, credential, is_repeated):
                started = await start()
            self._runs.setdefault(client, set()).update(one.run_id for one in started if one.created)
        return started

    async def count_call(self, owner: str, credential: str, address: str) -> None:
        """Count a call of a provider that is no answer, within the limits of answers. Raises ``TooManyRequests``."""
        rates = ((_client(address), self._settings.starts_per_client), (_owner(owner), self._settings.starts_per_owner))
        self._starts.take(rates, _too_often)

        async def never() -> bool:
            return False

        async with self._administration.within(owner, credential, never):
            pass

    def _forget_ended(self, runs: RunService) -> None:
        active = set(runs.active_ids())
        self._runs = {client: left for client, run_ids in self._runs.items() if (left := run_ids & active)}


def _client(address: str) -> str:
    return f"address {client_key(address)}"


def _owner(owner: str) -> str:
    return f"owner {owner}"


def _busy(message: str) -> StreamchatError:
    return TooManyRequests(message, RETRY_SECONDS)


def _too_often(limit: int, seconds: float) -> StreamchatError:
    return TooManyRequests(f"More than {limit} requests a minute are not allowed. Try again later.", max(1.0, seconds))
