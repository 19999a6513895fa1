"""What every log keeps, whatever it is made of: in memory, on Redis or a Redis Cluster, and read on another worker
than it is written."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from streamchat.chat.events import (
    Finished,
    Notice,
    ReasoningDelta,
    Stopped,
    TextDelta,
    ToolCallArguments,
    ToolCallReady,
    ToolCallStarted,
    ToolProgress,
    ToolResult,
    UsageReported,
    Waiting,
)
from streamchat.chat.fold import Folding, fold
from streamchat.chat.messages import Message
from streamchat.errors import NotFound, OutOfOrder
from streamchat.runs.log import Entry, Log, MemoryLog, Snapshot
from streamchat.runs.redis.engine import redis_engine
from streamchat.runs.redis.log import RedisLog
from streamchat.runs.redis.run_publisher import Limits
from tests.integration.runs.two_workers import arrived, two_workers
from tests.support.reading import batches, items


@dataclass
class Two:
    """A log as its writer has it and as its reader has it: one object where both are in one process."""

    writer: Log
    reader: Log

    def opened(self, words: int = 0) -> Message:
        message = Message("run", "assistant", status="streaming")
        self.writer.open(message)
        for n in range(words):
            self.writer.append("run", TextDelta(f"w{n} "))
        return message

    async def arrived(self) -> None:
        """Until the reader has what was written."""
        if isinstance(self.writer, RedisLog) and isinstance(self.reader, RedisLog):
            await arrived(self.writer, self.reader)


@pytest.fixture(params=["memory", "redis", "remote reader", "cluster", "remote reader over a cluster"])
async def two(request: pytest.FixtureRequest) -> AsyncIterator[Two]:
    if request.param == "memory":
        log = MemoryLog()
        yield Two(log, log)
        return
    server = request.getfixturevalue("redis_cluster" if "cluster" in request.param else "redis")
    async with two_workers(server.url) as (one, other):
        yield Two(one.log, other.log if "remote" in request.param else one.log)


def entries(batch: list[Entry] | Snapshot) -> list[Entry]:
    assert not isinstance(batch, Snapshot)
    return batch


async def collect(log: Log, after: int = 0, run_id: str = "run") -> list:
    return await items(log, run_id, after)


async def test_numbers_are_contiguous_from_one(two: Two):
    """Entries are numbered 1, 2, 3 … and the last one is the ending."""
    two.opened(5)
    two.writer.append("run", Finished())
    await two.arrived()
    found = await collect(two.reader)
    assert [entry.seq for entry in found] == [1, 2, 3, 4, 5, 6]
    assert [entry.last for entry in found] == [False] * 5 + [True]


RICH = [
    ReasoningDelta("hm 😀"),
    ReasoningDelta("", {"signature": "x"}),
    TextDelta("né "),
    TextDelta("👩‍👩‍👧 "),
    TextDelta("c"),
    ToolCallStarted("c", "send"),
    ToolCallStarted("d", "send"),
    ToolCallArguments("c", '{"to": "é'),
    ToolCallArguments("d", "{"),
    ToolCallArguments("c", '😀"}'),
    ToolCallReady("c", {"to": "é😀"}),
    ToolProgress("c", "half"),
    ToolResult("c", "done", {"x": 1, "at": 5}),
    UsageReported(1, 2),
    Notice("seam", "Continued.", {"x": 1, "at": 5}),
    TextDelta("d"),
    Finished(),
]


async def test_an_entry_knows_its_place(two: Two):
    """Part and offset are what folding finds, wherever a reader begins, and the same on every worker."""
    folding = Folding(two.opened())
    for event in RICH:
        two.writer.append("run", event)
    await two.arrived()
    found = await collect(two.reader)
    assert [entry.event for entry in found] == RICH
    assert [(entry.part, entry.offset) for entry in found] == [folding.add(event) for event in RICH]
    assert [(entry.part, entry.offset) for entry in found[:5]] == [(0, 0), (0, 5), (1, 0), (1, 3), (1, 12)]
    assert await collect(two.writer) == found
    for after in range(len(RICH)):
        assert await collect(two.reader, after) == found[after:]


async def test_time_never_goes_back(two: Two):
    """An entry has the time at which it arrived, though it may be appended later; one that is appended before it, at a
    later time, does not make time go back."""
    two.opened()
    begins = time.monotonic()
    for late, event in ((0.25, TextDelta("a")), (0.75, TextDelta("b")), (0.5, TextDelta("c"))):
        two.writer.append("run", event, begins + late)
    two.writer.append("run", Finished(), begins + 1)
    await two.arrived()
    found = await collect(two.reader)
    times = [entry.at for entry in found]
    assert times == [entry.at for entry in await collect(two.writer)]
    assert [round(at - times[0], 6) for at in times] == [0, 0.5, 0.5, 0.75]
    assert abs(times[0] - time.time()) < 60


async def test_resume_at_every_number_gives_exactly_the_missing(two: Two):
    """Whatever a reader has seen, it gets the rest, and together it is the whole."""
    message = two.opened(20)
    two.writer.append("run", Finished())
    await two.arrived()
    whole = await collect(two.reader)
    for after in range(21):
        rest = await collect(two.reader, after)
        assert whole[:after] + rest == whole
    assert fold(message, [entry.event for entry in whole]) == two.reader.snapshot("run").message


async def test_a_reader_follows_live(two: Two):
    """A reader that is there first gets every entry as it is written, and ends with the ending."""
    two.opened()
    await two.arrived()
    reader = asyncio.create_task(collect(two.reader))
    for n in range(50):
        two.writer.append("run", TextDelta(str(n)))
        await asyncio.sleep(0)
    two.writer.append("run", Finished())
    found = await asyncio.wait_for(reader, 20)
    assert [entry.seq for entry in found] == list(range(1, 52))
    assert "".join(entry.event.text for entry in found[:-1]) == "".join(map(str, range(50)))


async def test_beyond_the_end_is_a_snapshot(two: Two):
    """A reader that asks beyond the end gets what there is, then goes on."""
    two.opened(3)
    await two.arrived()
    reader = asyncio.create_task(collect(two.reader, after=99))
    await asyncio.sleep(0.01)
    two.writer.append("run", Finished())
    first, last = await asyncio.wait_for(reader, 20)
    assert (first.seq, first.message.text) == (3, "w0 w1 w2 ")
    assert last.seq == 4


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_a_run_that_waited_goes_on_for_the_readers_it_has(two: Two, elsewhere: bool):
    """Whoever goes on with it, here or where it was only read: the next number follows, nobody attaches anew."""
    two.opened(3)
    for event in (ToolCallStarted("c", "send"), ToolCallReady("c", {}), Waiting(("c",))):
        two.writer.append("run", event)
    await two.arrived()
    readers = [asyncio.create_task(collect(log)) for log in (two.writer, two.reader)]
    await asyncio.sleep(0.05)
    stored = two.writer.snapshot("run")
    on, other = (two.reader, two.writer) if elsewhere else (two.writer, two.reader)
    on.resume(stored)
    on.append("run", ToolResult("c", "denied"))
    on.append("run", Finished())
    for found in await asyncio.wait_for(asyncio.gather(*readers), 20):
        assert [entry.seq for entry in found] == list(range(1, 9))
        assert found[-1].last
    assert other.snapshot("run") == on.snapshot("run")


async def test_nothing_follows_the_ending(two: Two):
    """One ending, and nothing after it."""
    two.opened(1)
    two.writer.append("run", Finished())
    for late in (TextDelta("late"), Stopped()):
        with pytest.raises(OutOfOrder):
            two.writer.append("run", late)
    await two.arrived()
    assert two.reader.snapshot("run").seq == 2


async def test_unknown_runs_are_not_found(two: Two):
    """An unknown run is an error to every call, not a wait without end."""
    for call in (
        lambda: two.reader.snapshot("x"),
        lambda: two.reader.entries_after("x", 0),
        lambda: two.reader.append("x", TextDelta("a")),
    ):
        with pytest.raises(NotFound):
            call()
    with pytest.raises(NotFound):
        await collect(two.reader, run_id="x")


async def test_a_slow_reader_gets_larger_batches_and_slows_nobody(two: Two):
    """What waits is there at once; the writer never waited for the reader."""
    two.opened()
    two.writer.append("run", TextDelta("0"))
    await two.arrived()
    reader = batches(two.reader, "run")
    assert len(entries(await anext(reader))) == 1
    for n in range(1, 1000):
        two.writer.append("run", TextDelta(str(n)))
    await two.arrived()
    assert len(entries(await anext(reader))) == 999
    await reader.aclose()


async def test_readers_see_the_same(two: Two):
    """Two readers, one from the start and one from the middle, and the writer's worker have one sequence."""
    two.opened(10)
    await two.arrived()
    readers = [asyncio.create_task(collect(log, after)) for log in (two.reader, two.writer) for after in (0, 5)]
    for n in range(10, 20):
        two.writer.append("run", TextDelta(f"w{n} "))
        await asyncio.sleep(0.001)
    two.writer.append("run", Finished())
    whole, rest, near, near_rest = await asyncio.wait_for(asyncio.gather(*readers), 20)
    assert whole == near
    assert rest == near_rest == whole[5:]


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
async def test_a_jump_of_the_wall_clock_is_not_seen(jump: float):
    """Between two entries lies what the monotonic clock says, whatever somebody does to the wall clock meanwhile."""
    clocks = {"wall": 1_800_000_000.0, "monotonic": 50.0}
    log = MemoryLog(wall=lambda: clocks["wall"], monotonic=lambda: clocks["monotonic"])
    Two(log, log).opened()
    for n in range(4):
        clocks["monotonic"] += 0.5
        clocks["wall"] += 0.5 if n != 1 else jump
        log.append("run", TextDelta("a"))
    times = [entry.at for entry in entries(log.entries_after("run", 0))]
    assert times == [1_800_000_000.5, 1_800_000_001.0, 1_800_000_001.5, 1_800_000_002.0]
    log.open(Message("other", "assistant", status="streaming"))
    assert log.opened_at("other") == clocks["wall"]


