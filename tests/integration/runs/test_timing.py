"""Every answer says how fast it came: measured once, the same in the log, over HTTP and in the database."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from streamchat.chat.events import Failed, Finished, Stopped, TextDelta, ToolCallReady, ToolCallStarted, UsageReported
from streamchat.chat.wire import event_to_wire
from streamchat.errors import ProviderError, StorageError
from streamchat.providers.catalog import Catalog, Source
from streamchat.runs.approvals import Decision
from streamchat.runs.log import Entry
from streamchat.simulator import MODELS, Simulator
from streamchat.tools import tool
from tests.integration.runs.conftest import World, make_world


async def timed(world: World, run_id: str) -> dict[str, Any]:
    """The times of an ended answer, once the database has them; they are those of the log's ending."""
    message = await world.ended(run_id)
    entries = world.log.entries_after(run_id, 0)
    assert isinstance(entries, list)
    ending = entries[-1].event
    assert isinstance(ending, Finished | Stopped | Failed)
    assert ending.timing == message.timing is not None
    while (stored := (await world.stored(run_id)).timing) is None:
        await asyncio.sleep(0.005)
    assert stored == message.timing
    return dict(stored)


async def test_stages_are_in_order_over_a_real_connection(tmp_path: Path):
    """Asked, first byte, first token, last token, complete: measured by the run, of a provider that takes its time."""
    catalog = Catalog([Source("simulator", Simulator(), list(MODELS))])
    async with make_world(tmp_path, catalog=catalog) as world:
        world.model = "simulator:tour"
        begun = await world.start("n=30 rate=200 ttft=150 kind=numbered")
        timing = await timed(world, begun.run_id)
    stages = [timing[name] for name in ("asked_ms", "connected_ms", "ttfb_ms", "ttft_ms", "ttlt_ms", "ttc_ms")]
    assert stages == sorted(stages)
    assert timing["ttft_ms"] - timing["asked_ms"] >= 150
    assert timing["ttlt_ms"] - timing["ttft_ms"] >= 29 * 5 * 0.9
    assert timing["tokens"] == 30
    assert timing["tokens_per_second"] <= 230
    assert timing["gap_p50_ms"] <= timing["gap_p95_ms"] <= timing["longest_gap_ms"] * 1.06 + 1


async def test_an_answer_in_progress_has_none(world: World):
    begun = await world.start()
    world.provider.say(TextDelta("Hello"))
    while world.log.snapshot(begun.run_id).seq == 0:
        await asyncio.sleep(0.005)
    assert world.log.snapshot(begun.run_id).message.timing is None
    world.provider.say(Finished())
    assert (await timed(world, begun.run_id))["ttft_ms"] >= 0


async def test_an_ending_that_is_not_stored_is_not_complete(world: World, monkeypatch: pytest.MonkeyPatch):
    """TTC is the time of storing: without it the other times are there, and nothing claims that it happened."""
    begun = await world.start()
    world.provider.say(TextDelta("a"))
    while world.log.snapshot(begun.run_id).seq == 0:
        await asyncio.sleep(0.005)

    async def away(*_: object) -> None:
        raise StorageError("The database is away.", transient=True)

    monkeypatch.setattr(world.writer, "end", away)
    world.provider.say(Finished())
    timing = (await world.ended(begun.run_id)).timing
    assert timing is not None
    assert timing["ttlt_ms"] >= 0
    assert "ttc_ms" not in timing


@pytest.mark.parametrize("how", ["stopped", "failed"])
async def test_any_ending_has_its_times(world: World, how: str):
    """Also of an answer without a single token: it says when it ended, and no more than is known."""
    begun = await world.start()
    if how == "stopped":
        while not world.provider.requests:
            await asyncio.sleep(0.005)
        await world.runs.cancel("local", begun.run_id)
    else:
        world.provider.say(ProviderError("no"))
    timing = await timed(world, begun.run_id)
    assert timing["ttc_ms"] >= 0
    assert "ttft_ms" not in timing
    assert (await world.stored(begun.run_id)).status == how


async def test_the_wait_for_a_person_is_a_figure_of_its_own(tmp_path: Path):
    """An approval an hour later: neither a slow model nor a slow tool."""

    @tool(approve=True)
    def act() -> str:
        """Act."""
        return "done"

    async with make_world(tmp_path, tools=[act]) as world:
        begun = await world.start()
        world.provider.say(
            TextDelta("I will."), ToolCallStarted("c1", "act"), ToolCallReady("c1", {}), Finished("tool-calls")
        )
        await world.reached(begun.run_id, "waiting")
        assert world.log.snapshot(begun.run_id).message.timing is None
        await asyncio.sleep(0.3)
        world.provider.say(TextDelta("Done."), Finished())
        await world.runs.decide("local", begun.run_id, "c1", Decision(True))
        timing = await timed(world, begun.run_id)
    assert timing["waited_ms"] >= 290
    assert timing["ttlt_ms"] >= timing["waited_ms"]
    assert timing["stalls"] == 0


async def test_usage_of_the_provider_counts(world: World):
    begun = await world.start()
    world.provider.say(TextDelta("a"), TextDelta("b"), UsageReported(7, 40, 5), Finished())
    timing = await timed(world, begun.run_id)
    assert (timing["tokens"], timing["cached_tokens"]) == (40, 5)


async def test_readers_get_it_with_the_ending(world: World):
    """It is part of the ending on the wire, and of nothing before it."""
    begun = await world.start()
    world.provider.say(TextDelta("a"), Finished())
    await world.ended(begun.run_id)
    entries = world.log.entries_after(begun.run_id, 0)
    assert isinstance(entries, list)
    *before, ending = [event_to_wire(entry.event) for entry in entries if isinstance(entry, Entry)]
    assert ending["timing"]["ttc_ms"] >= 0
    assert not any("timing" in event for event in before)
