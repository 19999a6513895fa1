"""Network backend for the SDKs' HTTP client, directly on asyncio: most of the cost of a chunk is spent here.

Knows nothing of HTTP. The client's own backend goes through AnyIO, which registers and unregisters the
socket for every read and needs twice the time per chunk; a protocol that only buffers does not.
Rules:

* Received bytes are buffered up to ``HIGH_WATER``; above that, reading pauses until the reader catches up.
* If the event loop is crowded, a connection rests after each read, so that the next one brings more: a read, and what
  follows from it until a browser has it, costs about the same for one word as for ten. How crowded it is shows in how
  late readers come to what has arrived.
* Closing is immediate and final: no lingering, no waiting for the other side.
* Errors are those that the client expects of a backend (``httpcore2``), nothing else.
"""

from __future__ import annotations

import asyncio
import select
import socket
import ssl
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from itertools import chain, zip_longest
from typing import Any

import httpcore2
import httpx2

HIGH_WATER = 512 * 1024
HAPPY_EYEBALLS_SECONDS = 0.25
# A connection rests ``REST`` times as long as its reader came late, in the median of the last reads, so that a single
# pause of the loop does not count; for ``MAX_REST`` seconds at most. Less than ``MIN_REST`` is not worth it.
REST, MIN_REST, MAX_REST = 15, 0.02, 0.15
# A middlebox may drop an idle connection silently. Keep-alive packets prevent that, and if the other end is gone
# nevertheless, that is detected within a minute, before the connection is used again.
_KEEP_ALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
        if hasattr(socket, name)
    ),
)


class _Pipe(asyncio.Protocol):
    """Buffer and flow control of one connection, in both directions."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.pieces: deque[bytes] = deque()
        self.buffered_bytes = 0
        self.ended = False
        self.error: Exception | None = None
        self.lost = asyncio.Event()
        self._paused = False
        self._arrival: asyncio.Future[None] | None = None
        self._arrived_at = 0.0  # by the loop's clock
        self._late = deque([0.0] * 5, maxlen=5)  # seconds until the reader came, of the last reads
        self._rest: asyncio.TimerHandle | None = None
        self._room = asyncio.Event()
        self._room.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # pyrefly: ignore[bad-assignment] a stream's is one

    def data_received(self, data: bytes) -> None:
        self.pieces.append(data)
        self.buffered_bytes += len(data)
        loop = asyncio.get_running_loop()
        self._arrived_at = loop.time()
        if self._rest is None and (rest := min(REST * sorted(self._late)[2], MAX_REST)) >= MIN_REST:
            self._rest = loop.call_later(rest, self.end_rest)
        self._pause_or_resume()
        self._wake()

    def eof_received(self) -> bool:
        self.ended = True
        self._wake()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended, self.error = True, self.error or exc
        if self._rest is not None:
            self._rest.cancel()
        self.lost.set()
        self._room.set()
        self._wake()

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    async def read(self, max_bytes: int) -> bytes:
        """Return the next bytes, at most ``max_bytes``; ``b""`` at the end. Raises the connection's ``OSError``."""
        while not self.pieces:
            if self.ended:
                if self.error is not None:
                    raise self.error
                return b""
            loop = asyncio.get_running_loop()
            self._arrival = loop.create_future()
            await self._arrival
            self._late.append(loop.time() - self._arrived_at)
        data = self.pieces.popleft()
        if len(data) > max_bytes:
            self.pieces.appendleft(data[max_bytes:])
            data = data[:max_bytes]
        self.buffered_bytes -= len(data)
        self._pause_or_resume()
        return data

    def end_rest(self) -> None:
        """Read on, if the connection rests."""
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None
            self._pause_or_resume()

    def _pause_or_resume(self) -> None:
        full = self.buffered_bytes > (HIGH_WATER // 2 if self._paused else HIGH_WATER)
        pause = full or self._rest is not None
        if pause == self._paused or self.transport is None:
            return
        self._paused = pause
        if pause:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    async def drained(self) -> None:
        """Wait until there is room to write. Raises the connection's ``OSError``."""
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
        """Return the next bytes; ``b""`` at the end. ``timeout``: seconds. Raises ``ReadTimeout`` or ``ReadError``."""
        if timeout is None:
            try:
                return await self._pipe.read(max_bytes)
            except OSError as error:
                raise httpcore2.ReadError(str(error)) from error
        async with _translate_errors(timeout, httpcore2.ReadTimeout, httpcore2.ReadError):
            return await self._pipe.read(max_bytes)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 the interface's
        """Send the buffer. ``timeout``: seconds. Raises ``WriteTimeout`` or ``WriteError``."""
        if buffer:
            async with _translate_errors(timeout, httpcore2.WriteTimeout, httpcore2.WriteError):
                if self._transport.is_closing():
                    raise ConnectionResetError("the connection is closed")
                self._pipe.end_rest()
                self._transport.write(buffer)
                await self._pipe.drained()

    async def aclose(self) -> None:
        """Abort the connection and wait until it is closed."""
        self._transport.abort()
        await self._pipe.lost.wait()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 the interface's
    ) -> Stream:
        """Upgrade to TLS and return this stream. ``timeout``: seconds. Raises ``ConnectTimeout``, ``ConnectError``."""
        loop = asyncio.get_running_loop()
        try:
            async with _translate_errors(timeout, httpcore2.ConnectTimeout, httpcore2.ConnectError):
                self._pipe.transport = await loop.start_tls(
                    self._transport, self._pipe, ssl_context, server_hostname=server_hostname
                )
        except BaseException:
            self._transport.abort()
            raise
        return self

    def get_extra_info(self, info: str) -> Any:
        """Return connection information by its ``httpcore2`` name, ``None`` if unknown."""
        if info == "is_readable":
            # Of an idle connection: the other side has closed it, or sent unsolicited data.
            return self._pipe.ended or bool(self._pipe.pieces) or _is_readable(self._transport)
        names = {"client_addr": "sockname", "server_addr": "peername"}
        return self._transport.get_extra_info(names.get(info, info))


