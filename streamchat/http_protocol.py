"""uvicorn's HTTP protocol with a timeout for requests that do not come.

Knows connections, not requests. Rule: a connection is closed if it waits for the headers of a request for too long:
after it was opened, or after the last response. uvicorn itself waits for ever for the first request, and for the rest
of a request of which one byte came.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol


def patient(seconds: float) -> type[H11Protocol]:
    """Return the protocol class. ``seconds``: how long a request's headers may take."""

    class PatientProtocol(H11Protocol):
        _timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            self._watch()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._watch()

        def connection_lost(self, exc: Exception | None) -> None:
            self._cancel()
            super().connection_lost(exc)

        @property
        def _waits(self) -> bool:
            return self.cycle is None or self.cycle.response_complete

        def _watch(self) -> None:
            if not self._waits or self.transport.is_closing():
                self._cancel()
            elif self._timer is None:
                self._timer = self.loop.call_later(seconds, self._give_up)

        def _cancel(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

        def _give_up(self) -> None:
            self._timer = None
            # A WebSocket has another protocol from its handshake on.
            if self.transport.get_protocol() is self and self._waits:
                self.transport.close()

    return PatientProtocol
