"""CPU per chunk from the socket to the folded message, beside iterating the SDK's own typed chunks.

Before that: what handing a conversation to the SDK costs, in which the event loop stands still, with and without a look
at each message.

The same bytes: once over loopback from another process, paced so that each chunk is one read, each with
its own HTTP client, and once without any socket through the same client, so that only the reading differs.

Run: ``python -m bench.decode``. Prints a table; ``GOALS`` are shares of what the SDK needs over loopback.
"""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from functools import partial
from time import process_time_ns
from typing import Any

import anthropic
import httpx2
import openai

from bench.measure import timed
from bench.tables import number, percentile, show
from streamchat.chat.fold import Folding
from streamchat.chat.messages import Message, TextPart
from streamchat.chat.request import Request
from streamchat.providers.anthropic.messages import Anthropic
from streamchat.providers.endpoint import as_it_is
from streamchat.providers.openai.chat import KNOWN, OpenAIChat, chat_body
from streamchat.providers.openai.responses import OpenAIResponses
from streamchat.providers.sdk_client import SdkClient

CHUNKS = 2000
ROUNDS = 4
PACE = 0.0005
GOALS = {"chat": 0.45, "responses": 0.45, "anthropic": 1.0}
PATHS = {"chat": b"/chat/completions ", "responses": b"/responses ", "anthropic": b"/v1/messages "}
WORDS = [f"word{i % 97} " for i in range(CHUNKS)]
REQUEST = Request("gpt-4o", (Message("u", "user", (TextPart("hi"),)),))


def frame(data: dict[str, Any], named: bool = True) -> bytes:
    name = f"event: {data['type']}\n" if named else ""
    return f"{name}data: {json.dumps(data, separators=(',', ':'))}\n\n".encode()


def chat_frames() -> list[bytes]:
    same = {"id": "chatcmpl-BenchBenchBenchBench", "object": "chat.completion.chunk", "created": 1790000000,
            "model": "gpt-4o-2024-08-06", "service_tier": "default", "system_fingerprint": "fp_0123456789"}  # fmt: skip

    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return frame({**same, "choices": [choice], "usage": None, "obfuscation": "abcdefgh"}, named=False)

    usage = {"prompt_tokens": 9, "completion_tokens": CHUNKS, "total_tokens": CHUNKS + 9}
    end = frame({**same, "choices": [], "usage": usage}, named=False)
    first = chunk({"role": "assistant", "content": "", "refusal": None})
    return [first, *(chunk({"content": word}) for word in WORDS), chunk({}, "stop"), end, b"data: [DONE]\n\n"]


def responses_frames() -> list[bytes]:
    item = {"id": "msg_0123456789", "type": "message", "status": "in_progress", "content": [], "role": "assistant"}
    response = {
        **{"id": "resp_0123456789", "object": "response", "created_at": 1790000000, "status": "in_progress"},
        **{"model": "gpt-4o", "output": [], "parallel_tool_calls": True, "tool_choice": "auto", "tools": []},
    }
    usage = {
        **{"input_tokens": 9, "output_tokens": CHUNKS, "total_tokens": CHUNKS + 9},
        **{"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}},
    }
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": response},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
    ]
    place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    events += [{"type": "response.output_text.delta", **place, "delta": word, "logprobs": []} for word in WORDS]
    events += [{"type": "response.completed", "response": {**response, "status": "completed", "usage": usage}}]
    return [frame({**event, "sequence_number": number}) for number, event in enumerate(events)]


def anthropic_frames() -> list[bytes]:
    message = {
        **{"id": "msg_0123456789", "type": "message", "role": "assistant", "content": [], "model": "claude"},
        **{"stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 9, "output_tokens": 1}},
    }
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    ]
    for word in WORDS:
        delta = {"type": "text_delta", "text": word}
        events.append({"type": "content_block_delta", "index": 0, "delta": delta})
    events += [
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": CHUNKS}},
        {"type": "message_stop"},
    ]
    return [frame(event) for event in events]


FRAMES = {"chat": chat_frames, "responses": responses_frames, "anthropic": anthropic_frames}


class Pieces(httpx2.AsyncByteStream):
    def __init__(self, frames: list[bytes]) -> None:
        self._frames = frames

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._frames:
            yield piece


class InProcess(httpx2.AsyncBaseTransport):
    """Answers every request with the same pieces, without a socket."""

    def __init__(self, frames: list[bytes]) -> None:
        self._frames = frames

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        headers = {"content-type": "text/event-stream"}
        return httpx2.Response(200, headers=headers, stream=Pieces(self._frames), request=request)


