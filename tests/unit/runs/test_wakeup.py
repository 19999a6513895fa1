"""One flag wakes one waiter, once; its waits share one timer."""

from __future__ import annotations

import asyncio

import pytest

from streamchat.runs.wakeup import Wakeup


async def test_a_flag_that_was_set_before_is_not_missed() -> None:
    wakeup = Wakeup()
    wakeup.set()
    wakeup.set()
    assert await wakeup.wait(10)
    assert not await wakeup.wait(0.01)


async def test_setting_it_wakes_the_waiter() -> None:
    wakeup = Wakeup()
    waiting = asyncio.create_task(wakeup.wait(10))
    await asyncio.sleep(0)
    wakeup.set()
    assert await waiting


async def test_each_wait_has_its_own_patience() -> None:
    """Also one that is shorter, longer or endless after others whose timer is still there."""
    wakeup, loop = Wakeup(), asyncio.get_running_loop()
    for timeout in (60.0, 0.03, 0.06):
        if timeout == 60:
            loop.call_soon(wakeup.set)
        began = loop.time()
        assert await wakeup.wait(timeout) is (timeout == 60)
        assert loop.time() - began >= (0 if timeout == 60 else timeout - 0.001)
    loop.call_soon(wakeup.set)
    assert await wakeup.wait(0.02)
    endless = asyncio.create_task(wakeup.wait())
    assert await asyncio.wait([endless], timeout=0.06) == (set(), {endless})
    wakeup.set()
    assert await endless


async def test_a_wait_that_is_cancelled_leaves_no_timer() -> None:
    wakeup = Wakeup()
    waiting = asyncio.create_task(wakeup.wait(3600))
    await asyncio.sleep(0)
    timer = wakeup._timer
    assert timer is not None
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert timer.cancelled()
    wakeup.set()
    assert await wakeup.wait(0)


async def test_a_closed_flag_leaves_no_timer() -> None:
    wakeup = Wakeup()
    asyncio.get_running_loop().call_soon(wakeup.set)
    assert await wakeup.wait(3600)
    timer = wakeup._timer
    assert timer is not None
    wakeup.close()
    assert timer.cancelled()
    wakeup.set()
    assert await wakeup.wait(0)


async def test_many_waits_share_a_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A piece of an answer waits several times: a timer for each was a large part of what it cost."""
    wakeup, loop = Wakeup(), asyncio.get_running_loop()
    timers = []
    call_at = loop.call_at
    monkeypatch.setattr(loop, "call_at", lambda *values: (timers.append(values), call_at(*values))[1])
    for _ in range(100):
        loop.call_soon(wakeup.set)
        assert await wakeup.wait(3600)
    assert len(timers) == 1
