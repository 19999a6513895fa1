"""Streaming responses without a buffer of our own, and the limit on streams per client.

``EventStream`` is the response of every endpoint that streams; an encoder produces its chunks. Rules:

* A chunk is produced when the socket has taken the previous one: a stalled client holds one chunk, whatever the run
  does.
* A client that disconnects ends its stream at once, and never the run.
* A client has a limited number of streams at the same time. Its slot is taken first of all, before a run is started,
  and held until the stream has ended.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping
from contextlib import aclosing, contextmanager

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from streamchat.limits import Slot, Slots, client_key
from streamchat.web.error_responses import TooManyStreams
from streamchat.wiring.request_context import RequestContext

SSE_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
}


class Streams:
    """Counts the open streams of this process, by the client's address and by owner."""

    def __init__(self) -> None:
        self._clients = Slots()
        self._owners = Slots()

    def take(self, context: RequestContext) -> Slot:
        """Take a slot for a stream of this caller. Raises ``TooManyStreams``."""
        settings = context.settings
        client = self.take_for(context.address, settings.streams_per_client)
        try:
            owner = self._owners.take([(context.owner, settings.streams_per_owner)], _too_many)
        except TooManyStreams:
            client.release()
            raise

        def release() -> None:
            client.release()
            owner.release()

        return Slot(release)

    def take_for(self, address: str, limit: int) -> Slot:
        """Take a slot for a stream to this address. Raises ``TooManyStreams``."""
        return self._clients.take([(client_key(address), limit)], _too_many)

    def reads(self, address: str) -> int:
        """Return the number of open streams of this address."""
        return self._clients.taken(client_key(address))


def _too_many(limit: int) -> TooManyStreams:
    return TooManyStreams(f"{limit} streams are open already. Close one, or try later.")


streams = Streams()


@contextmanager
def release_on_error(slot: Slot) -> Iterator[Slot]:
    """Release the slot if the block raises; otherwise its response, or a later block, does."""
    try:
        yield slot
    except BaseException:
        slot.release()
        raise


class EventStream(Response):
    """Sends ``batches`` of chunks as the body, each chunk by itself. ``gone`` is called if the client disconnects.

    ``slot``: among the client's streams; it is released at the end, or if the response is never sent.
    """

    def __init__(
        self,
        batches: AsyncGenerator[Iterable[bytes], None],
        *,
        gone: Callable[[], None],
        slot: Slot,
        status_code: int = 200,
        headers: Mapping[str, str] = SSE_HEADERS,
    ) -> None:
        super().__init__(None, status_code, headers)
        del self.headers["content-length"]
        self._batches = batches
        self._gone = gone
        self._slot = slot
        weakref.finalize(self, slot.release)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream to its end."""
        watching = asyncio.create_task(self._watch(receive))
        _sending.add(self)
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            async with aclosing(self._batches) as batches:
                async for chunks in batches:
                    for chunk in chunks:
                        await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            _sending.discard(self)
            watching.cancel()
            self._slot.release()

    def end(self) -> None:
        """End the stream from our side, as if the client had disconnected."""
        self._gone()

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._gone()


_sending: set[EventStream] = set()


async def end_all(patience: float = 0.5) -> None:
    """Before a shutdown: give streams of ended runs ``patience`` seconds to finish, then end the others."""
    loop = asyncio.get_running_loop()
    until = loop.time() + patience
    while _sending and loop.time() < until:  # noqa: ASYNC110 once, at the end
        await asyncio.sleep(0.01)
    for stream in list(_sending):
        stream.end()
