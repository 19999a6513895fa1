"""Playback of a script: sends one response on a connection, with its timing and its faults.

Knows the clock and the faults, but neither the bytes (``wire_*``) nor the socket (``peer``). Rules:

* A token is never sent before it is due. If the playback is late, it sends the tokens that are due one by one.
* The journal records the time of a token just before its bytes are written to the socket.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from streamchat.simulator import sse_writer
from streamchat.simulator.journal import Record
from streamchat.simulator.peer import Peer
from streamchat.simulator.request import Ask
from streamchat.simulator.script import Script
from streamchat.simulator.steps import TOKENS, End, Fault, Step, Text, whole
from streamchat.simulator.wire_format import Problem, Reply, Stream, Wire

_HEADERS = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
_PING = 0.25
_FOREVER = 86_400.0
_HTML = b"<!doctype html><html><head><title>Welcome</title></head><body><h1>It works!</h1></body></html>"
_ENDLESS = 256 << 20


@dataclass
class Play:
    """One response. ``key``: the client's API key; ``started``: arrival of the request, in monotonic seconds."""

    peer: Peer
    wire: Wire
    ask: Ask
    script: Script
    record: Record
    key: str
    started: float

    async def run(self) -> None:
        """Send the response or its fault. Cancelled when the client closes the connection."""
        fault = self.record.fault = self.script.before
        if fault is not None and fault != "slow-headers":
            await self._instead(fault)
        elif self.ask.stream:
            await self._stream(drip=fault is not None)
        else:
            await self._whole(drip=fault is not None)

    async def _instead(self, fault: str) -> None:
        match fault:
            case "hang":
                await asyncio.sleep(_FOREVER)
            case "endless-header":
                await self.peer.endless_header(_ENDLESS)
            case "html":
                await self._reply(Reply(200, _HTML, "text/html; charset=utf-8"))
            case "empty":
                await self._reply(Reply(200, b"", _HEADERS["content-type"]))
            case "rate-limited":
                await self._problem(fault, self.script.words.retry_after)
            case _:
                await self._problem(fault)

    async def _problem(self, kind: str, retry_after: float | None = None) -> None:
        await self._reply(self.wire.problem(Problem(kind, self.ask.scene, self.key, retry_after)))

    async def _reply(self, reply: Reply) -> None:
        self.record.status = reply.status
        await self.peer.reply(reply)

    async def _stream(self, drip: bool) -> None:
        self.record.status = 200
        await self.peer.head(200, _HEADERS | {"x-request-id": f"req_sim{self.record.id:08d}"}, drip=drip)
        stream = self.wire.stream(self.ask, self.record.id, time.time())
        pending: list[tuple[Step, bytes]] = [(End(), stream.open())]
        sizes, room, token = sse_writer.bursts(self.script.words.seed), 1, 0
        for step in self.script.steps:
            if isinstance(step, Fault):
                await self._flush(pending)
                return await self._break(step.kind, stream)
            if isinstance(step, TOKENS):
                if not token:
                    await self._until(self.script.due(0))
                    await self._flush(pending)  # the opening is sent with the first token, but in its own write
                room -= 1
                token += 1
            pending.append((step, stream.step(step)))
            if room <= 0 and isinstance(step, TOKENS):
                await self._until(self.script.due(token - 1))
                if not token % 8:
                    await asyncio.sleep(0)  # at full speed, let other tasks run too
                await self._flush(pending)
                room = next(sizes) if self.script.chunk == "burst" else 1
        await self._flush(pending)
        self.record.fault = self.script.after
        if self.script.after == "stay-open":
            await asyncio.sleep(_FOREVER)
        await self.peer.end()

    async def _flush(self, pending: list[tuple[Step, bytes]]) -> None:
        """Send all pending events in one write, unless ``chunk`` is ``byte`` or ``split``."""
        payload = b"".join(data for _, data in pending)
        now = time.time()
        for step, _ in pending:
            self.record.sent(step, now)
        pending.clear()
        if payload:
            await self.peer.send(sse_writer.cut(payload, self.script.chunk), apart=self.script.chunk == "split")

    async def _until(self, due: float) -> None:
        delay = self.started + due - time.monotonic()
        if delay > 0:
            await asyncio.sleep(delay)

    async def _break(self, kind: str, stream: Stream) -> None:
        self.record.fault = kind
        match kind:
            case "stall":
                while True:
                    await asyncio.sleep(_PING)
                    await self.peer.send((stream.ping(),))
            case "reset":
                await asyncio.sleep(0.02)  # lets the client read the tokens before the reset
                self.peer.reset()
            case "cut":
                await self.peer.end()
            case "bad-json":
                event = stream.step(Text(" half an object"))
                await self.peer.send((event[: event.rindex(b"half")] + b"\n\n",))
                await self.peer.end()
            case "bad-utf8" | "huge-chunk":
                before, after = sse_writer.around(lambda text: stream.step(Text(text)))
                await self.peer.send((before,))
                if kind == "bad-utf8":
                    await self.peer.send((b"\xff\xfe",))
                else:
                    await self.peer.fill(self.script.words.size)
                await self.peer.send((after, stream.step(End())))
                await self.peer.end()
            case _:
                await self.peer.send((stream.error(kind),))
                await self.peer.end()

    async def _whole(self, drip: bool) -> None:
        steps: list[Step] = []
        token = 0
        fault = None
        for step in self.script.steps:
            if isinstance(step, Fault):
                fault = self.record.fault = step.kind
                break
            steps.append(step)
            token += isinstance(step, TOKENS)
        await self._until(self.script.due(max(0, token - 1)))
        if fault == "stall":
            await asyncio.sleep(_FOREVER)
        if fault in ("overloaded-after", "error-event"):
            return await self._problem("overloaded")
        body = sse_writer.dump(self.wire.whole(self.ask, whole(steps), self.record.id, time.time()))
        if fault == "bad-json":
            return await self._reply(Reply(200, body[: len(body) // 2]))
        if fault == "bad-utf8":
            return await self._reply(Reply(200, body[:-1] + b', "x": "\xff"}'))
        self.record.status = 200
        headers = {"content-type": "application/json", "content-length": str(len(body))}
        if fault in ("cut", "reset"):
            await self.peer.short(200, headers, body[: len(body) // 2])
            await asyncio.sleep(0.02)
            if fault == "reset":
                self.peer.reset()
            return
        now = time.time()
        for step in steps:
            self.record.sent(step, now)
        await self.peer.head(200, headers, drip=drip)
        await self.peer.send((body,))
        await self.peer.end()
