"""What a provider's HTTP client holds, and a provider on loopback that counts its connections."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpcore2

from streamchat.simulator import Simulator

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
LAST = b"0\r\n\r\n"


def pools(provider: Any) -> list[httpcore2.AsyncConnectionPool]:
    """All pools of a provider's clients: of direct connections and of those through proxies."""
    adapters: list[Any] = list(provider._adapters.values()) if isinstance(provider, Simulator) else [provider]
    sdks = [sdk for adapter in adapters if (sdk := adapter._client._client) is not None]  # made when first needed
    clients = [sdk._client for sdk in sdks]
    transports = [t for client in clients for t in (client._transport, *client._mounts.values()) if t is not None]
    return [transport._pool for transport in transports]


def holds_nothing(provider: Any) -> bool:
    """Whether no request is left, and no connection but idle ones."""
    return all(not pool._requests and all(c.is_idle() for c in pool.connections) for pool in pools(provider))


async def at_rest(provider: Any) -> None:
    """Until it holds nothing."""
    async with asyncio.timeout(10):
        while not holds_nothing(provider):
            await asyncio.sleep(0.002)


class Counting:
    """A server on loopback. ``connections``: how many it has seen, ``open``: how many are open now."""

    def __init__(self, handler: Handler) -> None:
        self.connections = self.open = self.requests = 0
        self.port = 0
        self._handler = handler
        self._tasks: set[asyncio.Task[None]] = set()

    async def request(self, reader: asyncio.StreamReader) -> bytes:
        """The head of the next request, whose body is read too."""
        head = await reader.readuntil(b"\r\n\r\n")
        if b"content-length: " in head.lower():
            await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
        self.requests += 1
        return head

    async def closed(self) -> None:
        """Until no connection is open."""
        async with asyncio.timeout(10):
            while self.open:
                await asyncio.sleep(0.002)

    def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._one(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._handler(reader, writer)
        finally:
            self.open -= 1
            writer.close()


@asynccontextmanager
async def counting(make: Callable[[Counting], Handler], tls: ssl.SSLContext | None = None) -> AsyncIterator[Counting]:
    """Serve on a free port; ``make`` is given the server, and makes what serves a connection."""
    made = Counting(lambda reader, writer: make(made)(reader, writer))
    server = await asyncio.start_server(made._serve, "127.0.0.1", 0, ssl=tls)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        tasks = list(made._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def answer(
    server: Counting,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    body: bytes,
    *,
    last: float | None = 0.0,
    head: bytes = CHUNKED,
) -> None:
    """One answer to the next request. ``last``: seconds until the proper end of the body, ``None`` never."""
    await server.request(reader)
    piece = b"%x\r\n%b\r\n" % (len(body), body)
    if last == 0:
        writer.write(head + piece + LAST)
        return
    writer.write(head + piece)
    if last is not None:
        await asyncio.sleep(last)
        writer.write(LAST)


def answers(body: bytes, *, last: float | None = 0.0, head: bytes = CHUNKED) -> Callable[[Counting], Handler]:
    """The same answer to every request, over and over."""

    def of(server: Counting) -> Handler:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                await answer(server, reader, writer, body, last=last, head=head)

        return serve

    return of
