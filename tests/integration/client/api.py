"""A server of one run that speaks the HTTP API and fails as it is told, connection by connection.

Real sockets, no app: what a client meets when a server restarts, a proxy cuts in, or a version is newer.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from streamchat.chat.events import Event
from streamchat.chat.fold import fold
from streamchat.chat.messages import Message
from streamchat.chat.wire import message_from_wire, message_to_wire
from tests.support.loop import LoopThread
from tests.unit.client.wire import RUN, encode


@dataclass
class Fault:
    """How a connection to the events goes: ``status`` instead of a stream, or this many bytes and a close.

    ``pings``: so many heartbeats, 50 ms apart, before it closes.
    """

    status: int = 200
    cut: int | None = None
    pings: int = 0
    headers: str = ""
    body: bytes = b""


@dataclass
class Api:
    """``faults`` are used up one by one, by requests for events or, ``starts``, by starts."""

    events: Sequence[Event]
    faults: list[Fault] = field(default_factory=list)
    starts: list[Fault] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    bodies: list[dict] = field(default_factory=list)
    hold: asyncio.Event | None = None
    before: bytes = b""

    def serve(self, loop: LoopThread) -> str:
        """Start; the address."""
        self._server = loop.run(asyncio.start_server(self._answer, "127.0.0.1", 0))
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def close(self, loop: LoopThread) -> None:
        async def close() -> None:
            self._server.close()

        loop.run(close())

    @property
    def message(self) -> Message:
        return fold(Message(RUN, "assistant", status="streaming", model="m"), self.events)

    @property
    def public(self) -> Message:
        """The message as a reader gets it."""
        return message_from_wire(message_to_wire(self.message))

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            method, path, _ = head.split("\r\n")[0].split(" ")
            length = next((int(x[15:]) for x in head.lower().split("\r\n") if x.startswith("content-length:")), 0)
            body = await reader.readexactly(length)
            self.asked.append((method, path))
            if method == "POST":
                self.bodies.append(json.loads(body))
                self._say(writer, self.starts, {"run_id": RUN, "conversation_id": "c", "message_id": RUN}, 201)
            elif "/events" in path:
                await self._stream(writer, int(path.partition("after=")[2] or 0))
            else:
                run = {"run_id": RUN, "conversation_id": "c", "status": self.message.status}
                self._say(writer, [], {**run, "seq": len(self.events), "message": message_to_wire(self.message)})
            await writer.drain()
        writer.close()

    def _say(self, writer: asyncio.StreamWriter, faults: list[Fault], body: dict, status: int = 200) -> None:
        fault = faults.pop(0) if faults else Fault(status, body=json.dumps(body).encode())
        if fault.cut is None:
            head = f"HTTP/1.1 {fault.status} x\r\ncontent-length: {len(fault.body)}\r\n{fault.headers}connection: close"
            writer.write(head.encode() + b"\r\n\r\n" + fault.body)

    async def _stream(self, writer: asyncio.StreamWriter, after: int) -> None:
        fault = self.faults.pop(0) if self.faults else Fault()
        if fault.status != 200:
            self._say(writer, [fault], {})
            return
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        if fault.body:
            writer.write(fault.body)
            return
        data = b": hello\n\n" + self.before
        data += b"".join(encode(n, e) for n, e in enumerate(self.events, 1) if n > after)
        if fault.cut is not None:
            writer.write(data[: fault.cut])
            for _ in range(fault.pings):
                await asyncio.sleep(0.05)
                writer.write(b":\n\n")
            return
        if self.hold is not None:
            writer.write(data[: len(data) // 2])
            await self.hold.wait()
            data = data[len(data) // 2 :]
        writer.write(data + b"data: [DONE]\n\n")