async def serve() -> None:
    """The other process: any request is answered with the frames of the kind that its path names."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        kind = next(kind for kind, path in PATHS.items() if path in head)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in FRAMES[kind]():
            writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            await asyncio.sleep(PACE)
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def ours(provider: Any) -> int:
    folding = Folding(Message("a", "assistant", status="streaming"))
    async for event in provider.stream(REQUEST):
        folding.add(event)
    return len(folding.message.text)


async def sdk_chat(client: openai.AsyncOpenAI) -> int:
    length = 0
    stream = await client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "hi"}], stream=True
    )
    async for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            length += len(chunk.choices[0].delta.content)
    return length


async def sdk_responses(client: openai.AsyncOpenAI) -> int:
    length = 0
    async for event in await client.responses.create(model="gpt-4o", input="hi", stream=True):
        if event.type == "response.output_text.delta":
            length += len(event.delta)
    return length


async def sdk_anthropic(client: anthropic.AsyncAnthropic) -> int:
    length = 0
    stream = await client.messages.create(
        model="claude", max_tokens=99, messages=[{"role": "user", "content": "hi"}], stream=True
    )
    async for event in stream:
        if event.type == "content_block_delta" and event.delta.type == "text_delta":
            length += len(event.delta.text)
    return length


async def best(rounds: int, *works: Callable[[], Awaitable[int]]) -> list[float]:
    """Microseconds of CPU per chunk of each, the best of some rounds, by turns."""
    times: list[list[int]] = [[] for _ in works]
    for _ in range(rounds):
        for work, taken in zip(works, times, strict=True):
            start = process_time_ns()
            if await work() != sum(map(len, WORDS)):
                raise SystemExit("the text is not what was sent")
            taken.append(process_time_ns() - start)
    return [min(taken) / CHUNKS / 1000 for taken in times]


async def compare(kind: str, base_url: str, rounds: int, in_process: InProcess | None = None) -> tuple[float, float]:
    """Ours and the SDK's, in microseconds per chunk. Without a socket both read through ``in_process``."""
    http = httpx2.AsyncClient(transport=in_process) if in_process else None
    client: Any
    if kind == "anthropic":
        client = anthropic.AsyncAnthropic(api_key="k", base_url=base_url, max_retries=0, http_client=http)
        provider, typed = Anthropic(base_url=base_url), sdk_anthropic
    else:
        client = openai.AsyncOpenAI(api_key="k", base_url=f"{base_url}/v1", max_retries=0, http_client=http)
        provider = (OpenAIChat if kind == "chat" else OpenAIResponses)(base_url=base_url)
        typed = sdk_chat if kind == "chat" else sdk_responses
    if in_process:
        await provider.close()
        provider._client = SdkClient(lambda: client)
    mine, theirs = await best(rounds, lambda: ours(provider), lambda: typed(client))
    await provider.close()
    await client.close()
    return mine, theirs


async def _requests(times: int) -> None:
    """Time a request up to its sending, of conversations of several lengths."""
    rows = []
    http = httpx2.AsyncClient(transport=httpx2.MockTransport(lambda request: httpx2.Response(200, json={})))
    async with openai.AsyncOpenAI(api_key="k", base_url="http://server", http_client=http) as client:
        send = client.chat.completions.with_streaming_response.create

        async def ask(how: dict[str, Any]) -> None:
            async with send(**how):
                pass

        for count in (1, 81, 1001):
            roles = ("user", "assistant")
            turns = tuple(Message(f"{n}", roles[n % 2], (TextPart("word " * 200),)) for n in range(count))
            body = chat_body(replace(REQUEST, messages=turns), KNOWN.capabilities("gpt-4o"))
            taken = [await timed(partial(ask, how), times) for how in (body, as_it_is(body, "messages"))]
            rows.append([f"{count:,}", *(number(percentile(one, 0.5), 2) for one in taken)])
    head = ["messages of 200 words", "looked at by the SDK, ms", "as they are, ms"]
    show("A request, from the adapter's body to its sending", head, rows)


async def run(quick: bool = False) -> None:
    """Measure, and print the tables."""
    await _requests(5 if quick else 20)
    rounds = 1 if quick else ROUNDS
    child = await asyncio.create_subprocess_exec(sys.executable, "-m", "bench.decode", "serve", stdout=PIPE)
    assert child.stdout is not None
    rows = []
    try:
        url = f"http://127.0.0.1:{int(await child.stdout.readline())}"
        for kind, frames in FRAMES.items():
            mine, theirs = await compare(kind, url, rounds)
            share = mine / theirs
            verdict = "kept" if share <= GOALS[kind] else "missed"
            rows.append(
                [kind, "loopback", f"{mine:.1f}", f"{theirs:.1f}", f"{share:.0%}", f"{GOALS[kind]:.0%} {verdict}"]
            )
            mine, theirs = await compare(kind, url, 3 * rounds, InProcess(frames()))
            rows.append([kind, "no socket", f"{mine:.1f}", f"{theirs:.1f}", f"{mine / theirs:.0%}", ""])
    finally:
        child.terminate()
        await child.wait()
    show(
        "CPU per chunk, from the socket to the folded message",
        ["stream", "bytes from", "ours µs", "SDK µs", "share", "goal"],
        rows,
        "SDK: iterating its own typed chunks on the same stream, without folding them. Over loopback each chunk is "
        "a read of its own; without a socket both sides read through the same client.",
    )


if __name__ == "__main__":
    asyncio.run(serve() if "serve" in sys.argv else run())
