"""A tab without a browser: speaks to the page's socket by hand, and notes when which text arrived.

Knows Engine.IO and Socket.IO as far as one websocket needs them, and the frames of ``streamchat.ui.frames``.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Origin

_ROOT = "reflex___state____state"
_LIVE = f"{_ROOT}.streamchat___ui___live____live"
_LOADED = f"{_ROOT}.reflex___state____on_load_internal_state.on_load_internal"
_NAMESPACE = "/_event"


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
        """Send a message in a new chat, and go where the page is sent."""
        client_id = str(uuid.uuid4())
        await self._event(f"{_LIVE}.send", text=message, client_id=client_id, model=model)
        async for packet in self._packets():
            for event in packet.get("events") or ():
                if event["name"] == "_redirect":
                    self._path = event["payload"]["path"]
                    await self._event(_LOADED)
                    return

    async def read(self, on_length: Callable[[int], None] = lambda length: None) -> None:
        """The answer, to its end. ``on_length``: is told how much of it is there."""
        length = 0
        async for packet in self._packets():
            frame = (packet.get("delta") or {}).get(_LIVE, {}).get("f_rx_state_")
            if frame is None:
                continue
            now, kind = time.time(), frame.get("k")
            message = (frame["messages"] or (None,))[-1] if kind == "open" else frame.get("message")
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
            if data == "2":
                await self._socket.send("3")
            elif data.startswith(f"42{_NAMESPACE},"):
                yield json.loads(data[len(_NAMESPACE) + 3 :])[1]
        raise RuntimeError("the server closed the socket")

    async def _event(self, name: str, **payload: str) -> None:
        await self._socket.send(f"42{_NAMESPACE},{json.dumps(['event', self._asked(name, payload)])}")

    def _asked(self, name: str, payload: dict[str, Any]) -> dict[str, Any]:
        place = {"pathname": self._path, "asPath": self._path, "query": {}}
        return {"name": name, "payload": payload, "router_data": place}

    async def hello(self) -> None:
        """What a page does when it is loaded."""
        await self._socket.recv()
        boot = self._asked(f"{_ROOT}.hydrate_and_load", {"vars": {}})
        await self._socket.send(f"40{_NAMESPACE},{json.dumps({'event': boot})}")
        async for packet in self._packets():
            if (packet.get("delta") or {}).get(_LIVE, {}).get("f_rx_state_", {}).get("k") == "open":
                return


@asynccontextmanager
async def tab(port: int) -> AsyncIterator[Tab]:
    """A tab that shows a new chat."""
    address = f"ws://127.0.0.1:{port}{_NAMESPACE}/?token={uuid.uuid4()}&EIO=4&transport=websocket"
    async with (
        asyncio.timeout(180),
        connect(address, origin=Origin(f"http://127.0.0.1:{port}"), max_size=None) as socket,
    ):
        opened = Tab(socket)
        await opened.hello()
        yield opened
