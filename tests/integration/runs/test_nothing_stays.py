"""After any ending, in all three dialects: the provider's pool holds no request, and no connection but idle ones."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from streamchat.chat.messages import Message, ToolCallPart
from streamchat.processes.subprocess_server import Address
from streamchat.providers import response_body
from streamchat.providers.base import Capabilities, ModelInfo
from streamchat.providers.catalog import Catalog, Source
from streamchat.runs import persistence
from streamchat.runs.coalesce import Deadlines
from streamchat.runs.retries import Policy
from streamchat.simulator import Simulator
from streamchat.simulator.server import Server
from streamchat.simulator.wire_anthropic import AnthropicWire
from streamchat.simulator.wire_chat import ChatWire
from streamchat.simulator.wire_responses import ResponsesWire
from streamchat.simulator.words import FAULTS
from streamchat.tools.definition import tool
from tests.integration.providers.pools import at_rest, pools
from tests.integration.runs.conftest import World, make_world
from tests.integration.runs.test_endings import WIRES
from tests.integration.runs.test_stop_phases import PHASES, gate, requests, start, until
from tests.support.long import LONG

DEADLINES = Deadlines(first=1.0, idle=1.0, total=4.0)


class Counted(Server):
    """Counts its clients' connections."""

    connections = open = 0

    async def _client(self, reader: StreamReader, writer: StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        try:
            await super()._client(reader, writer)
        finally:
            self.open -= 1


@tool
async def look_up(city: str) -> str:
    """The weather of a city."""
    return f"sunny in {city}"


@pytest.fixture
async def server() -> AsyncIterator[Counted]:
    gate.clear()
    made = Counted("key", (ChatWire(), ResponsesWire(), AnthropicWire()))
    yield made
    gate.set()
    await made.close()


@asynccontextmanager
async def world_at(
    path: Path, server: Counted, wire: str, scene: str = "tour", tools: tuple = (look_up,), **policy: Any
) -> AsyncIterator[tuple[World, Simulator]]:
    address = Address(f"http://127.0.0.1:{await server.start()}", "key")
    info = ModelInfo(f"sim:{scene}", "Simulator", capabilities=Capabilities(reasoning=True))
    provider = Simulator(wire=wire, address=address)
    given: dict = {"retries": 0, "deadlines": DEADLINES} | policy
    async with make_world(path, Policy(**given), Catalog([Source("sim", provider, [info])]), tools) as world:
        world.model = info.id
        yield world, provider


async def ask(world: World, text: str) -> Message:
    begun = await world.start(text)
    async with asyncio.timeout(30):
        return await world.ended(begun.run_id)


async def check(server: Counted, provider: Simulator) -> None:
    """Nothing is left, and the provider sees as many connections as are idle."""
    await at_rest(provider)
    idle = sum(len(pool.connections) for pool in pools(provider))
    await until(lambda: server.open <= idle)


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("fault", [None, *sorted(FAULTS)])
async def test_after_every_ending(
    tmp_path: Path, server: Counted, wire: str, fault: str | None, monkeypatch: pytest.MonkeyPatch
):
    """Finished, failed, broken off, over a deadline, with an end that does not come or a socket that stays open."""
    monkeypatch.setattr(response_body, "DRAIN_SECONDS", 0.2)
    async with world_at(tmp_path, server, wire) as (world, provider):
        for _ in range(2):
            words = f"fault={fault} at=5 size=100000" if fault else ""
            assert (await ask(world, f"n=10 rate=0 ttft=0 kind=numbered {words}")).ended
        await check(server, provider)


HOWS = ("stop", "superseded", "shutdown")
# In the short version each phase in each dialect, and in each way, and each way in each dialect: a third of all.
ENDS = [
    (how, phase, wire)
    for how_number, how in enumerate(HOWS)
    for phase_number, phase in enumerate(PHASES)
    for wire_number, wire in enumerate(WIRES)
    if LONG or (how_number + phase_number + wire_number) % len(WIRES) == 0
]


@pytest.mark.parametrize(("how", "phase", "wire"), ENDS)
async def test_after_an_end_from_outside(tmp_path: Path, server: Counted, wire: str, phase: str, how: str):
    """Stopped, ended by another worker, or by a shutdown, in every phase an answer can be in; impatiently, too."""
    scene, text, tools, reached, is_open = PHASES[phase]
    async with world_at(tmp_path, server, wire, scene, tools, retries=3, deadlines=Deadlines()) as (world, provider):
        run_id = await start(world, text, reached, server)
        if how == "stop":
            await asyncio.gather(*(world.runs.cancel("local", run_id) for _ in range(3)))
        elif how == "superseded":
            for _ in range(3):
                world.runs.abandon(run_id)
            await until(lambda: run_id not in world.runs.active_ids())
        else:
            await world.runs.close()
        if is_open:
            await until(lambda: requests(server)[0]["closed_by"])
        await check(server, provider)


@pytest.mark.parametrize("wire", WIRES)
async def test_answers_share_a_connection(tmp_path: Path, server: Counted, wire: str):
    """Ten questions, among them some that call tools and ask the model again: one connection, and nothing left."""
    async with world_at(tmp_path, server, wire) as (world, provider):
        for number in range(10):
            message = await ask(world, f"n=10 rate=0 ttft=0 calls={number % 3}")
            assert message.status == "finished"
            calls = [part for part in message.parts if isinstance(part, ToolCallPart)]
            assert [part.state for part in calls] == ["done"] * (number % 3)
        await check(server, provider)
    assert len(requests(server)) > 10
    assert server.connections == 1


@pytest.mark.parametrize("wire", WIRES)
async def test_at_once(tmp_path: Path, server: Counted, wire: str):
    """Many answers side by side, half of them stopped: what is left is idle."""
    async with world_at(tmp_path, server, wire, deadlines=Deadlines()) as (world, provider):
        begun = [await world.start(f"n=30 rate=200 ttft=0 kind=numbered number{n}") for n in range(30)]
        await until(lambda: all(world.log.snapshot(one.run_id).message.text for one in begun))
        await asyncio.gather(*(world.runs.cancel("local", one.run_id) for one in begun[::2]))
        assert {(await world.ended(one.run_id)).status for one in begun[1::2]} == {"finished"}
        await check(server, provider)


async def test_an_ending_that_could_not_be_stored_outlives_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The database is locked when an answer ends, and its log is gone before it is free again: it is stored then."""
    monkeypatch.setattr(persistence, "END_SECONDS", 0.2)
    from streamchat.chat.events import Finished, TextDelta

    async with make_world(tmp_path) as world:
        begun = await world.start()
        locked, free = threading.Event(), threading.Event()
        holder = threading.Thread(target=_hold, args=(tmp_path / "chat.db", locked, free))
        holder.start()
        try:
            await asyncio.to_thread(locked.wait)
            world.provider.say(TextDelta("kept"), Finished())
            message = await world.ended(begun.run_id)
            assert message.text == "kept"
            world.log.forget(begun.run_id)
        finally:
            free.set()
            await asyncio.to_thread(holder.join)
        async with asyncio.timeout(20):
            stored = await world.reached(begun.run_id, "finished")
        assert stored.text == "kept"


def _hold(path: Path, locked: threading.Event, free: threading.Event) -> None:
    """Lock a database for as long as it takes."""
    connection = sqlite3.connect(path, timeout=20, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    locked.set()
    free.wait(30)
    connection.execute("ROLLBACK")
    connection.close()