@pytest.mark.parametrize("behind", [False, True])
async def test_a_run_that_goes_on_elsewhere_goes_on_in_time(two: Two, behind: bool):
    """Whoever goes on with a run, though their clock be an hour behind: to no reader of it does time go back."""
    two.opened(3)
    for event in (ToolCallStarted("c", "send"), ToolCallReady("c", {}), Waiting(("c",))):
        two.writer.append("run", event)
    await two.arrived()
    readers = [asyncio.create_task(collect(log)) for log in (two.writer, two.reader)]
    await asyncio.sleep(0.05)
    two.reader.resume(two.writer.snapshot("run"))
    for event in (ToolResult("c", "denied"), Finished()):
        two.reader.append("run", event, time.monotonic() - 3600 * behind)
    for found in await asyncio.wait_for(asyncio.gather(*readers), 20):
        assert [entry.at for entry in found] == sorted(entry.at for entry in found)


@pytest.mark.parametrize("kind", ["memory", "redis"])
async def test_an_ended_run_is_forgotten_after_a_while(kind: str, request: pytest.FixtureRequest):
    """Memory does not grow with the number of answers ever given."""
    if kind == "memory":
        await check_forgetting(MemoryLog(keep_seconds=0.01))
        return
    url = request.getfixturevalue("redis").url
    async with redis_engine(url, worker="one", limits=Limits(keep_seconds=0.01)) as engine:
        await check_forgetting(engine.log)


