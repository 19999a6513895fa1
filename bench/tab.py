"""A tab without a browser: speaks to the page's socket by hand, and notes when which text arrived.

Knows Engine.IO and Socket.IO as far as one websocket needs them, and the frames of ``protocols.page.stream``.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Origin

from devservers import page_socket
from devservers.page_socket import EVENT, LIVE, ON_LOAD, PING, PONG


@dataclass(slots=True)
class Received:
    """``arrivals``: time of arrival and length of the text so far, per piece of the answer. ``why`` it ended."""

    arrivals: list[tuple[float, int]] = field(default_factory=list)
    messages: int = 0
    bytes: int = 0
    why: str = ""


class Tab:
    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._path = "/"
        self.received = Received()

    async def ask(self, message: str, model: str) -> None:
        """Send a message in a new chat, and go to its address."""
        client_id = str(uuid.uuid4())
        await self._event(f"{LIVE}.send", text=message, client_id=client_id, model=model)
        async for packet in self._packets():
            if path := page_socket.begun_in(packet):
                self._path = path
                await self._event(ON_LOAD)
                return

    async def read(self, on_length: Callable[[int], None] = lambda length: None) -> None:
        """The answer, to its end. ``on_length``: is told how much of it is there."""
        length = 0
        async for packet in self._packets():
            frame = page_socket.frame_of(packet)
            if frame is None:
                continue
            now, kind = time.time(), frame.get("k")
            message = (frame.get("messages") or (None,))[-1] if kind in ("open", "messages") else None
            ended = kind == "end"
            if kind is None:
                length += len(frame["t"])
            elif message is not None and message["role"] == "assistant":
                length, ended = len(message["text"]), message["status"] != "streaming"
            self.received.arrivals.append((now, length))
            on_length(length)
            if ended:
                self.received.why = str((message or frame).get("error") or (message or frame).get("status"))
                return

    async def _packets(self) -> AsyncIterator[dict[str, Any]]:
        async for data in self._socket:
            assert isinstance(data, str)
            self.received.messages += 1
            self.received.bytes += len(data.encode())
            if data == PING:
                await self._socket.send(PONG)
            elif data.startswith(EVENT):
                yield page_socket.parsed(data)[1]
        raise RuntimeError("the server closed the socket")

    async def _event(self, name: str, **payload: str) -> None:
        await self._socket.send(page_socket.packet(page_socket.event(name, payload, self._path)))

    async def hello(self) -> None:
        """What a page does when it is loaded."""
        await self._socket.recv()
        await self._socket.send(page_socket.hello(self._path))
        async for packet in self._packets():
            if (page_socket.frame_of(packet) or {}).get("k") == "open":
                return


@asynccontextmanager
async def tab(port: int) -> AsyncIterator[Tab]:
    """A tab that shows a new chat."""
    address = page_socket.address(f"http://127.0.0.1:{port}", str(uuid.uuid4()))
    async with (
        asyncio.timeout(180),
        connect(address, origin=Origin(f"http://127.0.0.1:{port}"), max_size=None) as socket,
    ):
        opened = Tab(socket)
        await opened.hello()
        yield opened
