"""Server side of one HTTP/1.1 connection (h11): requests, responses, streamed bodies, and connection faults.

Knows the protocol and the socket, but nothing of formats or scripts.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterable, Mapping
from contextlib import suppress

import h11

from streamchat.simulator.wire_format import Reply

_BODY_LIMIT = 64 << 20
_REQUEST_TIMEOUT = 30.0
_DRIP = 0.02
_PIECE = 1 << 16


class Gone(Exception):
    """The client closed the connection or sent invalid HTTP."""


class Peer:
    """One connection. ``request`` and all methods that send raise ``Gone`` if the client has closed it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 16)

    async def request(self) -> tuple[h11.Request, bytes]:
        """Read the next request with its body.

        Waits for a request without limit, but at most 30 seconds for the rest of one. Raises ``Gone``.
        """
        first = await self._event()
        if not isinstance(first, h11.Request):
            raise Gone
        pieces: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(_REQUEST_TIMEOUT):
                while isinstance(event := await self._event(), h11.Data):
                    pieces.append(bytes(event.data))
                    if (size := size + len(event.data)) > _BODY_LIMIT:
                        raise Gone
        except TimeoutError:
            raise Gone from None
        return first, b"".join(pieces)

    async def _event(self) -> h11.Event | type[h11.PAUSED]:
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError:
                raise Gone from None
            if event is not h11.NEED_DATA:
                return event  # pyrefly: ignore[bad-return] NEED_DATA is excluded
            if self._http.they_are_waiting_for_100_continue:
                await self._write(self._http.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
            self._http.receive_data(await self._read())

    async def _read(self) -> bytes:
        try:
            return await self._reader.read(_PIECE)
        except OSError:
            return b""

    async def closed(self) -> None:
        """Wait until the client closes its end. Data that arrives in the meantime is kept for the next request."""
        while data := await self._read():
            self._http.receive_data(data)

    def next(self) -> bool:
        """Prepare for the next request. Returns False if the connection cannot be reused."""
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return True

    async def reply(self, reply: Reply) -> None:
        """Send a complete response."""
        headers = {"content-type": reply.content_type, "content-length": str(len(reply.body)), **reply.headers}
        await self._write(self._head(reply.status, headers) + self._data(reply.body) + self._end())

    async def head(self, status: int, headers: Mapping[str, str], *, drip: bool = False) -> None:
        """Send status line and headers; the body follows. ``drip``: one byte at a time, with pauses."""
        head = self._head(status, headers)
        for piece in (head[i : i + 1] for i in range(len(head))) if drip else (head,):
            await self._write(piece)
            if drip:
                await asyncio.sleep(_DRIP)

    async def send(self, pieces: Iterable[bytes], *, apart: bool = False) -> None:
        """Send pieces of the body, one HTTP chunk each. ``apart``: also one packet each."""
        framed = [self._data(piece) for piece in pieces if piece]
        if not apart:
            await self._write(b"".join(framed))
            return
        for number, piece in enumerate(framed):
            if number:
                await asyncio.sleep(0.002)
            await self._write(piece)

    async def end(self) -> None:
        """Complete the body."""
        await self._write(self._end())

    async def fill(self, size: int) -> None:
        """Send ``size`` bytes of ``x`` in the body."""
        for start in range(0, size, _PIECE):
            await self._write(self._data(b"x" * min(_PIECE, size - start)))

    async def endless_header(self, limit: int) -> None:
        """Send a header line that never ends, until the client closes or ``limit`` bytes were sent."""
        await self._write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-endless: ")
        for _ in range(limit // _PIECE):
            await self._write(b"a" * _PIECE)
            await asyncio.sleep(0)

    async def short(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Send a body that is shorter than its ``content-length``."""
        await self._write(self._head(status, headers) + self._data(body))

    def reset(self) -> None:
        """Reset the connection with a TCP RST."""
        sock = self._writer.get_extra_info("socket")
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def close(self) -> None:
        """Close the connection."""
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()

    def _head(self, status: int, headers: Mapping[str, str]) -> bytes:
        return self._http.send(h11.Response(status_code=status, headers=list(headers.items()))) or b""

    def _data(self, data: bytes) -> bytes:
        return self._http.send(h11.Data(data=data)) or b""

    def _end(self) -> bytes:
        return self._http.send(h11.EndOfMessage()) or b""

    async def _write(self, data: bytes) -> None:
        if self._writer.is_closing():
            raise Gone
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError:
            raise Gone from None
