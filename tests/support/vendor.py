"""A chat completions server on loopback that says what a test wants it to say.

Knows no scene: ``answer`` is a function from the request's body to a ``Reply``. Real sockets, so that the app's own
SDK, decoder and errors are what is tested.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from tests.support.loop import LoopThread


@dataclass(frozen=True)
class Reply:
    """``deltas`` (texts, or whole delta objects) are streamed ``pause`` seconds apart; with another status than 200,
    ``body`` is sent instead. ``error``: an error object that breaks the stream off after the deltas. ``turns``: each
    delta takes one of them, and waits for it. ``last``: a chunk of its own before the end."""

    deltas: Sequence[str | dict[str, Any]] = ()
    pause: float = 0.0
    turns: threading.Semaphore | None = None
    status: int = 200
    body: str = ""
    error: dict[str, Any] | None = None
    last: dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)


def says(*deltas: str, pause: float = 0.0) -> Callable[[dict[str, Any]], Reply]:
    """Always the same answer."""
    return lambda _request: Reply(deltas, pause)


class Vendor:
    """``requests``: the bodies that came, oldest first; ``keys``: the API key of each."""

    def __init__(self, loop: LoopThread) -> None:
        self._loop = loop
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.answer: Callable[[dict[str, Any]], Reply] = says("Hello.")
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self, port: int = 0) -> Vendor:
        self._loop.run(self._start(port))
        return self

    def close(self) -> None:
        self._loop.run(self._close())

    async def _start(self, port: int) -> None:
        self._server = await asyncio.start_server(self._client, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client went, or the test ends: both are how a connection ends here
        finally:
            self._tasks.discard(task)
            writer.close()
            with suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if not first.startswith("POST "):
            writer.write(b"HTTP/1.1 404 X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            return
        request = json.loads(await reader.readexactly(int(headers.get("content-length", 0))))
        self.requests.append(request)
        self.keys.append(headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer "))
        reply = self.answer(request)
        kind = "text/event-stream" if reply.status == 200 else "application/json"
        headers = {"content-type": kind, "connection": "close"} | reply.headers
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"HTTP/1.1 {reply.status} X\r\n{lines}\r\n".encode())
        if reply.status != 200:
            writer.write(reply.body.encode())
            await writer.drain()
            return
        for delta in reply.deltas:
            while reply.turns is not None and not reply.turns.acquire(blocking=False):
                await asyncio.sleep(0.005)
            writer.write(_event(delta if isinstance(delta, dict) else {"content": delta}))
            await writer.drain()
            if reply.pause:
                await asyncio.sleep(reply.pause)
        if reply.error is not None:
            writer.write(b"data: " + json.dumps({"error": reply.error}).encode() + b"\n\n")
        else:
            last = b"" if reply.last is None else b"data: " + json.dumps(reply.last).encode() + b"\n\n"
            writer.write(_event({}, "stop") + last + b"data: [DONE]\n\n")
        await writer.drain()


def _event(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"