def _is_readable(transport: asyncio.Transport) -> bool:
    """Return whether the socket has data, or its end, that the event loop has not read yet."""
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
        """Open a connection. ``timeout``: seconds. Raises ``ConnectTimeout`` or ``ConnectError``."""
        loop = asyncio.get_running_loop()
        async with _translate_errors(timeout, httpcore2.ConnectTimeout, httpcore2.ConnectError):
            connected = await _connect(host, port, local_address)
            transport, pipe = await loop.create_connection(_Pipe, sock=connected)
        for option in (*_KEEP_ALIVE, *(socket_options or ())):
            transport.get_extra_info("socket").setsockopt(*option)
        return Stream(pipe)

    async def sleep(self, seconds: float) -> None:
        """Wait this many seconds."""
        await asyncio.sleep(seconds)


async def _connect(host: str, port: int, local_address: str | None) -> socket.socket:
    """Return a socket connected to the first address of the host that answers. Raises ``OSError``.

    Each address gets a head start before the next. This is not asyncio's own race: cancelled at the moment it is won,
    that one loses the winner, and the connection stays open.
    """
    loop = asyncio.get_running_loop()
    addresses = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    families = [[a for a in addresses if a[0] == family] for family in dict.fromkeys(a[0] for a in addresses)]
    pending: set[asyncio.Task[socket.socket]] = set()
    errors: list[BaseException] = []
    try:
        for address in filter(None, chain.from_iterable(zip_longest(*families))):
            pending.add(asyncio.create_task(_try_address(address, local_address)))
            while pending:
                last = len(pending) + len(errors) == len(addresses)
                patience = None if last else HAPPY_EYEBALLS_SECONDS
                done, _ = await asyncio.wait(pending, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    if (error := task.exception()) is None:
                        pending.discard(task)
                        return task.result()
                    pending.discard(task)
                    errors.append(error)
                if not last:
                    break
        raise next(iter(errors), OSError(f"{host} has no address"))
    finally:
        for task in pending:
            task.cancel()
            task.add_done_callback(_close_result)


async def _try_address(address: tuple[Any, ...], local_address: str | None) -> socket.socket:
    family, kind, protocol, _, target = address
    connection = socket.socket(family, kind, protocol)
    try:
        connection.setblocking(False)
        if local_address:
            connection.bind((local_address, 0))
        await asyncio.get_running_loop().sock_connect(connection, target)
    except BaseException:
        connection.close()
        raise
    return connection


def _close_result(task: asyncio.Task[socket.socket]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()


def use_backend(client: httpx2.AsyncClient) -> bool:
    """Give the client's direct connections this backend; those through a proxy keep theirs.

    The client has no public way to do that. Returns ``False``, and changes nothing, if its internals are different.
    """
    pool = getattr(client._transport, "_pool", None)
    if type(pool) is not httpcore2.AsyncConnectionPool or not hasattr(pool, "_network_backend"):
        return False
    pool._network_backend = Backend()
    return True


def take_unfinished(client: httpx2.AsyncClient) -> list[httpcore2.AsyncConnectionInterface]:
    """Remove connections that no request uses or can use from the client's pools, and return them for closing.

    Such a connection was being opened through a proxy when its request was cancelled; the pool counts it as busy
    forever.
    """
    unfinished = []
    for transport in (client._transport, *client._mounts.values()):
        pool = getattr(transport, "_pool", None)
        if isinstance(pool, httpcore2.AsyncConnectionPool):
            used = {request.connection for request in pool._requests}
            for connection in pool.connections:
                if connection not in used and not connection.is_idle():
                    pool._connections.remove(connection)
                    unfinished.append(connection)
    return unfinished


@asynccontextmanager
async def _translate_errors(
    seconds: float | None, timeout_error: type[Exception], network_error: type[Exception]
) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise timeout_error(str(error)) from error
    except OSError as error:  # also TLS and names that do not resolve
        raise network_error(str(error)) from error
