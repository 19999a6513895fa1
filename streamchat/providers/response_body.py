"""Ownership of response bodies: closing happens beside the run, so that no cancellation leaves anything behind.

Knows no vendor. The client's pool forgets a request only once its response was closed completely, and a task that is
cancelled meanwhile takes its pool's own shield along. Rules:

* Closing runs in a task of the client, which is never cancelled: the caller waits for it, or leaves.
* A body whose reader was cancelled, or gave up, is closed at once, and its connection with it.
* A body whose answer is complete is left: it is read to its end in the background, for at most ``DRAIN_SECONDS`` and
  ``MAX_TAIL_BYTES``, so that its connection can be used again. Nothing waits for that.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import suppress
from typing import Any

import httpx2

DRAIN_SECONDS = 2.0
MAX_TAIL_BYTES = 64 * 1024
# As many as connections are kept idle: draining more would be useless.
MAX_DRAINS = 100
_EXTENSION = "streamchat.body"


class Bodies:
    """The tasks that drain and close the bodies of one client."""

    def __init__(self) -> None:
        self._drains: set[asyncio.Task[None]] = set()
        self._closings: set[asyncio.Task[None]] = set()

    def own(self, response: httpx2.Response) -> None:
        """Take over the closing of this response's body."""
        body = Body(response.stream, self)
        response.stream = response.extensions[_EXTENSION] = body

    @property
    def busy(self) -> bool:
        """Whether no further body can be drained."""
        return len(self._drains) >= MAX_DRAINS

    def drain(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run this in the background until it is done or the client is closed."""
        return _keep(self._drains, work)

    def closing(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run this to completion."""
        return _keep(self._closings, work)

    async def close(self) -> None:
        """End every drain, and wait until every body is closed."""
        for task in self._drains:
            task.cancel()
        while tasks := self._drains | self._closings:
            await asyncio.wait(tasks)


def body_of(response: httpx2.Response) -> Body:
    """Return the body of a response of our client; that of another client is owned from now on."""
    if _EXTENSION not in response.extensions:
        Bodies().own(response)
    return response.extensions[_EXTENSION]


class Body(httpx2.AsyncByteStream):
    """The chunks of a body as they arrive."""

    def __init__(self, stream: Any, bodies: Bodies) -> None:
        self._stream = stream
        self._pieces: AsyncIterator[bytes] = aiter(stream)
        self._bodies = bodies
        self._until: float | None = None
        self._read: asyncio.Task[bytes | None] | None = None
        self._left = False
        self._closing: asyncio.Task[None] | None = None

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    def __anext__(self) -> Any:
        return anext(self._pieces) if self._until is None else self._next_in_time(self._until)

    def end_by(self, until: float | None) -> None:
        """Set the time of the loop's clock at which the body ends for its reader and is left; ``None`` for no such
        time.
        """
        self._until = until

    def leave(self) -> None:
        """Leave the rest of the body to the client, because the answer is complete."""
        if self._left or self._closing is not None or self._bodies.busy:
            return
        self._left = True
        # By the task's callback: a task that is cancelled before its first step never runs, not even its ``finally``.
        self._bodies.drain(self._drain()).add_done_callback(lambda _: self._bodies.closing(self._close()))

    async def aclose(self) -> None:
        """Close at once, unless the body was left. Cancelling the caller does not cancel the closing."""
        if self._left:
            return
        if self._closing is None:
            self._closing = self._bodies.closing(self._close())
        await asyncio.wait([self._closing])

    async def _next_in_time(self, until: float) -> bytes:
        # Not a timeout around the read: cancelling that would close the connection.
        read = self._read = asyncio.ensure_future(anext(self._pieces, None))
        done, _ = await asyncio.wait([read], timeout=until - asyncio.get_running_loop().time())
        if not done:
            self.leave()
        elif (piece := read.result()) is not None:
            return piece
        raise StopAsyncIteration

    async def _drain(self) -> None:
        room = MAX_TAIL_BYTES
        with suppress(TimeoutError, httpx2.HTTPError):
            async with asyncio.timeout(DRAIN_SECONDS):
                piece = await self._read if self._read else b""
                while piece is not None and (room := room - len(piece)) >= 0:
                    piece = await anext(self._pieces, None)

    async def _close(self) -> None:
        if self._read is not None:
            self._read.cancel()
            await asyncio.wait([self._read])
            _ = self._read.cancelled() or self._read.exception()  # retrieved
        with suppress(httpx2.HTTPError):
            if isinstance(self._pieces, AsyncGenerator):
                await self._pieces.aclose()
        with suppress(httpx2.HTTPError):
            await self._stream.aclose()


def _keep(tasks: set[asyncio.Task[None]], work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    task = asyncio.create_task(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)
    return task
