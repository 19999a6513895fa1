"""A server of the Responses API on loopback that generates in the background, as OpenAI does.

A response with ``background`` goes on without its client: its events are numbered, kept, and streamed again after
``starting_after``; it can be read as a whole, and cancelled. Without ``background`` it ends with its connection.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

Item = dict[str, Any]
ENDS = ("response.completed", "response.incomplete", "response.failed", "response.cancelled")


def message(*words: str) -> Item:
    """A message whose text comes in these pieces."""
    return {"type": "message", "role": "assistant", "pieces": list(words)}


def reasoning(*words: str) -> Item:
    """A summary of the model's reasoning, with encrypted content."""
    return {"type": "reasoning", "pieces": list(words)}


def call(name: str, *pieces: str) -> Item:
    """A call whose arguments come in these pieces."""
    return {"type": "function_call", "name": name, "pieces": list(pieces)}


@dataclass
class Response:
    """One response. ``generated``: its events so far. ``room``: how many more may be generated; ``None``: all."""

    id: str
    events: list[dict[str, Any]]
    background: bool
    room: int | None = None
    generated: list[dict[str, Any]] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def ended(self) -> bool:
        return bool(self.generated) and self.generated[-1]["type"] in ENDS

    @property
    def whole(self) -> dict[str, Any]:
        """The response as JSON."""
        last = self.generated[-1] if self.generated else {}
        return last["response"] if self.ended else {"id": self.id, "status": "in_progress", "output": []}


