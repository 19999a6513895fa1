"""A run has one owner, by proof: a process whose row says otherwise ends nothing, runs nothing, and tells nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from streamchat.chat import events as e
from streamchat.chat.fold import fold
from streamchat.errors import NotFound
from streamchat.liveness import LEASE_SECONDS
from streamchat.runs import persistence
from streamchat.runs.reader import RunReader
from streamchat.runs.wakeup import Wakeup
from streamchat.storage.records import StoredRun
from streamchat.tools.definition import tool
from tests.integration.runs.conftest import World, make_world
from tests.integration.runs.two_workers import until

ran: list[str] = []


@tool
async def count(word: str = "") -> str:
    """Says that it ran."""
    ran.append(word)
    return "ran"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    ran.clear()
    async with make_world(tmp_path, tools=[count]) as made:
        yield made


async def speaking(world: World) -> str:
    begun = await world.start()
    world.provider.say(e.TextDelta("one "))
    await until(lambda: world.log.snapshot(begun.run_id).message.text == "one ")
    await world.writer.flush()
    return begun.run_id


async def taken(world: World, run_id: str) -> StoredRun:
    """The run belongs to another process from now on, which ends it."""
    claimed = await world.store.claim(run_id, worker="other", epoch=0, silent_for=None)
    assert claimed is not None
    ended = fold(claimed.message, e.Interrupted("gone", "process-gone"))
    assert await world.store.end(ended, claimed.seq + 1, epoch=claimed.epoch)
    return claimed


@pytest.mark.parametrize(
    "more",
    [
        (e.TextDelta("late "),),
        (e.TextDelta("late "), e.Finished()),
        (e.Finished(),),
        (None,),
        (e.ToolCallStarted("c", "count"), e.ToolCallReady("c", {}), e.Finished("tool-calls")),
    ],
    ids=["text", "text-and-end", "end", "cut", "call"],
)
async def test_a_run_that_was_taken_is_given_up(world: World, more: tuple[e.Event | None, ...]):
    """Whatever the model says then: nothing of it is stored, no tool runs, the provider's connection is closed, and a
    reader gets the one ending that the row has."""
    run_id = await speaking(world)
    wakeup = Wakeup()
    reader = RunReader(world.runs, "local", run_id, wakeup=wakeup)
    assert await reader.take()
    await taken(world, run_id)
    world.provider.say(*more)
    await until(lambda: not world.runs.active_ids())
    assert world.provider.closed == 1
    assert ran == []
    stored = await world.store.answer("local", run_id)
    assert (stored.message.status, stored.message.text, stored.epoch) == ("interrupted", "one ", 1)
    with pytest.raises(NotFound):
        world.log.snapshot(run_id)
    assert await reader.take() is not None
    assert reader.ended
    assert reader.answer.message == stored.message
    reader.close()


async def test_no_tool_without_a_confirmed_row(world: World, monkeypatch: pytest.MonkeyPatch):
    """The run is taken between the model's last word and the tool, before any pass of the writer could notice."""
    monkeypatch.setattr(world.writer, "_interval", 3600.0)
    run_id = await speaking(world)
    await taken(world, run_id)
    world.provider.say(e.ToolCallStarted("c", "count"), e.ToolCallReady("c", {}), e.Finished("tool-calls"))
    await until(lambda: not world.runs.active_ids())
    assert ran == []
    assert (await world.stored(run_id)).status == "interrupted"


async def test_a_deleted_conversation_ends_its_run(world: World):
    """The row is gone: the provider is closed, nothing comes back into the database, a reader is told."""
    run_id = await speaking(world)
    conversation_id = (await world.store.answer("local", run_id)).conversation_id
    reader = RunReader(world.runs, "local", run_id, wakeup=Wakeup())
    assert await reader.take()
    await world.store.delete("local", conversation_id)
    await until(lambda: not world.runs.active_ids())
    assert world.provider.closed == 1
    with pytest.raises(NotFound):
        await reader.take()
    with pytest.raises(NotFound):
        await world.stored(run_id)


@pytest.mark.parametrize("owner", ["still ours", "another's"])
async def test_a_process_that_stood_still_asks_first(world: World, owner: str, monkeypatch: pytest.MonkeyPatch):
    """Its clock leaps, as after SIGCONT, and the words of the model are there at once: none of them is told before the
    row says whose run it is."""
    run_id = await speaking(world)
    if owner != "still ours":
        await taken(world, run_id)
    now = persistence.monotonic
    monkeypatch.setattr(world.writer, "_clock", lambda: now() + LEASE_SECONDS + 1)
    assert world.writer.doubtful
    seen: list[str] = []
    wakeup = Wakeup()
    reader = RunReader(world.runs, "local", run_id, 1, wakeup=wakeup)
    await reader.take()
    original = world.log.append

    def append(run: str, event: e.Event, arrived: float | None = None) -> None:
        seen.append(type(event).__name__)
        original(run, event, arrived)

    monkeypatch.setattr(world.log, "append", append)
    world.provider.say(e.TextDelta("two"), e.Finished())
    await until(lambda: not world.runs.active_ids())
    stored = await world.stored(run_id)
    if owner == "still ours":
        assert (stored.status, stored.text, seen) == ("finished", "one two", ["TextDelta", "Finished"])
    else:
        assert (stored.status, stored.text, seen) == ("interrupted", "one ", [])
    reader.close()


async def test_a_lost_ending_is_not_told(world: World):
    """The model has said everything, and only then the row turns out to be another's: readers get that one's ending."""
    run_id = await speaking(world)
    await taken(world, run_id)
    world.provider.say(e.Finished())
    reader = RunReader(world.runs, "local", run_id, 1, heartbeat=0.05)
    async with asyncio.timeout(20):
        async for batch in reader.batches():
            assert not isinstance(batch, list) or not batch[-1].last
    assert reader.answer.message.status == "interrupted"
