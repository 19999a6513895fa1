"""What the simulator writes, read by the vendors' own SDKs in all three formats."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI

from streamchat.processes.subprocess_server import Address, SubprocessServer

WIRES = ("chat", "responses", "anthropic")
NUMBERED = " ".join(f"w{i:06d}" for i in range(1, 201))
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


@pytest.fixture(scope="module")
def address() -> Iterator[Address]:
    child = SubprocessServer("simulator", "streamchat.simulator")
    yield asyncio.run(child.start())
    asyncio.run(child.close())


@asynccontextmanager
async def sdks(address: Address) -> AsyncIterator[tuple[AsyncOpenAI, AsyncAnthropic]]:
    async with (
        AsyncOpenAI(api_key=address.api_key, base_url=f"{address.url}/v1", max_retries=0, timeout=30) as openai,
        AsyncAnthropic(api_key=address.api_key, base_url=address.url, max_retries=0, timeout=30) as anthropic,
    ):
        yield openai, anthropic


async def events(address: Address, wire: str, scene: str, message: str, **fields: Any) -> list[dict[str, Any]]:
    """The SDK's own events of one stream, as plain dicts."""
    user: Any = [{"role": "user", "content": message}]
    async with sdks(address) as (openai, anthropic):
        match wire:
            case "chat":
                options: Any = {"include_usage": True}
                stream: Any = await openai.chat.completions.create(
                    model=scene, messages=user, stream=True, stream_options=options, **fields
                )
            case "responses":
                stream = await openai.responses.create(model=scene, input=user, stream=True, **fields)
            case _:
                stream = await anthropic.messages.create(
                    model=scene, messages=user, stream=True, max_tokens=fields.pop("max_tokens", 100_000), **fields
                )
        async with stream:
            return [event.model_dump(exclude_unset=True) async for event in stream]


def texts(wire: str, told: list[dict[str, Any]]) -> list[str]:
    """The pieces of text in SDK events."""
    if wire == "chat":
        choices = [event["choices"][0]["delta"] for event in told if event["choices"]]
        return [delta["content"] for delta in choices if delta.get("content")]
    if wire == "responses":
        return [event["delta"] for event in told if event["type"] == "response.output_text.delta"]
    deltas = [event["delta"] for event in told if event["type"] == "content_block_delta"]
    return [delta["text"] for delta in deltas if delta["type"] == "text_delta"]


def stop(wire: str, told: list[dict[str, Any]]) -> str:
    """The vendor's own word for how it ended."""
    if wire == "chat":
        return next(e["choices"][0]["finish_reason"] for e in told if e["choices"] and e["choices"][0]["finish_reason"])
    if wire == "responses":
        details = told[-1]["response"]["incomplete_details"]
        return details["reason"] if details else told[-1]["response"]["status"]
    return next(event["delta"]["stop_reason"] for event in told if event["type"] == "message_delta")


def refusal(wire: str, told: list[dict[str, Any]]) -> str:
    """The sentence with which the model declined."""
    if wire == "chat":
        return "".join(event["choices"][0]["delta"].get("refusal") or "" for event in told if event["choices"])
    if wire == "responses":
        return "".join(event["delta"] for event in told if event["type"] == "response.refusal.delta")
    return next(e["delta"]["stop_details"]["explanation"] for e in told if e["type"] == "message_delta")


async def journal(address: Address, message: str) -> dict[str, Any]:
    """The newest record of this message, once its answer has ended."""
    headers = {"authorization": f"Bearer {address.api_key}"}
    async with httpx2.AsyncClient(base_url=address.url, headers=headers) as client:
        for _ in range(200):
            told = (await client.get("/_log")).json()["requests"]
            mine = [record for record in told if record["message"] == message]
            if mine and mine[-1]["closed_at"]:
                return mine[-1]
            await asyncio.sleep(0.05)
    raise AssertionError("the answer did not end")


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("chunk", ["token", "byte", "burst", "split"])
async def test_numbered_words_arrive_complete_and_in_order(address: Address, wire: str, chunk: str):
    """Two hundred words come as two hundred deltas, whatever the chunking, and the stream ends as it should."""
    told = await events(address, wire, "tour", f"n=200 rate=0 ttft=0 chunk={chunk}")
    pieces = texts(wire, told)
    assert len(pieces) == 200
    assert "".join(pieces) == NUMBERED
    assert stop(wire, told) == {"chat": "stop", "responses": "completed", "anthropic": "end_turn"}[wire]


@pytest.mark.parametrize("wire", WIRES)
async def test_characters_survive_being_cut(address: Address, wire: str):
    """split-emoji, with its halves of surrogate pairs joined, is the text that the server says it sent."""
    message = f"rate=0 ttft=0 cut for {wire}"
    pieces = texts(wire, await events(address, wire, "split-emoji", message))
    halves = [piece for piece in pieces if any(0xD800 <= ord(char) < 0xE000 for char in piece)]
    assert len(halves) >= 4
    told = "".join(pieces).encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    assert told == (await journal(address, message))["text"]
    assert "👩‍👩‍👧‍👦" in told
    assert "\ufffd" not in told


