"""A provider on loopback that plays what a test wrote down, and remembers what it was asked.

Knows no vendor. One connection per answer; every way a real connection ends can be had.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

Ending = Literal["complete", "cut", "reset", "open"]


@dataclass(slots=True)
class Reply:
    """``ending``: the body's proper end, a closed or a reset connection without it, or nothing at all.

    ``before``, ``between``: seconds to wait before the head and between pieces. ``chunked``: off is a body that
    only the end of the connection ends.
    """

    body: bytes | Iterable[bytes] = b""
    status: int = 200
    content_type: str = "text/event-stream"
    headers: dict[str, str] = field(default_factory=dict)
    ending: Ending = "complete"
    before: float = 0.0
    between: float = 0.0
    chunked: bool = True


@dataclass(slots=True)
class Asked:
    """A request that came."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


class Replay:
    """``url`` is where it listens; ``replies`` are played in order, the last one again and again."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.asked: list[Asked] = []
        self.gone = asyncio.Event()
        self.sent = 0
        self.url = ""
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        watch: asyncio.Task[None] | None = None
        try:
            self.asked.append(await _request(reader))
            reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
            watch = asyncio.create_task(self._watch(reader))
            await self._play(reply, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            if watch is not None:
                watch.cancel()
            with contextlib.suppress(ConnectionError):
                writer.close()
            self._tasks.discard(task)

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _watch(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.read()
        self.gone.set()

    async def _play(self, reply: Reply, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(reply.before)
        head = {"Content-Type": reply.content_type, "Connection": "close", **reply.headers}
        if reply.chunked:
            head["Transfer-Encoding"] = "chunked"
        lines = [f"HTTP/1.1 {reply.status} X", *(f"{name}: {value}" for name, value in head.items()), "", ""]
        writer.write("\r\n".join(lines).encode())
        for piece in [reply.body] if isinstance(reply.body, bytes) else reply.body:
            if self.gone.is_set():
                return
            if piece:
                writer.write(b"%x\r\n%s\r\n" % (len(piece), piece) if reply.chunked else piece)
                self.sent += len(piece)
                await writer.drain()
            await asyncio.sleep(reply.between)
        await self._end(reply, writer)

    async def _end(self, reply: Reply, writer: asyncio.StreamWriter) -> None:
        if reply.ending == "complete" and reply.chunked:
            writer.write(b"0\r\n\r\n")
            await writer.drain()
        elif reply.ending == "reset":
            await asyncio.sleep(0.05)  # let what was written be read before the reset throws it away
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
        elif reply.ending == "open":
            await self.gone.wait()


@asynccontextmanager
async def replay(*replies: Reply) -> AsyncIterator[Replay]:
    """Serve on a free port of loopback."""
    player = Replay(*replies)
    server = await asyncio.start_server(player.serve, "127.0.0.1", 0)
    player.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield player
    finally:
        server.close()
        await player.close()


async def _request(reader: asyncio.StreamReader) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Asked(first.split()[1], headers, json.loads(body or b"{}"))
