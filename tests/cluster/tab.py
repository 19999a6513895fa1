"""A tab without a browser: speaks to the page's socket by hand and keeps what a page would show.

Knows Engine.IO and Socket.IO as far as one websocket needs them, and the frames of ``streamchat.ui.frames``.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin

_ROOT = "reflex___state____state"
_LIVE = f"{_ROOT}.streamchat___ui___live____live"
_LOADED = f"{_ROOT}.reflex___state____on_load_internal_state.on_load_internal"
_NAMESPACE = "/_event"


@dataclass
class Shown:
    """A message as a page shows it. ``gaps``: pieces that did not fit behind what was there."""

    role: str
    status: str
    texts: dict[int, str] = field(default_factory=dict)
    seq: int = 0
    gaps: int = 0

    @property
    def text(self) -> str:
        return "".join(self.texts[part] for part in sorted(self.texts))


class Tab:
    """``at``: the port that it is connected to."""

    def __init__(self, at: int, socket: ClientConnection, path: str) -> None:
        self.at = at
        self.path = path
        self.messages: dict[str, Shown] = {}
        self.said: list[str] = []
        self.opened = 0
        self._socket = socket
        self._news = asyncio.Event()

    @property
    def answer(self) -> Shown:
        """The last message of the model."""
        return [message for message in self.messages.values() if message.role == "assistant"][-1]

    async def until(self, true: Callable[[], object], seconds: float = 30) -> None:
        """Wait for frames until this holds."""
        async with asyncio.timeout(seconds):
            while not true():
                self._news.clear()
                await self._news.wait()

    async def send(self, text: str, model: str = "simulator:tour", client_id: str | None = None) -> None:
        await self.event(f"{_LIVE}.send", text=text, client_id=client_id or str(uuid.uuid4()), model=model)

    async def stop(self) -> None:
        await self.event(f"{_LIVE}.stop")

    async def event(self, name: str, **payload: Any) -> None:
        await self._socket.send(f"42{_NAMESPACE},{json.dumps(['event', self._asked(name, payload)])}")

    def _asked(self, name: str, payload: dict[str, Any]) -> dict[str, Any]:
        place = {"pathname": self.path, "asPath": self.path, "query": {}}
        return {"name": name, "payload": payload, "router_data": place}

    async def read(self) -> None:
        """Take in what arrives, until the socket closes."""
        with suppress(ConnectionClosed):
            await self._socket.recv()
            boot = self._asked(f"{_ROOT}.hydrate_and_load", {"vars": {}})
            await self._socket.send(f"40{_NAMESPACE},{json.dumps({'event': boot})}")
            async for data in self._socket:
                assert isinstance(data, str)
                if data == "2":
                    await self._socket.send("3")
                elif data.startswith(f"42{_NAMESPACE},"):
                    kind, packet = json.loads(data[len(_NAMESPACE) + 3 :])
                    if kind == "event":  # the other kind is a new token, which concerns the next connection
                        await self._packet(packet)
                self._news.set()

    async def _packet(self, packet: dict[str, Any]) -> None:
        for event in packet.get("events") or ():
            if event["name"] == "_redirect":
                self.path = event["payload"]["path"]
                await self.event(_LOADED)
        frame = (packet.get("delta") or {}).get(_LIVE, {}).get("f_rx_state_")
        if frame:
            self._frame(frame)

    def _frame(self, frame: dict[str, Any]) -> None:
        match frame.get("k"):
            case None:
                self._piece(frame)
            case "open":
                self.opened += 1
                self.messages = {message["id"]: _shown(message) for message in frame["messages"]}
            case "message":
                self.messages[frame["message"]["id"]] = _shown(frame["message"])
            case "drop":
                self.messages.pop(frame["m"], None)
            case "end":
                message = self.messages[frame["m"]]
                message.status = frame["status"]
                message.gaps += frame["c"] != crc32(message.text.encode())
            case "say":
                self.said.append(frame["text"])

    def _piece(self, frame: dict[str, Any]) -> None:
        message = self.messages.get(frame["m"])
        if message is None or frame["s"] <= message.seq:
            return
        before = message.texts.get(frame["p"], "")
        message.gaps += len(before) != frame["o"]
        message.texts[frame["p"]] = before + frame["t"]
        message.seq = frame["s"]


def _shown(message: dict[str, Any]) -> Shown:
    texts = {index: part["text"] for index, part in enumerate(message["parts"]) if part["type"] == "text"}
    return Shown(message["role"], message["status"], texts, message["seq"])


@asynccontextmanager
async def tab(at: int, path: str = "/", token: str | None = None, origin: int | None = None) -> AsyncIterator[Tab]:
    """A tab that shows this address. ``origin``: the port of the page's address, if that is not ``at``."""
    address = f"ws://localhost:{at}{_NAMESPACE}/?token={token or uuid.uuid4()}&EIO=4&transport=websocket"
    page = Origin(f"http://localhost:{origin or at}")
    async with connect(address, origin=page, max_size=None, open_timeout=60) as socket:
        opened = Tab(at, socket, path)
        reading = asyncio.create_task(opened.read())
        try:
            await opened.until(lambda: opened.opened, 60)
            yield opened
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