async def check_forgetting(log: Log) -> None:
    two = Two(log, log)
    two.opened(3)
    log.append("run", Finished())
    assert log.snapshot("run").message.text == "w0 w1 w2 "
    await asyncio.sleep(0.1)
    with pytest.raises(NotFound):
        log.snapshot("run")


BUDGET = 40_000


@pytest.fixture(params=["memory", "redis"])
async def small(request: pytest.FixtureRequest) -> AsyncIterator[MemoryLog | RedisLog]:
    """A log with room for a few answers that have ended."""
    if request.param == "memory":
        yield MemoryLog(keep_bytes=BUDGET)
        return
    url = request.getfixturevalue("redis").url
    async with redis_engine(url, worker="one", limits=Limits(keep_bytes=BUDGET)) as engine:
        yield engine.log


async def ended(log: MemoryLog | RedisLog, number: int, words: int = 50) -> str:
    """An answer that began, was said and ended."""
    log.open(Message(run_id := f"run{number}", "assistant", status="streaming"))
    for n in range(words):
        log.append(run_id, TextDelta(f"w{n} "))
    log.append(run_id, Finished())
    if isinstance(log, RedisLog):
        await log.publisher.sent(10)
    return run_id


def local(log: MemoryLog | RedisLog) -> MemoryLog:
    return log._local if isinstance(log, RedisLog) else log


async def test_ended_runs_have_a_budget(small: MemoryLog | RedisLog):
    """However many answers end: those that are kept weigh no more than they may, the oldest are gone, the newest are
    there; and what is under way, or waits for a person, is not touched."""
    small.open(Message("open", "assistant", status="streaming"))
    small.append("open", TextDelta("x" * BUDGET))
    small.open(Message("waits", "assistant", status="streaming"))
    small.append("waits", ToolCallStarted("c", "f"))
    small.append("waits", ToolCallReady("c", {}))
    small.append("waits", Waiting(("c",)))
    gc.collect()
    before = sum(isinstance(thing, TextDelta) for thing in gc.get_objects())
    runs = [await ended(small, number) for number in range(100)]
    kept = [local(small).has(run_id) for run_id in runs]
    assert 0 < sum(kept) < 20
    assert kept == sorted(kept), "the oldest go first"
    assert local(small).kept_bytes <= BUDGET
    gc.collect()
    here = sum(isinstance(thing, TextDelta) for thing in gc.get_objects())
    assert here - before < 20 * 51, "what is gone takes no memory"
    assert small.snapshot("open").seq == 1
    assert small.snapshot("waits").message.status == "waiting"


async def test_an_answer_over_the_budget_is_kept_until_the_next(small: MemoryLog | RedisLog):
    """Its readers see its end; then it goes."""
    large = await ended(small, 0, words=2000)
    assert [entry.last for entry in await collect(small, 1999, large)] == [False, True]
    await ended(small, 1)
    assert not local(small).has(large)


async def test_what_is_read_stays(small: MemoryLog | RedisLog):
    """A reader that is behind gets every entry, however much ends meanwhile; once it has gone, so has what it read."""
    slow = await ended(small, 0, words=2000)
    reader = batches(small, slow)
    first = await anext(reader)
    for number in range(1, 50):
        await ended(small, number)
    assert entries(first)[-1].last
    assert local(small).has(slow)
    await reader.aclose()
    assert not local(small).has(slow)
    assert local(small).kept_bytes <= BUDGET
