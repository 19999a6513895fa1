"""An answer as a stream of bytes that never waits in a buffer of ours.

``EventStream`` is the response of every endpoint that streams; ``sse`` are the bytes of a run as Server-Sent Events.
Rules:

* A chunk is made when the socket has taken the one before: a reader that stalls holds one chunk, whatever the run does.
* A client that goes away ends its stream at once, and never the run.
* One client has at most so many streams at once; the next one is refused before it begins.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from streamchat.chat.events import Failed
from streamchat.errors import NotFound
from streamchat.runs.log import Entry, Snapshot
from streamchat.runs.runs import Runs
from streamchat.web import encoding
from streamchat.web.problems import TooManyStreams, answer_at
from streamchat.web.reading import Reader, ending_of

CHUNK_BYTES = 64 * 1024
SSE_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
}


class Streams:
    """How many streams each client reads."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    def check(self, client: str, limit: int) -> None:
        """Raises ``TooManyStreams`` where no other one fits in."""
        if self.reads(client) >= limit:
            raise TooManyStreams(f"{limit} streams are open from this address. Close one, or try later.")

    def enter(self, client: str, limit: int) -> None:
        """Raises ``TooManyStreams``."""
        self.check(client, limit)
        self._open[client] += 1

    def reads(self, client: str) -> int:
        """How many streams it reads."""
        return self._open.get(client, 0)

    def leave(self, client: str) -> None:
        self._open[client] -= 1
        if not self._open[client]:
            del self._open[client]


streams = Streams()


def client_of(scope: Scope) -> str:
    """The address of the client; behind a proxy on this machine, the one that the proxy names."""
    client = scope.get("client")
    return client[0] if client else ""


class EventStream(Response):
    """``chunks`` as the body, each sent by itself. ``gone`` is called when the client has closed its side."""

    def __init__(
        self,
        chunks: AsyncGenerator[bytes, None],
        *,
        gone: Callable[[], None],
        limit: int,
        status_code: int = 200,
        headers: Mapping[str, str] = SSE_HEADERS,
    ) -> None:
        super().__init__(None, status_code, headers)
        del self.headers["content-length"]
        self._chunks = chunks
        self._gone = gone
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = client_of(scope)
        try:
            streams.enter(client, self._limit)
        except TooManyStreams as error:
            await self._chunks.aclose()
            await answer_at(scope["path"], error)(scope, receive, send)
            return
        watching = asyncio.create_task(self._watch(receive))
        _sending.add(self)
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            async with aclosing(self._chunks) as chunks:
                async for chunk in chunks:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            _sending.discard(self)
            watching.cancel()
            streams.leave(client)

    def end(self) -> None:
        """End it from our side, as if the client had gone."""
        self._gone()

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._gone()


_sending: set[EventStream] = set()


async def end_all(patience: float = 0.5) -> None:
    """Before the server ends: let the streams whose runs have ended come to their end, and end the others."""
    loop = asyncio.get_running_loop()
    until = loop.time() + patience
    while _sending and loop.time() < until:  # noqa: ASYNC110 once, at the end
        await asyncio.sleep(0.01)
    for stream in list(_sending):
        stream.end()


async def sse(runs: Runs, owner: str, run_id: str, reader: Reader) -> AsyncGenerator[bytes, None]:
    """The run as Server-Sent Events, up to its ending and ``[DONE]``."""
    shelf = encoding.shelf(run_id, encoding.sse_entry)
    yield encoding.RETRY
    try:
        async with aclosing(reader.batches()) as batches:
            async for batch in batches:
                if batch is None:
                    yield encoding.COMMENT
                elif isinstance(batch, Snapshot):
                    yield encoding.sse_snapshot(batch)
                    if batch.message.ended:
                        yield encoding.sse_entry(Entry(batch.seq, ending_of(batch.message)))
                elif len(batch) == 1:
                    yield shelf(batch[0])
                else:
                    for chunk in chunked(map(shelf, batch)):
                        yield chunk
    except NotFound as error:  # the conversation was deleted while it was read
        yield encoding.sse_unnumbered(Failed(error.user_message, error.kind, retryable=False))
    if not reader.closed:
        yield encoding.DONE


def chunked(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Pieces joined, up to ``CHUNK_BYTES`` and a piece more."""
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= CHUNK_BYTES:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)
