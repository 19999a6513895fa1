"""A TCP relay between browser and server: it counts bytes, cuts connections, and can fall silent.

Knows of HTTP only which connection became a websocket. ``freeze`` is the half-open connection: both ends stay open,
nothing passes any more.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from tests.support.loop import LoopThread


class _Pair:
    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.client = client
        self.server = server
        self.frozen = False
        self.websocket = False
        self.down = 0


class Relay:
    def __init__(self, loop: LoopThread, port: int, target: int) -> None:
        """Listens on ``port`` and connects to ``target``, both on loopback."""
        self._loop = loop
        self._port = port
        self._target = target
        self._pairs: set[_Pair] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.url = f"http://127.0.0.1:{port}"

    def start(self) -> Relay:
        self._loop.run(self._start())
        return self

    def close(self) -> None:
        self._loop.run(self._close())

    def cut(self) -> int:
        """Close every connection that is open now, without a goodbye; how many there were."""
        return self._loop.run(self._cut())

    def freeze(self) -> int:
        """From now on nothing passes on the websockets that are open now; how many. New ones work."""
        pairs = [pair for pair in self._pairs if pair.websocket]
        for pair in pairs:
            pair.frozen = True
        return len(pairs)

    def received(self) -> int:
        """Bytes that came down to the browser on the websockets that are open now, as they are on the wire."""
        return sum(pair.down for pair in list(self._pairs) if pair.websocket)

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._client, "127.0.0.1", self._port)

    async def _cut(self) -> int:
        pairs = list(self._pairs)
        for pair in pairs:
            pair.client.transport.abort()
            pair.server.transport.abort()
        return len(pairs)

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        await self._cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            to_read, to_write = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            self._tasks.discard(task)
            return
        pair = _Pair(writer, to_write)
        self._pairs.add(pair)
        try:
            await asyncio.gather(self._pump(pair, reader, to_write), self._pump(pair, to_read, writer))
        except (OSError, asyncio.CancelledError):
            pass  # one end went: so does the other
        finally:
            self._pairs.discard(pair)
            self._tasks.discard(task)
            for end in (writer, to_write):
                end.transport.abort()
                with suppress(OSError, asyncio.CancelledError):
                    await end.wait_closed()

    async def _pump(self, pair: _Pair, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            if pair.frozen:
                continue
            if writer is pair.client:
                pair.down += len(data)
            elif b"upgrade: websocket" in data[:8192].lower():
                pair.websocket = True
            writer.write(data)
            await writer.drain()
        if not pair.frozen:
            raise ConnectionResetError  # ends the other direction too
