"""A tab without a browser, light enough for hundreds in one process: sockets, and what a page does by itself.

What it shows is ``model``'s business. As a page, it comes back where its socket is lost, asks again where a frame did
not fit, and sends again, under the same id, what was not accepted. Unlike a page it can be rough: ``cut``, ``freeze``.
"""

from __future__ import annotations

import asyncio
import socket as sockets
import struct
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, WebSocketException
from websockets.typing import Origin

from devservers import page_socket
from devservers.page_socket import EVENT, LIVE, ON_LOAD, PING, PONG
from tests.support.page_model import Frame, PageModel

# What is looked into; of the rest, the list of conversations alone is larger than all frames.
READ = (LIVE, '"_redirect"', '"new_token"')
RESYNC_SECONDS = 1.0
PAUSES = (0.2, 0.4, 0.8, 1.6, 2.0)  # before the next try to connect
# The server is away, on its way out, or not there yet.
AWAY = (OSError, TimeoutError, EOFError, InvalidHandshake, WebSocketException)


@dataclass(slots=True)
class Draft:
    """A message on its way."""

    client_id: str
    text: str
    model: str


@dataclass(slots=True)
class Counts:
    """``tokens``: how often the server gave the tab another token, because it did not know that a socket is dead."""

    sockets: int = 0
    frames: int = 0
    gaps: int = 0
    resyncs: int = 0
    tokens: int = 0


class Tab:
    """``url``: the server's. Open until ``close``; ``page`` is what it shows now."""

    def __init__(
        self,
        url: str,
        path: str = "/",
        *,
        token: str = "",
        origin: str = "",
        on_frame: Callable[[Frame], None] | None = None,
    ) -> None:
        """``origin``: the page's address, if that is not ``url``."""
        self.url = url
        self.path = path
        self.origin = origin or url
        self.page = PageModel()
        self.outbox: dict[str, Draft] = {}
        self.counts = Counts()
        self.gaps: list[str] = []
        self._token = token or str(uuid.uuid4())
        self._on_frame = on_frame
        self._socket: ClientConnection | None = None
        self._frozen: list[ClientConnection] = []
        self._living: asyncio.Task[None] | None = None
        self._asked_at = 0.0
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def open(self) -> None:
        """From now on be there, whatever the server does."""
        self._living = asyncio.create_task(self._live(), name="tab")

    async def close(self) -> None:
        """Close the tab. What it sent and was not accepted is as lost as with a closed browser tab."""
        if self._living is not None:
            self._living.cancel()
            with suppress(asyncio.CancelledError):
                await self._living
        self._living = None
        for old in self._frozen:
            old.transport.abort()
        self._frozen.clear()

    async def reload(self) -> None:
        """The same tab with an empty page; a draft survives it."""
        await self.close()
        self.page = PageModel()
        self.open()

    async def cut(self) -> None:
        """Break the connection with a TCP RST. It comes back by itself."""
        if self._socket is not None:
            reset(self._socket)

    async def freeze(self) -> None:
        """Leave the socket as it is, unread and unanswered, and come back on another: a machine that slept."""
        old, living = self._socket, self._living
        if old is None or living is None:
            return
        self._frozen.append(old)
        living.cancel()
        with suppress(asyncio.CancelledError):
            await living
        self.page.disconnected()
        self.open()

    async def go(self, path: str) -> None:
        """Navigate within the app."""
        self.path = path
        self.page = PageModel()
        await self.call(ON_LOAD)

    async def call(self, handler: str, **payload: Any) -> None:
        """Call ``Live.<handler>``, or any handler by its full name. Lost where there is no connection."""
        name = handler if "." in handler else f"{LIVE}.{handler}"
        await self._send(page_socket.packet(page_socket.event(name, payload, self.path)))

    async def ask(self, text: str, model: str, client_id: str | None = None) -> str:
        """Send a message; again after every reconnect until it is accepted or refused."""
        draft = Draft(client_id or str(uuid.uuid4()), text, model)
        self.outbox[draft.client_id] = draft
        if self.page.opened:
            await self._post(draft)
        return draft.client_id

    async def until(
        self,
        found: Callable[[], Any],
        timeout: float = 60,  # noqa: ASYNC109 its own words
        what: str = "what was waited for",
    ) -> None:
        """Until this is true, looked at after every frame."""
        try:
            async with asyncio.timeout(timeout):
                while not found():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            shown = [(m.id, m.status, len(m.text)) for m in self.page.messages.values()][-2:]
            raise AssertionError(
                f"{what} did not come in {timeout:g} s at {self.path}: opened={self.page.opened} {shown} "
                f"outbox={list(self.outbox)} said={self.page.said[-2:]}"
            ) from None

    # Being there

    async def _live(self) -> None:
        failures = 0
        while True:
            try:
                await self._one_socket()
                failures = 0
            except AWAY:
                failures += 1
            self.page.disconnected()
            await asyncio.sleep(PAUSES[min(failures, len(PAUSES)) - 1 if failures else 0])

    async def _one_socket(self) -> None:
        socket = await connect(
            page_socket.address(self.url, self._token),
            origin=Origin(self.origin),
            max_size=None,
            open_timeout=60,
            close_timeout=1,
            ping_interval=None,
        )
        self._socket = socket
        self.counts.sockets += 1
        try:
            await socket.recv()
            await self._send(page_socket.hello(self.path))
            async for data in socket:
                if data == PING:
                    await self._send(PONG)
                elif isinstance(data, str) and data.startswith(EVENT) and any(word in data for word in READ):
                    await self._take(*page_socket.parsed(data))
        finally:
            self._socket = None
            if socket not in self._frozen:
                await socket.close()

    async def _take(self, name: str, *data: Any) -> None:
        if name == "new_token":
            self._token = data[0]
            self.counts.tokens += 1
        elif name == "event":
            (update,) = data
            if frame := page_socket.frame_of(update):
                await self._frame(frame)
            if path := page_socket.begun_in(update):
                await self.go(path)

    async def _frame(self, frame: Frame) -> None:
        self.counts.frames += 1
        if self._on_frame is not None:
            self._on_frame(frame)
        fits = self.page.feed(frame)
        for done in (*self.page.sent, *self.page.refused):
            self.outbox.pop(done, None)
        if frame.get("k") == "open":
            for draft in list(self.outbox.values()):
                await self._post(draft)
        elif not fits:
            self.counts.gaps += 1
            self.gaps.append(self.page.gaps[-1])
            await self._resync()
        self._changed.set()

    async def _resync(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._asked_at >= RESYNC_SECONDS:
            self._asked_at = now
            self.counts.resyncs += 1
            await self.call("follow")

    async def _post(self, draft: Draft) -> None:
        await self.call("send", text=draft.text, client_id=draft.client_id, model=draft.model)

    async def _send(self, data: str) -> None:
        if self._socket is not None:
            with suppress(WebSocketException, OSError):
                await self._socket.send(data)


def reset(socket: ClientConnection) -> None:
    """Close with a TCP RST."""
    raw = socket.transport.get_extra_info("socket")
    with suppress(OSError):
        raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, struct.pack("ii", 1, 0))
    socket.transport.abort()