@pytest.mark.parametrize("wire", WIRES)
async def test_usage_comes_in_the_vendors_way(address: Address, wire: str):
    """Output tokens are what was sent, in whatever place the format has for them."""
    told = await events(address, wire, "tour", "n=7 rate=0 ttft=0")
    match wire:
        case "chat":
            assert told[-1]["choices"] == []
            assert told[-1]["usage"]["completion_tokens"] == 7
        case "responses":
            assert told[-1]["response"]["usage"]["output_tokens"] == 7
        case _:
            assert told[-2]["usage"]["output_tokens"] == 7


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("scene", ["max-tokens", "refusal", "content-filter"])
async def test_other_endings_come_in_the_vendors_way(address: Address, wire: str, scene: str):
    """Limit, refusal and filter are three different ends, each as its vendor says it."""
    message = f"rate=0 ttft=0 {scene}"
    if (wire, scene) == ("anthropic", "content-filter"):
        with pytest.raises(Exception, match="content filtering policy"):
            await events(address, wire, scene, message)
        return
    told = await events(address, wire, scene, message)
    wanted = {
        "max-tokens": {"chat": "length", "responses": "max_output_tokens", "anthropic": "max_tokens"},
        "refusal": {"chat": "stop", "responses": "completed", "anthropic": "refusal"},
        "content-filter": {"chat": "content_filter", "responses": "content_filter"},
    }
    assert stop(wire, told) == wanted[scene][wire]
    if scene == "refusal":
        assert refusal(wire, told) == "I can't help with that request."


@pytest.mark.parametrize("wire", WIRES)
async def test_thinking_comes_in_the_vendors_way(address: Address, wire: str):
    """Thoughts have their own place and their seal, and none of them is in the text."""
    told = await events(address, wire, "reasoning", "rate=0 ttft=0")
    match wire:
        case "chat":
            deltas = [event["choices"][0]["delta"] for event in told if event["choices"]]
            thought = "".join(delta.get("reasoning_content") or "" for delta in deltas)
        case "responses":
            thought = "".join(e["delta"] for e in told if e["type"] == "response.reasoning_summary_text.delta")
            done = [e["item"] for e in told if e["type"] == "response.output_item.done"]
            assert done[0]["type"] == "reasoning"
            assert done[0]["encrypted_content"]
        case _:
            deltas = [event["delta"] for event in told if event["type"] == "content_block_delta"]
            thought = "".join(delta["thinking"] for delta in deltas if delta["type"] == "thinking_delta")
            assert any(delta["type"] == "signature_delta" and delta["signature"] for delta in deltas)
            blocks = [e["content_block"]["type"] for e in told if e["type"] == "content_block_start"]
            assert blocks == ["thinking", "redacted_thinking", "text"]
    assert thought.startswith("The user wants to see")
    assert "The user wants" not in "".join(texts(wire, told))


