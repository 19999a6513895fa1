"""The lab shows the times of the log, whenever its reader began."""

from __future__ import annotations

from streamchat.chat.events import Finished, ReasoningDelta, TextDelta
from streamchat.chat.messages import Message
from streamchat.runs.log import MemoryLog, Snapshot
from streamchat.ui.lab import LogTimes

EVENTS = (ReasoningDelta("hm"), TextDelta("a"), TextDelta("b"), TextDelta("c"), Finished())


def log_of(start: int = 0) -> MemoryLog:
    """A log whose clocks are one, with an event each second, the first ``start`` of them by an owner that is gone."""
    log = MemoryLog(wall=lambda: 0.0, monotonic=lambda: 0.0)
    log.open(Message("run", "assistant", status="streaming"))
    for at, event in enumerate(EVENTS, 1):
        if at == start + 1 > 1:
            taken = log.snapshot("run")
            log.forget("run")
            log.resume(taken)
        log.append("run", event, arrived=at)
    return log


def times_of(log: MemoryLog, until: int) -> LogTimes:
    """What a reader notes whose snapshot was taken when the log had ``until`` entries."""
    times = LogTimes(log, "run")
    times.note(Snapshot(until, Message("run", "assistant")))
    entries = log.entries_after("run", until)
    if isinstance(entries, list):
        times.note(entries)
    return times


async def test_a_reader_that_comes_late_has_the_same_times() -> None:
    """The first text is the first of the answer, not the first that the reader saw arrive."""
    log = log_of()
    for until in range(len(EVENTS)):
        times = times_of(log, until)
        assert (times.first, times.last) == (2, 4), until
        assert times.complete is not None
    ended = times_of(log, len(EVENTS))
    assert (ended.first, ended.last, ended.complete) == (2, 4, None), "nobody saw when it could be read"


async def test_what_the_log_has_no_longer_is_not_known() -> None:
    """The first text came to an owner that is gone: none of those that came later is taken for it."""
    times = times_of(log_of(start=2), 2)
    assert (times.first, times.last) == (None, 4)


async def test_a_run_that_the_log_does_not_have() -> None:
    """Another worker's, or one that has been dropped: nothing is known."""
    times = LogTimes(MemoryLog(), "run")
    times.note(Snapshot(3, Message("run", "assistant")))
    assert times.frame() == {"k": "times", "m": "run", "opened": None, "first": None, "last": None, "complete": None}
