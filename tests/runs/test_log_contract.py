"""What every log keeps, whatever it is made of: in memory, on Redis, and read on another worker than it is written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from streamchat.chat.events import Finished, Stopped, TextDelta, ToolCallReady, ToolCallStarted, ToolResult, Waiting
from streamchat.chat.fold import fold
from streamchat.chat.messages import Message
from streamchat.errors import NotFound, OutOfOrder
from streamchat.runs.log import Entry, Log, MemoryLog, Snapshot, follow
from streamchat.runs.redis_engine import redis_engine
from streamchat.runs.redis_log import RedisLog
from streamchat.runs.redis_sending import Limits
from tests.runs.two_workers import arrived, two_workers


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


@pytest.fixture(params=["memory", "redis", "remote reader"])
async def two(request: pytest.FixtureRequest) -> AsyncIterator[Two]:
    if request.param == "memory":
        log = MemoryLog()
        yield Two(log, log)
        return
    async with two_workers(request.getfixturevalue("redis").url) as (one, other):
        yield Two(one.log, one.log if request.param == "redis" else other.log)


def entries(batch: list[Entry] | Snapshot) -> list[Entry]:
    assert not isinstance(batch, Snapshot)
    return batch


async def collect(log: Log, after: int = 0, run_id: str = "run") -> list:
    batches = [batch async for batch in follow(log, run_id, after)]
    return [entry for batch in batches for entry in ([batch] if isinstance(batch, Snapshot) else batch)]


async def test_numbers_are_contiguous_from_one(two: Two):
    """Entries are numbered 1, 2, 3 … and the last one is the ending."""
    two.opened(5)
    two.writer.append("run", Finished())
    await two.arrived()
    found = await collect(two.reader)
    assert [entry.seq for entry in found] == [1, 2, 3, 4, 5, 6]
    assert [entry.last for entry in found] == [False] * 5 + [True]


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
    on.go_on(stored)
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
        lambda: two.reader.take("x", 0),
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
    reader = follow(two.reader, "run")
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
