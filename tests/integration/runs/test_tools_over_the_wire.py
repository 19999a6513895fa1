"""Tools in all three dialects: real SDKs, real sockets, the simulator's wire formats, the loop and the database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from streamchat.chat.messages import ToolCallPart
from streamchat.processes.subprocess_server import Address
from streamchat.runs.coalesce import Deadlines
from streamchat.runs.retries import Policy
from streamchat.simulator.server import Server
from streamchat.simulator.wire_anthropic import AnthropicWire
from streamchat.simulator.wire_chat import ChatWire
from streamchat.simulator.wire_responses import ResponsesWire
from streamchat.tools.definition import tool
from tests.integration.runs.conftest import World, make_world
from tests.integration.runs.test_endings import WIRES, ask, catalog

ran: list[str] = []


@tool
async def look_up(city: str, days: int = 1) -> dict:
    """The weather of a city."""
    ran.append(city)
    return {"city": city, "sky": "clear", "days": days}


@pytest.fixture
async def address() -> AsyncIterator[Address]:
    server = Server("key", (ChatWire(), ResponsesWire(), AnthropicWire()))
    yield Address(f"http://127.0.0.1:{await server.start()}", "key")
    await server.close()


@pytest.fixture(params=WIRES)
async def world(request: pytest.FixtureRequest, tmp_path: Path, address: Address) -> AsyncIterator[World]:
    ran.clear()
    policy = Policy(retries=0, deadlines=Deadlines(first=10.0, idle=10.0))
    async with make_world(tmp_path, policy, catalog(request.param, address), [look_up]) as made:
        yield made


def calls(message) -> list[ToolCallPart]:
    return [part for part in message.parts if isinstance(part, ToolCallPart)]


@pytest.mark.parametrize("number", [1, 3])
async def test_calls_run_and_their_results_come_back(world: World, number: int):
    """Interleaved fragments end in the right calls in the right order; the model quotes each result."""
    message = await ask(world, f"calls={number} rate=0 ttft=0")
    assert (message.status, message.stop_reason) == ("finished", "stop")
    assert [part.state for part in calls(message)] == ["done"] * number
    cities = [part.arguments["city"] for part in calls(message) if part.arguments]
    assert cities == ["Paris", "Tokyo", "Lima"][:number]
    assert [part.result["city"] for part in calls(message)] == cities
    assert sorted(ran) == sorted(cities)
    assert [city for city in cities if city in message.text.split("The tools answered")[1]] == cities
    assert await world.stored(message.id) == message


@pytest.mark.parametrize("args", ["invalid", "truncated", "list", "mismatch"])
async def test_bad_arguments_run_nothing_and_end_nothing(world: World, args: str):
    """An error result for the model, an error state for the person, and the answer goes on to its end."""
    message = await ask(world, f"calls=1 args={args} rate=0 ttft=0")
    assert ([part.state for part in calls(message)], ran, message.status) == (["invalid"], [], "finished")
    assert calls(message)[0].error
    assert "The tools answered" in message.text
