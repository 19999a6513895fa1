"""A tab without a browser: speaks Reflex's socket by hand (Engine.IO 4, Socket.IO 5), politely or not.

Knows the names of handlers, nothing of the page. A reader thread keeps everything that comes and answers pings,
until ``freeze`` makes it a tab whose machine fell asleep.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from devservers import page_socket
from devservers.page_socket import CHATS, EVENT, LIVE, NAMESPACE, ON_LOAD, PING, PONG

PATIENCE = 60.0  # seconds


class RawTab:
    """One socket. ``updates``: every state update; ``frames``: every value of ``Live.f``, in order."""

    def __init__(
        self,
        url: str,
        path: str = "/",
        *,
        token: str | None = None,
        origin: str | None = "",
        boot: bool = True,
        headers: dict[str, str] | None = None,
    ) -> None:
        """``origin=""``: the app's own; ``None``: none. Raises what the handshake raises."""
        self.path = path
        self.token = token or str(uuid.uuid4())
        self.updates: list[dict[str, Any]] = []
        self.frames: list[dict[str, Any]] = []
        self.raw: list[str | bytes] = []
        self.new_tokens: list[str] = []
        self.closed = False
        self._frozen = False
        self._changed = threading.Condition()
        self._connection = connect(  # pyrefly: ignore[no-matching-overload] an origin of any text, on purpose
            page_socket.address(url, self.token),
            origin=(url if origin == "" else origin),
            additional_headers=headers,
            max_size=None,
            open_timeout=PATIENCE,
            close_timeout=2,
        )
        self._socket = self._connection.__enter__()
        self._reader = threading.Thread(target=self._read, name="raw tab", daemon=True)
        self._reader.start()
        self._send(page_socket.hello(path if boot else None))

    def __enter__(self) -> RawTab:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def event(self, name: str, /, **payload: Any) -> dict[str, Any]:
        return page_socket.event(name, payload, self.path)

    def emit(self, data: Any, event: str = "event") -> None:
        self._send(page_socket.packet(data, event))

    def emit_binary(self, data: bytes, event: str = "event") -> None:
        """The payload is bytes: a packet with an attachment."""
        self._send(f"451-{NAMESPACE},{json.dumps([event, {'_placeholder': True, 'num': 0}])}")
        self._send(data)

    def send_raw(self, *packets: str | bytes) -> None:
        """Frames as they are."""
        for packet in packets:
            self._send(packet)

    def call(self, handler: str, /, **payload: Any) -> None:
        """Call ``Live.<handler>``, or any handler by its full name."""
        self.emit(self.event(handler if "." in handler else f"{LIVE}.{handler}", **payload))

    def send(self, text: Any, model: Any = "openai:tour", client_id: Any = None) -> str:
        client_id = client_id if client_id is not None else str(uuid.uuid4())
        self.call("send", text=text, client_id=client_id, model=model)
        return client_id

    def go(self, path: str) -> None:
        """Navigate, as the page does to what it has begun."""
        self.path = path
        self.call(ON_LOAD)

    def freeze(self) -> None:
        """Stay connected and do nothing any more."""
        self._frozen = True

    def wait(self, found: Callable[[], Any], timeout: float = PATIENCE, what: str = "it") -> Any:
        """The first true value of ``found``, which is asked after everything that comes."""
        end = time.monotonic() + timeout
        with self._changed:
            while not (value := found()):
                assert not self.closed, f"the socket was closed before {what} came: {self.raw[-3:]}"
                left = end - time.monotonic()
                assert left > 0, f"{what} did not come: {json.dumps(self.frames[-3:])[:1000]}"
                self._changed.wait(min(left, 0.5))
            return value

    def frame(self, kind: str, timeout: float = PATIENCE, after: int = 0) -> dict[str, Any]:
        """The first frame of this kind after the first ``after`` frames."""
        return self.wait(lambda: next((f for f in self.frames[after:] if f.get("k") == kind), None), timeout, kind)

    def ending(self, timeout: float = PATIENCE) -> str:
        """The status of the last answer, once it has ended: before or after the tab opened its conversation."""

        def ended() -> str | None:
            last = next((f for f in reversed(self.frames) if f.get("k") in ("open", "end")), {})
            status = last["status"] if last.get("k") == "end" else (last.get("messages") or [{}])[-1].get("status")
            return None if status == "streaming" else status

        return self.wait(ended, timeout, "the end")

    def latest_rows(self) -> list[dict[str, Any]]:
        """The list of conversations as it was last sent."""
        sent = [(update.get("delta") or {}).get(CHATS) or {} for update in self.updates]
        rows: dict[str, dict[str, Any]] = {}
        for values in sent:
            if (whole := values.get("rows_rx_state_")) is not None:
                rows = {row["id"]: row for row in whole}
        changes = next((values["changes_rx_state_"] for values in reversed(sent) if "changes_rx_state_" in values), {})
        rows |= {row["id"]: row for row in changes.get("rows", ())}
        left = [row for row in rows.values() if row["id"] not in changes.get("gone", ())]
        return sorted(left, key=lambda row: (row.get("pinned", False), row["when"]), reverse=True)

    def begun(self, timeout: float = PATIENCE) -> str:
        """The path of the conversation that the page has begun, to which it goes."""

        def found() -> str | None:
            return next(filter(None, map(page_socket.begun_in, self.updates)), None)

        return self.wait(found, timeout, "a new conversation")

    def wait_closed(self, timeout: float = PATIENCE) -> bool:
        """Whether the server closed the socket within this time."""
        self._reader.join(timeout)
        return self.closed

    def close(self) -> None:
        self._connection.__exit__(None, None, None)
        self._reader.join(5)

    def _send(self, data: str | bytes) -> None:
        with suppress(ConnectionClosed):
            self._socket.send(data)

    def _read(self) -> None:
        try:
            for message in self._socket:
                if not self._frozen:
                    self._take(message)
        except (ConnectionClosed, OSError):
            pass  # said by ``closed``
        with self._changed:
            self.closed = True
            self._changed.notify_all()

    def _take(self, message: str | bytes) -> None:
        if message == PING:
            self._send(PONG)
            return
        with self._changed:
            self.raw.append(message)
            if isinstance(message, str) and message.startswith(EVENT):
                name, *data = page_socket.parsed(message)
                if name == "new_token":
                    self.new_tokens.append(data[0])
                elif name == "event":
                    self._update(data[0])
            self._changed.notify_all()

    def _update(self, update: dict[str, Any]) -> None:
        self.updates.append(update)
        if frame := page_socket.frame_of(update):
            self.frames.append(frame)
