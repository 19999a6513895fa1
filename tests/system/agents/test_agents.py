"""Agents of real frameworks from PyPI, programs of their own on loopback, as models: they ask a person, and go on."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from devservers.ports import free_port
from streamchat.chat.messages import Message, NoticePart, ToolCallPart
from streamchat.providers.ag_ui.agent import AgUiAgent
from streamchat.providers.base import ModelInfo
from streamchat.providers.catalog import Catalog, Source
from streamchat.runs.approvals import Decision
from tests.integration.runs.conftest import World, make_world

HERE = Path(__file__).parent
PATIENCE = 120


def begun(frameworks: Path, name: str) -> Iterator[str]:
    """The address of an agent that is a process of its own."""
    port = free_port()
    # Without our own packages: what a framework needs is in its folder.
    process = subprocess.Popen(
        [sys._base_executable, str(HERE / name), str(port)],  # pyrefly: ignore[missing-attribute]
        env={**os.environ, "PYTHONPATH": str(frameworks), "LANGSMITH_TRACING": "false"},
        cwd=frameworks,
    )
    try:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert process.poll() is None, f"{name} ended"
                assert time.monotonic() < until, f"{name} does not listen"
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def langgraph(frameworks: Path) -> Iterator[str]:
    yield from begun(frameworks, "langgraph_agent.py")


@pytest.fixture(scope="module")
def pydantic_ai(frameworks: Path) -> Iterator[str]:
    yield from begun(frameworks, "pydantic_ai_agent.py")


@asynccontextmanager
async def world_of(path: Path, url: str) -> AsyncIterator[World]:
    catalog = Catalog([Source("a", AgUiAgent(url), [ModelInfo("a:agent", "A")])])
    async with make_world(path, catalog=catalog) as world:
        world.model = "a:agent"
        yield world


def calls(message: Message) -> dict[str, ToolCallPart]:
    return {part.name: part for part in message.parts if isinstance(part, ToolCallPart)}


async def waiting(world: World, run_id: str) -> ToolCallPart:
    """The call that waits for a person; fails if the answer ends instead."""
    message = await world.stored(run_id)
    while message.status != "waiting":
        assert not message.ended, message
        message = await world.stored(run_id)
    (call,) = (call for call in calls(message).values() if call.state == "awaiting-approval")
    assert call.schema is not None
    assert any(part.kind == "agent-interrupt" for part in message.parts if isinstance(part, NoticePart))
    return call


@pytest.mark.parametrize("approve", [True, False])
async def test_langgraph_asks(langgraph: str, tmp_path: Path, approve: bool) -> None:
    """Its ``interrupt()`` is a form, which returns the decision; its state is a panel; the thread goes on."""
    async with world_of(tmp_path, langgraph) as world:
        conversation = None
        for number in (1, 2):
            started = await world.start(f"question {number}", conversation_id=conversation)
            conversation = started.conversation_id
            call = await waiting(world, started.run_id)
            await world.runs.decide("local", started.run_id, call.id, Decision(approve))
            message = await world.ended(started.run_id)
            assert message.status == "finished", message
            assert f"'approved': {approve}" in message.text
            assert calls(message)["state"].result == {"asked": number}


async def test_pydantic_ai_asks(pydantic_ai: str, tmp_path: Path) -> None:
    """A tool that needs approval waits here with its own arguments, and runs there once it is approved."""
    async with world_of(tmp_path, pydantic_ai) as world:
        started = await world.start()
        call = await waiting(world, started.run_id)
        assert (call.name, call.by_provider, call.arguments) == ("send", True, {"to": "a"})
        await world.runs.decide("local", started.run_id, call.id, Decision(approve=True))
        message = await world.ended(started.run_id)
        assert message.status == "finished", message
        assert (calls(message)["send"].state, calls(message)["send"].result) == ("done", "sent to a")
        assert "sent to a" in message.text


async def test_pydantic_ai_denied(pydantic_ai: str, tmp_path: Path) -> None:
    """The tool does not run, and the agent goes on."""
    async with world_of(tmp_path, pydantic_ai) as world:
        started = await world.start()
        call = await waiting(world, started.run_id)
        await world.runs.decide("local", started.run_id, call.id, Decision(approve=False, reason="not now"))
        message = await world.ended(started.run_id)
        assert message.status == "finished", message.error
        assert calls(message)["send"].state == "denied"
        assert "sent to" not in message.text


async def test_pydantic_ai_runs_its_own_tools(pydantic_ai: str, tmp_path: Path) -> None:
    """The call with its result and the text; the thread goes on."""
    async with world_of(tmp_path, f"{pydantic_ai}/plain") as world:
        first = await world.start()
        message = await world.ended(first.run_id)
        tool = calls(message)["length"]
        assert (tool.state, str(tool.result), tool.by_provider) == ("done", "1", True)
        second = await world.start(conversation_id=first.conversation_id)
        assert [(await world.ended(one.run_id)).status for one in (first, second)] == ["finished"] * 2
