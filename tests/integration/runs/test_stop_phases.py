"""Stop in every phase an answer can be in: the provider's connection is closed, what came is kept, nothing follows."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from streamchat.chat.messages import Message, NoticePart, ReasoningPart, ToolCallPart
from streamchat.processes.subprocess_server import Address
from streamchat.providers.base import Capabilities, ModelInfo
from streamchat.providers.catalog import Catalog, Source
from streamchat.runs.retries import Policy
from streamchat.simulator import Simulator
from streamchat.simulator.server import Server
from streamchat.simulator.wire_anthropic import AnthropicWire
from streamchat.simulator.wire_chat import ChatWire
from streamchat.simulator.wire_responses import ResponsesWire
from streamchat.tools.definition import tool
from tests.integration.runs.conftest import World, make_world
from tests.integration.runs.test_endings import WIRES

gate = threading.Event()


@tool
def hang(city: str = "Paris") -> str:
    """Blocks."""
    gate.wait(30)
    return city


@tool(approve=True)
async def ask_first(city: str = "Paris") -> str:
    """Asks."""
    return city


def has(part_type: type, /, **fields: object) -> Callable[[Message], bool]:
    return lambda message: any(
        isinstance(part, part_type) and all(getattr(part, name) == value for name, value in fields.items())
        for part in message.parts
    )


# phase → scene, words, tools, what shows that it is reached, whether the provider's connection is open then
PHASES: dict[str, tuple[str, str, tuple, Callable[[Message], bool], bool]] = {
    "before the first token": ("tour", "n=5 ttft=60000", (), lambda message: True, True),
    "text": ("tour", "n=50000 rate=50 kind=numbered", (), lambda message: bool(message.text), True),
    "reasoning": ("reasoning", "rate=3", (), has(ReasoningPart), True),
    "tool arguments": ("tour", "calls=1 args=big rate=50", (hang,), has(ToolCallPart, state="receiving"), True),
    "a running tool": ("tour", "calls=1 rate=0 ttft=0", (hang,), has(ToolCallPart, state="running"), False),
    "an approval": ("tour", "calls=1 rate=0 ttft=0", (ask_first,), lambda message: message.status == "waiting", False),
    "a retry wait": ("tour", "fault=rate-limited retry_after=15", (), has(NoticePart, kind="retrying"), False),
}


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    gate.clear()
    made = Server("key", (ChatWire(), ResponsesWire(), AnthropicWire()))
    yield made
    gate.set()
    await made.close()


def requests(server: Server) -> list[dict]:
    return server._journal.to_json()["requests"]


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.005)


async def start(world: World, text: str, reached: Callable[[Message], bool], server: Server) -> str:
    begun = await world.start(text)
    await until(lambda: requests(server) and reached(world.log.snapshot(begun.run_id).message))
    return begun.run_id


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("phase", list(PHASES))
async def test_stop(tmp_path: Path, server: Server, wire: str, phase: str):
    """The run ends as *stopped*, stored as it was told; every connection to the provider is closed by us; no further
    request is made, and nothing comes after the ending."""
    scene, text, tools, reached, is_open = PHASES[phase]
    address = Address(f"http://127.0.0.1:{await server.start()}", "key")
    info = ModelInfo(f"sim:{scene}", "Simulator", capabilities=Capabilities(reasoning=True))
    catalog = Catalog([Source("sim", Simulator(wire=wire, address=address), [info])])
    async with make_world(tmp_path, Policy(retries=3), catalog, tools) as world:
        world.model = info.id
        run_id = await start(world, text, reached, server)
        before = world.log.snapshot(run_id)
        if phase == "an approval":
            await until(lambda: run_id not in world.runs.active_ids())
        await world.runs.cancel("local", run_id)
        if is_open:
            await until(lambda: requests(server)[0]["closed_by"])
            assert requests(server)[0]["closed_by"] == "client"
        after = world.log.snapshot(run_id)
        await asyncio.sleep(0.2)
        assert after.message.status == "stopped"
        assert world.log.snapshot(run_id) == after
        assert await world.stored(run_id) == after.message
        assert after.message.text.startswith(before.message.text)
        assert not any(isinstance(p, ToolCallPart) and p.state != "stopped" for p in after.message.parts)
        assert len(requests(server)) == 1
        assert world.runs.active_ids() == []
