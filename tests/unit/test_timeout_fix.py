"""``asyncio.timeout`` is the same on each supported Python. On those before 3.11.3 what is tested here is our fix."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from asyncio.timeouts import Timeout

import pytest

from streamchat.timeout_fix import fix_timeouts


@pytest.fixture(params=["python's", "fixed"])
def timeouts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "fixed":
        for name in ("__aenter__", "__aexit__"):  # put back at the end
            monkeypatch.setattr(Timeout, name, vars(Timeout)[name])
        fix_timeouts()


async def cancelled(cleanup) -> None:
    """Cancel a task that runs ``cleanup`` then, and wait for it."""

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await cleanup()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_timeout_in_a_cancelled_task_is_one(timeouts: None) -> None:
    seen = []

    async def cleanup() -> None:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        except TimeoutError:
            seen.append("timeout")

    await cancelled(cleanup)
    assert seen == ["timeout"]


async def test_a_cancellation_that_comes_within_it_is_none(timeouts: None) -> None:
    seen = []

    async def cleanup() -> None:
        task = asyncio.current_task()
        assert task is not None
        try:
            async with asyncio.timeout(0):
                task.cancel()  # as somebody else does, in the turn in which it expires
                await asyncio.sleep(1)
        except TimeoutError:
            seen.append("timeout")

    await cancelled(cleanup)
    assert seen == []


async def test_other_errors_pass(timeouts: None) -> None:
    with pytest.raises(ValueError, match="other"):
        async with asyncio.timeout(1):
            await asyncio.sleep(0)
            raise ValueError("other")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01), asyncio.timeout(1):
            await asyncio.Event().wait()
    async with asyncio.timeout(None) as never:
        await asyncio.sleep(0)
    assert not never.expired()


def test_it_is_there_before_anything_of_streamchat() -> None:
    program = (
        "import sys; sys.version_info = (3, 11, 2); import streamchat\n"
        "from asyncio.timeouts import Timeout; print(Timeout.__aexit__.__code__.co_filename)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("timeout_fix.py")
