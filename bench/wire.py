"""A TCP proxy that counts: what really goes over the wire to the browser, compression and framing included."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from bench.measure import free_port


class Counter:
    """``sockets``: bytes to the browser on connections that became websockets. ``all``: on every connection."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.target = 0
        self.sockets = 0
        self.all = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with suppress(OSError, asyncio.CancelledError):
            head = await reader.read(1 << 16)
            is_socket = b"upgrade: websocket" in head.lower()
            onward_reader, onward_writer = await asyncio.open_connection("127.0.0.1", self.target)
            onward_writer.write(head)
            await asyncio.wait(
                [
                    asyncio.create_task(self._pump(reader, onward_writer)),
                    asyncio.create_task(self._pump(onward_reader, writer, is_socket, count=True)),
                ]
            )
        self._tasks.discard(task)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_socket: bool = False, count: bool = False
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                if count:
                    self.all += len(data)
                    self.sockets += len(data) * is_socket
                writer.write(data)
                await writer.drain()
        writer.close()

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()


@asynccontextmanager
async def counter() -> AsyncIterator[Counter]:
    """Listens at once; set ``target`` to the server's port before anybody connects."""
    counting = Counter(free_port())
    server = await asyncio.start_server(counting.connected, "127.0.0.1", counting.port)
    try:
        yield counting
    finally:
        server.close()
        counting.close()
