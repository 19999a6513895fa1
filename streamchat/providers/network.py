"""Sockets for the SDKs' HTTP client, straight on asyncio: what a chunk costs is mostly spent here.

Knows nothing of HTTP. The client's own backend goes through AnyIO, which registers and unregisters the
socket for every read and needs twice the time per chunk; a protocol that just keeps what comes does not.
Rules:

* What comes is kept up to ``HIGH_WATER`` bytes, then the socket is not read until somebody takes it.
* Closing is at once and final: nothing lingers, no goodbye is waited for.
* Errors are those that the client expects of a backend (``httpcore2``), nothing else.
"""

from __future__ import annotations

import asyncio
import select
import ssl
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import httpcore2
import httpx2

HIGH_WATER = 512 * 1024
HAPPY_EYEBALLS_SECONDS = 0.25


class _Pipe(asyncio.Protocol):
    """Both ends of a connection: what came and was not taken, and whether there is room to write."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.pieces: deque[bytes] = deque()
        self.held = 0
        self.ended = False
        self.error: Exception | None = None
        self.lost = asyncio.Event()
        self._paused = False
        self._arrival: asyncio.Future[None] | None = None
        self._room = asyncio.Event()
        self._room.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # pyright: ignore[reportAttributeAccessIssue] a stream's is one

    def data_received(self, data: bytes) -> None:
        self.pieces.append(data)
        self.held += len(data)
        if self.held > HIGH_WATER and not self._paused and self.transport is not None:
            self._paused = True
            self.transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        self.ended = True
        self._wake()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended, self.error = True, self.error or exc
        self.lost.set()
        self._room.set()
        self._wake()

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    async def take(self, max_bytes: int) -> bytes:
        """The next bytes, ``b""`` at the end."""
        while not self.pieces:
            if self.ended:
                if self.error is not None:
                    raise self.error
                return b""
            self._arrival = asyncio.get_running_loop().create_future()
            await self._arrival
        data = self.pieces.popleft()
        if len(data) > max_bytes:
            self.pieces.appendleft(data[max_bytes:])
            data = data[:max_bytes]
        self.held -= len(data)
        if self._paused and self.held <= HIGH_WATER // 2 and self.transport is not None:
            self._paused = False
            self.transport.resume_reading()
        return data

    async def drained(self) -> None:
        """Until there is room to write."""
        await self._room.wait()
        if self.error is not None:
            raise self.error

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)


class Stream(httpcore2.AsyncNetworkStream):
    """One connection."""

    def __init__(self, pipe: _Pipe) -> None:
        self._pipe = pipe

    @property
    def _transport(self) -> asyncio.Transport:
        assert self._pipe.transport is not None
        return self._pipe.transport

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 the interface's
        if timeout is None:
            try:
                return await self._pipe.take(max_bytes)
            except OSError as error:
                raise httpcore2.ReadError(str(error)) from error
        async with _translated(timeout, httpcore2.ReadTimeout, httpcore2.ReadError):
            return await self._pipe.take(max_bytes)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 the interface's
        if buffer:
            async with _translated(timeout, httpcore2.WriteTimeout, httpcore2.WriteError):
                if self._transport.is_closing():
                    raise ConnectionResetError("the connection is closed")
                self._transport.write(buffer)
                await self._pipe.drained()

    async def aclose(self) -> None:
        self._transport.abort()
        await self._pipe.lost.wait()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 the interface's
    ) -> Stream:
        loop = asyncio.get_running_loop()
        try:
            async with _translated(timeout, httpcore2.ConnectTimeout, httpcore2.ConnectError):
                self._pipe.transport = await loop.start_tls(
                    self._transport, self._pipe, ssl_context, server_hostname=server_hostname
                )  # pyright: ignore[reportAttributeAccessIssue] not None, where it does not raise
        except BaseException:
            self._transport.abort()
            raise
        return self

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":
            # Of an idle connection: the other side has closed it, or sent what nobody asked for.
            return self._pipe.ended or bool(self._pipe.pieces) or _has_news(self._transport)
        names = {"client_addr": "sockname", "server_addr": "peername"}
        return self._transport.get_extra_info(names.get(info, info))


def _has_news(transport: asyncio.Transport) -> bool:
    """Whether the socket has something that the event loop has not fetched yet, also its end."""
    descriptor = transport.get_extra_info("socket").fileno()
    if descriptor < 0 or not hasattr(select, "poll"):
        return descriptor < 0
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


class Backend(httpcore2.AsyncNetworkBackend):
    """Opens connections on the running event loop."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 the interface's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> Stream:
        loop = asyncio.get_running_loop()
        async with _translated(timeout, httpcore2.ConnectTimeout, httpcore2.ConnectError):
            transport, pipe = await loop.create_connection(
                _Pipe,
                host,
                port,
                local_addr=(local_address, 0) if local_address else None,
                happy_eyeballs_delay=HAPPY_EYEBALLS_SECONDS,
            )
        for option in socket_options or ():
            transport.get_extra_info("socket").setsockopt(*option)
        return Stream(pipe)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def use_backend(client: httpx2.AsyncClient) -> bool:
    """Give the client's direct connections this backend; those through a proxy keep theirs.

    The client has no public way to say so. ``False``, and everything as it was, where its inside has changed.
    """
    pool = getattr(client._transport, "_pool", None)
    if type(pool) is not httpcore2.AsyncConnectionPool or not hasattr(pool, "_network_backend"):
        return False
    pool._network_backend = Backend()
    return True


@asynccontextmanager
async def _translated(seconds: float | None, late: type[Exception], broken: type[Exception]) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise late(str(error)) from error
    except OSError as error:  # also TLS and names that do not resolve
        raise broken(str(error)) from error