@dataclass
class StoredResponses:
    """``answers``: the items of each answer, in the order of the requests; the last one again and again.

    ``breaks``: for each streaming connection, after how many events it breaks and how (``reset``, ``cut`` or
    ``garbage``); connections without an entry stay whole. ``pace``: seconds between events. ``room``: how many events
    of a response are generated before ``go``; ``rooms``: the same for the first responses. ``lookup``: the status of
    every ``GET``; ``streams``: whether it may stream. ``refuses``: the error message of a request with ``background``.
    """

    answers: Sequence[Sequence[Item]] = ((message("Hello", "."),),)
    breaks: list[tuple[int, str]] = field(default_factory=list)
    pace: float = 0.0
    room: int | None = None
    rooms: list[int | None] = field(default_factory=list)
    lookup: int = 200
    streams: bool = True
    refuses: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    read: list[dict[str, str]] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    responses: dict[str, Response] = field(default_factory=dict)
    port: int = 0

    def __post_init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def __aenter__(self) -> StoredResponses:
        self._server = await asyncio.start_server(self._client, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def go(self, room: int | None = None) -> None:
        """Generate so many more events of every response; ``None``: the rest."""
        self.room = room
        for response in self.responses.values():
            async with response.changed:
                response.room = room
                response.changed.notify_all()

    async def reached(self, true: Callable[[], object]) -> None:
        """Wait until this is true of the server."""
        while not true():
            await asyncio.sleep(0.005)

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(task := asyncio.current_task())  # pyrefly: ignore[bad-argument-type]
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client went, or the test ends
        finally:
            self._tasks.discard(task)
            writer.close()
            with suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, target, _ = head.split(" ", 2)
        url = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        lengths = [line.partition(":")[2] for line in head.lower().split("\r\n") if line.startswith("content-length:")]
        body = await reader.readexactly(int(lengths[0])) if lengths else b""
        name = url.path.removeprefix("/v1/responses").strip("/")
        if method == "POST" and not name:
            await self._begin(json.loads(body), writer)
        elif method == "POST" and name.endswith("/cancel"):
            await self._cancel(name.removesuffix("/cancel"), writer)
        else:
            await self._look_up(name, query, writer)

    async def _begin(self, request: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        self.asked.append(request)
        if self.refuses and request.get("background"):
            return await _json(writer, 400, {"error": {"message": self.refuses, "type": "invalid_request_error"}})
        number = len(self.asked)
        items = self.answers[min(number, len(self.answers)) - 1]
        response = Response(f"resp_{number}", _events(f"resp_{number}", items), bool(request.get("background")))
        response.room = self.rooms.pop(0) if self.rooms else self.room
        if response.background:
            self.responses[response.id] = response
            assert request.get("store") is True
        self._spawn(self._generate(response))
        await self._stream(response, -1, writer)

    async def _look_up(self, name: str, query: dict[str, str], writer: asyncio.StreamWriter) -> None:
        self.read.append({"id": name, **query})
        response = self.responses.get(name)
        if response is None or self.lookup != 200:
            status = 404 if response is None else self.lookup
            text = f"Response with id '{name}' not found."
            return await _json(writer, status, {"error": {"message": text, "type": "invalid_request_error"}})
        if query.get("stream") != "true":
            return await _json(writer, 200, response.whole)
        if not self.streams:
            text = "This response can no longer be streamed because it is more than 5 minutes old."
            return await _json(writer, 400, {"error": {"message": text, "type": "invalid_request_error"}})
        await self._stream(response, int(query.get("starting_after", -1)), writer)

    async def _cancel(self, name: str, writer: asyncio.StreamWriter) -> None:
        self.cancelled.append(name)
        response = self.responses.get(name)
        if response is None:
            return await _json(writer, 404, {"error": {"message": "not found"}})
        async with response.changed:
            if not response.ended:
                whole = {"id": name, "status": "cancelled", "output": []}
                event = {"type": "response.cancelled", "sequence_number": len(response.generated), "response": whole}
                response.generated.append(event)
                response.changed.notify_all()
        await _json(writer, 200, response.whole)

    async def _generate(self, response: Response) -> None:
        for event in response.events:
            if self.pace:
                await asyncio.sleep(self.pace)
            async with response.changed:
                await response.changed.wait_for(lambda: response.room is None or response.room > 0 or response.ended)
                if response.ended:
                    return
                if response.room is not None:
                    response.room -= 1
                response.generated.append(event)
                response.changed.notify_all()

    async def _stream(self, response: Response, after: int, writer: asyncio.StreamWriter) -> None:
        limit, how = self.breaks.pop(0) if self.breaks else (None, "")
        writer.write(b"HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        at = after + 1
        while True:
            async with response.changed:
                await response.changed.wait_for(lambda: len(response.generated) > at)  # noqa: B023
                new = response.generated[at:]
            for event in new:
                if limit == 0:
                    return await _break(writer, how)
                writer.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
                await writer.drain()
                limit = None if limit is None else limit - 1
                at += 1
            if response.ended and at == len(response.generated):
                if limit is not None:
                    await _break(writer, how)
                return


async def _json(writer: asyncio.StreamWriter, status: int, body: dict[str, Any]) -> None:
    data = json.dumps(body).encode()
    head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(data)}\r\n"
    writer.write(f"{head}connection: close\r\n\r\n".encode() + data)
    await writer.drain()


async def _break(writer: asyncio.StreamWriter, how: str) -> None:
    if how == "garbage":
        writer.write(b"data: {half an obj\n\n")
        await writer.drain()
    elif how == "reset":
        await asyncio.sleep(0.02)  # lets the client read what came before
        peer = writer.get_extra_info("socket")
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()


def _events(response_id: str, items: Sequence[Item]) -> list[dict[str, Any]]:
    """The events of a whole response, numbered from 0."""
    frame = {"id": response_id, "object": "response", "status": "in_progress", "output": []}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": frame},
        {"type": "response.in_progress", "response": frame},
    ]
    output = []
    for index, item in enumerate(items):
        whole, deltas = _MAKERS[item["type"]](f"{response_id}_{index}", item["pieces"], item)
        start = {key: value for key, value in whole.items() if key not in ("content", "summary", "encrypted_content")}
        start = {**start, "status": "in_progress"} | ({"arguments": ""} if item["type"] == "function_call" else {})
        events.append({"type": "response.output_item.added", "output_index": index, "item": start})
        events += [{**delta, "item_id": whole["id"], "output_index": index} for delta in deltas]
        events.append({"type": "response.output_item.done", "output_index": index, "item": whole})
        output.append(whole)
    usage = {"input_tokens": 10, "output_tokens": 5}
    complete = {**frame, "status": "completed", "output": output, "usage": usage}
    events.append({"type": "response.completed", "response": complete})
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def _message(item_id: str, pieces: list[str], _: Item) -> tuple[Item, list[Item]]:
    text = "".join(pieces)
    deltas = [{"type": "response.output_text.delta", "content_index": 0, "delta": piece} for piece in pieces]
    done = {"type": "response.output_text.done", "content_index": 0, "text": text}
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"id": item_id, "type": "message", "role": "assistant", "content": content}, [*deltas, done]


def _reasoning(item_id: str, pieces: list[str], _: Item) -> tuple[Item, list[Item]]:
    deltas = [{"type": "response.reasoning_summary_text.delta", "summary_index": 0, "delta": piece} for piece in pieces]
    done = {"type": "response.reasoning_summary_text.done", "summary_index": 0, "text": "".join(pieces)}
    summary = [{"type": "summary_text", "text": "".join(pieces)}]
    return {"id": item_id, "type": "reasoning", "summary": summary, "encrypted_content": "sealed"}, [*deltas, done]


def _call(item_id: str, pieces: list[str], item: Item) -> tuple[Item, list[Item]]:
    arguments = "".join(pieces)
    deltas = [{"type": "response.function_call_arguments.delta", "delta": piece} for piece in pieces]
    done = {"type": "response.function_call_arguments.done", "arguments": arguments}
    whole = {"id": item_id, "type": "function_call", "call_id": f"c_{item_id}", "name": item["name"]}
    return {**whole, "arguments": arguments}, [*deltas, done]


_MAKERS = {"message": _message, "reasoning": _reasoning, "function_call": _call}
