"""The watchdog counts a loop that stands still, says where, and takes a slow machine for what it is."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import Any

import pytest

from streamchat.watchdog import LIMIT_SECONDS, MAX_FRAMES, Watchdog, place_of


def block(watchdog: Watchdog) -> None:
    """Hold up the loop until the watchdog has noticed."""
    while not watchdog.sampled:
        time.sleep(0.01)


def compute(watchdog: Watchdog) -> None:
    while not watchdog.sampled:
        sum(range(10_000))


@pytest.mark.parametrize("hold_up", [block, compute])
async def test_a_pause_is_counted_and_its_place_is_logged(hold_up, caplog: pytest.LogCaptureFixture) -> None:
    """Whether the loop's thread waits or computes."""
    watchdog = Watchdog()
    watchdog.start()
    try:
        hold_up(watchdog)
        while not watchdog.pauses.count:
            await asyncio.sleep(0)
    finally:
        watchdog.close()
    assert watchdog.pauses.longest > LIMIT_SECONDS
    (line,) = [record for record in caplog.records if hold_up.__name__ in record.getMessage()]
    assert line.levelno == logging.WARNING
    assert "test_watchdog.py" in line.getMessage()


class Clocks:
    """Time as the test says."""

    def __init__(self) -> None:
        self.now = self.used = 0.0

    def pass_by(self, seconds: float, used: float) -> None:
        self.now += seconds
        self.used += used


async def test_a_process_that_is_not_scheduled_has_no_pause() -> None:
    """Its thread used no time, and nobody could look: the machine had other things to do."""
    clocks = Clocks()
    watchdog = Watchdog(clock=lambda: clocks.now, busy=lambda: clocks.used)
    select = watchdog.watched(lambda timeout: clocks.pass_by(60.0, used=0.0))
    select(None)
    clocks.pass_by(3.0, used=0.01)
    select(None)
    assert watchdog.pauses.count == 0
    clocks.pass_by(1.0, used=0.9)
    select(None)
    assert (watchdog.pauses.count, watchdog.pauses.longest) == (1, 1.0)
    clocks.pass_by(0.9 * LIMIT_SECONDS, used=LIMIT_SECONDS)
    select(None)
    assert watchdog.pauses.count == 1


async def test_a_pause_after_short_turns_is_measured_by_itself() -> None:
    """What the thread used before the pause does not make a pause of the machine one of the loop."""
    clocks = Clocks()
    watchdog = Watchdog(clock=lambda: clocks.now, busy=lambda: clocks.used)
    select = watchdog.watched(lambda timeout: None)
    for _ in range(1000):
        clocks.pass_by(0.001, used=0.001)
        select(None)
    clocks.pass_by(2 * LIMIT_SECONDS + 0.01, used=0.0)
    select(None)
    assert watchdog.pauses.count == 0


async def test_closing_ends_its_thread_and_gives_the_selector_back() -> None:
    loop: Any = asyncio.get_running_loop()
    before = loop._selector.select
    watchdog = Watchdog()
    watchdog.start()
    thread = watchdog._thread
    assert thread is not None
    assert loop._selector.select != before
    watchdog.close()
    await asyncio.to_thread(thread.join)
    assert loop._selector.select == before
    assert "watchdog" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_two_of_one_loop_end_in_any_order(order: tuple[int, int]) -> None:
    """The one that goes on counts, the other one does not any more."""
    both = Watchdog(), Watchdog()
    for watchdog in both:
        watchdog.start()
    ended, going_on = (both[place] for place in order)
    ended.close()
    block(going_on)
    while not going_on.pauses.count:
        await asyncio.sleep(0)
    assert ended.pauses.count == 0
    going_on.close()
    await asyncio.sleep(0)


async def test_a_loop_without_a_selector_is_not_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(asyncio.get_running_loop(), "_selector")
    watchdog = Watchdog()
    watchdog.start()
    watchdog.close()
    monkeypatch.undo()
    assert watchdog.pauses.count == 0


def test_a_place_has_the_innermost_frames_first() -> None:
    def deep(levels: int) -> str:
        return deep(levels - 1) if levels else place_of(__import__("sys")._getframe())

    assert deep(0).startswith("deep (unit/test_watchdog.py:")
    assert deep(50).count(" < ") == MAX_FRAMES - 1