@pytest.mark.parametrize("wire", WIRES)
async def test_declared_tools_are_called_and_answered(address: Address, wire: str):
    """A tool call in the first round, with arguments of the declared schema; the results quoted in the second."""
    async with sdks(address) as (openai, anthropic):
        message = "rate=0 ttft=0 What is the weather?"
        user: Any = [{"role": "user", "content": message}]
        match wire:
            case "chat":
                tools: Any = [{"type": "function", "function": {"name": "weather", "parameters": WEATHER}}]
                first: Any = await openai.chat.completions.create(model="tools", messages=user, tools=tools)
                call = first.choices[0].message.tool_calls[0]
                name, arguments = call.function.name, json.loads(call.function.arguments)
                user += [first.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "17 degrees"}]
                second: Any = await openai.chat.completions.create(model="tools", messages=user, tools=tools)
                told = second.choices[0].message.content
            case "responses":
                tools: Any = [{"type": "function", "name": "weather", "parameters": WEATHER, "strict": False}]
                first: Any = await openai.responses.create(model="tools", input=user, tools=tools)
                call = first.output[-1]
                name, arguments = call.name, json.loads(call.arguments)
                result = {"type": "function_call_output", "call_id": call.call_id, "output": "17 degrees"}
                user += [*first.output, result]
                second: Any = await openai.responses.create(model="tools", input=user)
                told = second.output_text
            case _:
                tools: Any = [{"name": "weather", "input_schema": WEATHER}]
                asked: Any = {"model": "tools", "tools": tools, "max_tokens": 9999}
                first: Any = await anthropic.messages.create(messages=user, **asked)
                call = first.content[-1]
                name, arguments = call.name, call.input
                result = {"type": "tool_result", "tool_use_id": call.id, "content": "17 degrees"}
                user += [{"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
                second: Any = await anthropic.messages.create(messages=user, **asked)
                told = second.content[0].text
    assert name == "weather"
    assert isinstance(arguments["city"], str)
    assert "17 degrees" in told


@pytest.mark.parametrize("wire", WIRES)
async def test_fragments_of_parallel_calls_interleave(address: Address, wire: str):
    """Three calls come mixed, and each is whole when its own fragments are put together."""
    told = await events(address, wire, "parallel-tools", "rate=0 ttft=0")
    fragments: list[tuple[int, str]] = []
    for event in told:
        if wire == "chat" and event["choices"]:
            for call in event["choices"][0]["delta"].get("tool_calls") or ():
                fragments.append((call["index"], call["function"]["arguments"]))
        elif wire == "responses" and event["type"] == "response.function_call_arguments.delta":
            fragments.append((event["output_index"], event["delta"]))
        elif wire == "anthropic" and event["type"] == "content_block_delta" and "partial_json" in event["delta"]:
            fragments.append((event["index"], event["delta"]["partial_json"]))
    places = [place for place, fragment in fragments if fragment]
    assert places[:3] == places[3:6]
    assert len(set(places[:3])) == 3
    for place in set(places):
        assert isinstance(json.loads("".join(text for where, text in fragments if where == place)), dict)
    assert stop(wire, told) == {"chat": "tool_calls", "responses": "completed", "anthropic": "tool_use"}[wire]


@pytest.mark.parametrize("wire", WIRES)
async def test_whole_answers_are_the_streamed_ones(address: Address, wire: str):
    """Without streaming the same words come in one piece."""
    async with sdks(address) as (openai, anthropic):
        user: Any = [{"role": "user", "content": "n=200 rate=0 ttft=0"}]
        match wire:
            case "chat":
                told = (await openai.chat.completions.create(model="tour", messages=user)).choices[0].message.content
            case "responses":
                told = (await openai.responses.create(model="tour", input=user)).output_text
            case _:
                answer: Any = await anthropic.messages.create(model="tour", messages=user, max_tokens=9999)
                told = answer.content[0].text
    assert told == NUMBERED


@pytest.mark.parametrize("wire", WIRES)
async def test_a_schema_is_kept(address: Address, wire: str):
    """Structured output fits the schema in each vendor's parameter for it."""
    match wire:
        case "chat":
            schema = {"name": "answer", "schema": WEATHER}
            fields: dict[str, Any] = {"response_format": {"type": "json_schema", "json_schema": schema}}
        case "responses":
            fields = {"text": {"format": {"type": "json_schema", "name": "answer", "schema": WEATHER}}}
        case _:
            fields = {"output_config": {"format": {"type": "json_schema", "schema": WEATHER}}}
    told = await events(address, wire, "tour", "rate=0 ttft=0 Where?", **fields)
    assert isinstance(json.loads("".join(texts(wire, told)))["city"], str)


async def test_pacing_keeps_its_schedule(address: Address):
    """100 tokens at 200/s: the last is sent when it is due (never before), and each went out on its own."""
    message = "n=100 rate=200 ttft=100 paced"
    started = time.monotonic()
    await events(address, "chat", "tour", message)
    took = time.monotonic() - started
    record = await journal(address, message)
    emits = record["emits"]
    assert record["tokens_sent"] == len(emits) == 100
    assert took >= 0.1 + 99 / 200
    assert all(at - record["started"] >= 0.1 + i / 200 - 0.02 for i, at in enumerate(emits))
    assert len(set(emits)) == 100
    assert record["first_token_at"] == emits[0]


async def test_the_log_tells_who_closed(address: Address):
    """A client that leaves in mid-answer is seen leaving, and no token is sent afterwards."""
    message = "n=5000 rate=200 ttft=0 leaving"
    async with sdks(address) as (openai, _):
        stream = await openai.chat.completions.create(
            model="tour", messages=[{"role": "user", "content": message}], stream=True
        )
        async with stream:
            async for chunk in stream:
                if "w000010" in (chunk.choices[0].delta.content or ""):
                    break
        left = time.time()
    record = await journal(address, message)
    assert record["closed_by"] == "client"
    assert abs(record["closed_at"] - left) < 2
    assert 10 <= record["tokens_sent"] < 5000
    assert record["text"].startswith("w000001 w000002")
    assert record["last_token_at"] <= record["closed_at"]


async def test_models_are_listed_for_both_vendors(address: Address):
    """Each SDK can list the scenes."""
    async with sdks(address) as (openai, anthropic):
        assert "tour" in [model.id async for model in openai.models.list()]
        assert "tour" in [model.id async for model in anthropic.models.list()]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        (b"{}", 400),
        (b'{"model": "tour", "messages": [], "input": 7}', 400),
        (b'{"model": "tour", "messages": [3], "max_tokens": 1, "input": [3]}', 400),
        (b'{"model": "no", "messages": [{"role": "user", "content": "x"}], "max_tokens": 1, "input": "x"}', 404),
        (b"[" * 100_000, 400),
    ],
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/v1/messages"])
async def test_nonsense_gets_an_error(address: Address, path: str, body: bytes, status: int):
    """Bodies that are none of the format are refused in the vendor's shape, and the server lives on."""
    async with httpx2.AsyncClient(base_url=address.url, headers={"x-api-key": address.api_key}) as client:
        answer = await client.post(path, content=body)
        assert answer.status_code == status
        assert answer.json()["error"]["message"]
        assert (await client.get("/v1/models")).status_code == 200
        assert (await client.get("/nowhere")).status_code == 404
