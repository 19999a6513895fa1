"""What every log keeps, whatever it is made of."""

from __future__ import annotations

import asyncio

import pytest

from streamchat.chat.events import Finished, Stopped, TextDelta
from streamchat.chat.fold import fold
from streamchat.chat.messages import Message
from streamchat.errors import NotFound, OutOfOrder
from streamchat.runs.log import Log, MemoryLog, Snapshot, follow


@pytest.fixture
def log() -> Log:
    return MemoryLog()


def opened(log: Log, words: int = 0, run_id: str = "run") -> Message:
    message = Message(run_id, "assistant", status="streaming")
    log.open(message)
    for n in range(words):
        log.append(run_id, TextDelta(f"w{n} "))
    return message


async def collect(log: Log, after: int = 0, run_id: str = "run") -> list:
    batches = [batch async for batch in follow(log, run_id, after)]
    return [entry for batch in batches for entry in ([batch] if isinstance(batch, Snapshot) else batch)]


async def test_numbers_are_contiguous_from_one(log):
    """Entries are numbered 1, 2, 3 … and the last one is the ending."""
    opened(log, 5)
    log.append("run", Finished())
    entries = await collect(log)
    assert [entry.seq for entry in entries] == [1, 2, 3, 4, 5, 6]
    assert [entry.last for entry in entries] == [False] * 5 + [True]


async def test_resume_at_every_number_gives_exactly_the_missing(log):
    """Whatever a reader has seen, it gets the rest, and together it is the whole."""
    message = opened(log, 20)
    log.append("run", Finished())
    whole = await collect(log)
    for after in range(21):
        rest = await collect(log, after)
        assert whole[:after] + rest == whole
    assert fold(message, [entry.event for entry in whole]) == log.snapshot("run").message


async def test_a_reader_follows_live(log):
    """A reader that is there first gets every entry as it is written, and ends with the ending."""
    opened(log)
    reader = asyncio.create_task(collect(log))
    for n in range(50):
        log.append("run", TextDelta(str(n)))
        await asyncio.sleep(0)
    log.append("run", Finished())
    entries = await asyncio.wait_for(reader, 5)
    assert "".join(e.event.text for e in entries[:-1]) == "".join(map(str, range(50)))


async def test_beyond_the_end_is_a_snapshot(log):
    """A reader that asks beyond the end gets what there is, then goes on."""
    opened(log, 3)
    reader = asyncio.create_task(collect(log, after=99))
    await asyncio.sleep(0.01)
    log.append("run", Finished())
    first, last = await asyncio.wait_for(reader, 5)
    assert (first.seq, first.message.text) == (3, "w0 w1 w2 ")
    assert last.seq == 4


async def test_nothing_follows_the_ending(log):
    """One ending, and nothing after it."""
    opened(log, 1)
    log.append("run", Finished())
    for late in (TextDelta("late"), Stopped()):
        with pytest.raises(OutOfOrder):
            log.append("run", late)
    assert log.snapshot("run").seq == 2


async def test_unknown_runs_are_not_found(log):
    """An unknown run is an error to every call, not a wait without end."""
    for call in (
        lambda: log.snapshot("x"),
        lambda: log.take("x", 0),
        lambda: log.append("x", TextDelta("a")),
    ):
        with pytest.raises(NotFound):
            call()
    with pytest.raises(NotFound):
        await collect(log, run_id="x")


async def test_a_slow_reader_gets_larger_batches_and_slows_nobody(log):
    """What waits is there at once; the writer never waited for the reader."""
    opened(log)
    reader = follow(log, "run")
    log.append("run", TextDelta("0"))
    assert len(await anext(reader)) == 1
    for n in range(1, 1000):
        log.append("run", TextDelta(str(n)))
    assert len(await anext(reader)) == 999
    await reader.aclose()


async def test_an_ended_run_is_forgotten_after_a_while():
    """Memory does not grow with the number of answers ever given."""
    log = MemoryLog(keep_seconds=0.01)
    opened(log, 3)
    log.append("run", Finished())
    assert log.snapshot("run").message.text == "w0 w1 w2 "
    await asyncio.sleep(0.1)
    with pytest.raises(NotFound):
        log.snapshot("run")
