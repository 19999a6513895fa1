"""The simulator as the program has it: a provider, read by our own adapters over loopback."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing

import httpx2
import pytest

from streamchat import simulator
from streamchat.chat.events import (
    Event,
    Finished,
    ReasoningDelta,
    TextDelta,
    ToolCallReady,
    ToolCallStarted,
    UsageReported,
)
from streamchat.chat.messages import Message, TextPart
from streamchat.chat.request import Request, ToolSpec
from streamchat.errors import ProviderError, StreamBroken
from streamchat.simulator import MODELS, Simulator

WIRES = ("chat", "responses", "anthropic")
NUMBERED = " ".join(f"w{i:06d}" for i in range(1, 101))
CALCULATE = ToolSpec(
    "calculate",
    "Does sums.",
    {"type": "object", "properties": {"expression": {"type": "string"}}, "required": ["expression"]},
)


@pytest.fixture
async def provider() -> AsyncIterator[Simulator]:
    made = Simulator()
    yield made
    await made.close()


def request(message: str, scene: str = "tour", *more: Message, **fields) -> Request:
    return Request(scene, (Message("1", "user", (TextPart(message),)), *more), **fields)


async def events(provider: Simulator, asked: Request) -> list[Event]:
    async with aclosing(provider.stream(asked)) as stream:
        return [event async for event in stream]


def text(told: list[Event]) -> str:
    return "".join(event.text for event in told if isinstance(event, TextDelta))


def test_the_picker_gets_every_scene():
    """Ids, labels and notes are there, the tour is first, and nothing is called unavailable."""
    assert MODELS[0].id == "simulator:tour"
    assert len({model.label for model in MODELS}) == len(MODELS) == len({model.id for model in MODELS})
    assert all(model.label and model.note and model.unavailable is None for model in MODELS)
    with pytest.raises(AttributeError):
        _ = simulator.Nothing


@pytest.mark.parametrize("wire", WIRES)
async def test_an_answer_through_each_adapter(provider: Simulator, wire: str):
    """wire= chooses the adapter; each gives the same words, the usage, and one end."""
    told = await events(provider, request(f"n=100 rate=0 ttft=0 wire={wire}"))
    assert text(told) == NUMBERED
    assert told[-1] == Finished("stop") or isinstance(told[-1], Finished)
    usage = [event for event in told if isinstance(event, UsageReported)]
    assert usage[-1].output == 100


@pytest.mark.parametrize("wire", WIRES)
async def test_thinking_through_each_adapter(provider: Simulator, wire: str):
    """Thoughts are reasoning events, and not text."""
    told = await events(provider, request(f"rate=0 ttft=0 wire={wire}", "reasoning"))
    thought = "".join(event.text for event in told if isinstance(event, ReasoningDelta))
    assert thought.startswith("The user wants to see")
    assert "The user wants" not in text(told)


@pytest.mark.parametrize("wire", WIRES)
async def test_tool_calls_through_each_adapter(provider: Simulator, wire: str):
    """Three parallel calls of the declared tool, each ready with an object that has what the schema requires."""
    told = await events(provider, request(f"rate=0 ttft=0 wire={wire}", "parallel-tools", tools=(CALCULATE,)))
    started = {event.call_id: event.name for event in told if isinstance(event, ToolCallStarted)}
    ready = [event for event in told if isinstance(event, ToolCallReady)]
    assert set(started.values()) == {"calculate"}
    assert [event.call_id for event in ready] != []
    assert {event.call_id for event in ready} == set(started)
    assert all(isinstance(event.arguments["expression"], str) for event in ready)
    assert len(started) == 3
    assert isinstance(told[-1], Finished)
    assert told[-1].reason == "tool-calls"


@pytest.mark.parametrize("wire", WIRES)
async def test_a_cut_stream_is_broken_and_not_finished(provider: Simulator, wire: str):
    """What came is told, then StreamBroken; never Finished."""
    told: list[Event] = []
    with pytest.raises(StreamBroken):
        async with aclosing(provider.stream(request(f"n=50 rate=0 ttft=0 fault=cut at=5 wire={wire}"))) as stream:
            async for event in stream:
                told.append(event)
    assert text(told) == NUMBERED[:39]
    assert not any(isinstance(event, Finished) for event in told)


@pytest.mark.parametrize("wire", WIRES)
async def test_an_interrupted_answer_can_be_continued(provider: Simulator, wire: str):
    """The kept text sent back as the beginning of the answer: the rest comes, and fits."""
    kept = NUMBERED[:47]
    partial = Message("2", "assistant", (TextPart(kept),), status="interrupted")
    told = await events(provider, request(f"n=100 rate=0 ttft=0 fault=cut at=6 wire={wire}", "tour", partial))
    assert kept + text(told) == NUMBERED
    assert isinstance(told[-1], Finished)


async def test_closing_the_stream_closes_the_connection(provider: Simulator):
    """Whoever leaves in mid-answer is seen leaving by the server."""
    message = "n=5000 rate=200 ttft=0 leaving"
    async with aclosing(provider.stream(request(message))) as stream:
        async for event in stream:
            if isinstance(event, TextDelta) and "w000005" in event.text:
                break
    address = await provider.start()
    headers = {"authorization": f"Bearer {address.api_key}"}
    async with httpx2.AsyncClient(base_url=address.url, headers=headers) as client:
        record = {}
        for _ in range(200):
            record = (await client.get("/_log")).json()["requests"][-1]
            if record["closed_at"]:
                break
            await asyncio.sleep(0.05)
    assert record["message"] == message
    assert record["closed_by"] == "client"


async def test_a_dead_simulator_is_replaced(provider: Simulator):
    """After its child was killed, the next answer comes from a new one."""
    assert text(await events(provider, request("n=100 rate=0 ttft=0"))) == NUMBERED
    pid = provider.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    for _ in range(200):
        if provider.pid is None:
            break
        await asyncio.sleep(0.05)
    assert text(await events(provider, request("n=100 rate=0 ttft=0"))) == NUMBERED
    assert provider.pid != pid


async def test_another_process_can_share_one(provider: Simulator):
    """With an address, no child of its own is started."""
    other = Simulator(wire="anthropic", address=await provider.start())
    assert text(await events(other, request("n=100 rate=0 ttft=0"))) == NUMBERED
    assert other.pid is None
    await other.close()
    await other.close()


async def test_a_misspelt_word_is_a_sentence(provider: Simulator):
    """fault=resett is refused, with what was probably meant."""
    with pytest.raises(ProviderError, match=r"Did you mean fault=reset\?"):
        await events(provider, request("fault=resett"))
