"""A tool runs within its limits, and whatever it does, the program goes on."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from streamchat.chat.events import ToolProgress, ToolResult
from streamchat.tools import Context, Progress, execute, tool
from streamchat.tools.execution import MAX_STUCK, MAX_STUCK_PER_OWNER, TOO_MANY
from streamchat.tools.thread import MAX_LINE, MAX_LINES, stuck
from tests.unit.tools.running import SOMEBODY, events_of, result_of

PATIENCE = 20


async def until(true) -> None:
    async with asyncio.timeout(PATIENCE):
        while not true():
            await asyncio.sleep(0.005)


async def test_the_first_event_is_the_start_and_the_last_the_result() -> None:
    """A panel can say "running" before the tool says anything."""

    @tool
    async def add(a: int, b: int) -> int:
        return a + b

    first, last = await events_of(add, {"a": 1, "b": 2})
    assert first == ToolProgress("c1", "")
    assert isinstance(last, ToolResult)
    assert (last.call_id, last.state, last.result, last.error) == ("c1", "done", 3, None)
    assert last.duration_ms is not None


async def test_a_plain_function_runs_too() -> None:
    """In its own thread, where it may block."""

    @tool
    def where() -> str:
        time.sleep(0.01)
        return threading.current_thread().name

    assert (await result_of(where)).result == "tool where"


async def test_progress_comes_while_the_tool_works() -> None:
    """The line is there before the tool goes on: it waits until the test has seen it."""
    seen = threading.Event()

    @tool
    async def slow():
        yield Progress("half")
        await asyncio.to_thread(seen.wait, PATIENCE)
        yield {"seen": seen.is_set()}
        raise AssertionError("nothing runs after the result")

    told: list[Any] = []
    async for event in execute(slow, "c1", {}, SOMEBODY):
        told.append(event)
        if event == ToolProgress("c1", "half"):
            seen.set()
    assert told[-1].result == {"seen": True}


async def test_progress_is_bounded() -> None:
    """A tool that says a thousand long lines cannot fill the log."""

    @tool
    async def chatty():
        for n in range(1000):
            yield Progress(f"{n} " + "x\n" * 100_000)

    lines = [event.text for event in await events_of(chatty) if isinstance(event, ToolProgress) and event.text]
    assert len(lines) == MAX_LINES
    assert max(map(len, lines)) <= MAX_LINE
    assert lines[-1] == "(More lines are not shown.)"
    assert not any("\n" in line for line in lines)


async def test_a_generator_without_a_result_is_done() -> None:
    """Its result is null."""

    @tool
    async def silent():
        yield Progress("x")

    result = await result_of(silent)
    assert (result.state, result.result) == ("done", None)


# What goes wrong


async def test_an_exception_is_a_sentence_and_its_traceback_is_in_the_log(caplog) -> None:
    """The person and the model are told what it says; where it happened is for the log."""

    @tool
    async def broken() -> None:
        raise ValueError("no such city\nTraceback (most recent call last):\n  File secret.py")

    with caplog.at_level(logging.WARNING):
        result = await result_of(broken)
    assert (result.state, result.error, result.result) == ("error", "The tool failed: ValueError: no such city", None)
    assert caplog.records[-1].exc_info is not None


class _Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("even this")


@pytest.mark.parametrize(
    "error",
    [
        SystemExit(3),
        KeyboardInterrupt(),
        GeneratorExit(),
        asyncio.CancelledError(),
        BaseException("x"),
        _Mute(),
        MemoryError(),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("form", ["async", "plain", "generator"])
async def test_nothing_that_a_tool_raises_gets_out(error: BaseException, form: str) -> None:
    """Not even what ends a program: it is an error result."""

    async def waits() -> None:
        raise error

    def plain() -> None:
        raise error

    async def generator():
        yield Progress("x")
        raise error

    made = tool({"async": waits, "plain": plain, "generator": generator}[form])
    result = await result_of(made)
    assert result.state == "error"
    assert result.error
    assert "Traceback" not in result.error


async def test_a_task_of_the_tool_that_exits_is_an_error() -> None:
    """``SystemExit`` in a task ends a loop: the tool's, not the program's."""

    @tool
    async def nested() -> None:
        async def leave() -> None:
            sys.exit(1)

        await asyncio.gather(leave())

    assert (await result_of(nested)).state == "error"


async def test_a_tool_that_prints_harms_nothing(capfd) -> None:
    """Its result is what it returns."""

    @tool
    def prints() -> int:
        sys.stdout.write("to stdout\n" * 1000)
        sys.stderr.write("to stderr\n")
        return 1

    assert (await result_of(prints)).result == 1
    assert "to stdout" in capfd.readouterr().out


async def test_bad_arguments_never_reach_the_function() -> None:
    """Also where nobody checked them before."""
    called = []

    @tool
    async def careful(n: int) -> None:
        called.append(n)

    for arguments in ([], None, "x", {"n": "3"}, {"n": float("nan")}):
        *_, result = [event async for event in execute(careful, "c1", arguments, SOMEBODY)]  # pyrefly: ignore[bad-argument-type]
        assert isinstance(result, ToolResult)
        assert result.state == "invalid"
    assert called == []


# Time


async def test_a_tool_that_waits_is_stopped_at_its_limit() -> None:
    """It gets to clean up; the state says that it was the time."""
    cleaned = threading.Event()

    @tool(timeout=1)
    async def waits() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            cleaned.set()

    result = await result_of(waits)
    assert result.state == "timeout"
    assert "took longer than 1 s" in (result.error or "")
    await until(cleaned.is_set)
    await until(lambda: stuck() == 0)


async def test_a_tool_that_blocks_is_abandoned_and_delays_nobody() -> None:
    """While it holds its thread, the program's loop turns."""
    release = threading.Event()

    @tool(timeout=1)
    async def blocks() -> None:
        release.wait(PATIENCE)

    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.005)
            turns += 1

    turning = asyncio.create_task(turn())
    try:
        assert (await result_of(blocks)).state == "timeout"
        assert not release.is_set()
        assert turns >= 2
        assert stuck() == 1
    finally:
        turning.cancel()
        release.set()
    await until(lambda: stuck() == 0)


@pytest.mark.parametrize("blocks", [False, True])
async def test_stop_does_not_wait_for_the_tool(blocks: bool) -> None:
    """Closing the reader cancels a tool that waits and leaves one that blocks, at once."""
    release, cleaned = threading.Event(), threading.Event()

    @tool
    async def busy():
        yield Progress("on it")
        try:
            if blocks:
                release.wait(PATIENCE)
            await asyncio.sleep(PATIENCE)
        finally:
            cleaned.set()

    async with aclosing(execute(busy, "c1", {}, SOMEBODY)) as events:
        async for event in events:
            if event.text:  # pyrefly: ignore[missing-attribute] only progress comes here
                break
    assert not (blocks and cleaned.is_set())
    release.set()
    await until(cleaned.is_set)
    await until(lambda: stuck() == 0)


async def test_a_cancelled_reader_cancels_the_tool() -> None:
    """The same when the reader's task is cancelled while it waits."""
    began, cleaned = threading.Event(), threading.Event()

    @tool
    async def waits() -> None:
        began.set()
        try:
            await asyncio.sleep(PATIENCE)
        finally:
            cleaned.set()

    reader = asyncio.create_task(result_of(waits))
    await until(began.is_set)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    await until(cleaned.is_set)


class Blocking:
    """A tool that blocks until ``release``. Only what has begun can be stuck, so ``abandon`` waits until it has."""

    def __init__(self) -> None:
        self._release = threading.Event()
        self._began = threading.Semaphore(0)

        @tool(timeout=PATIENCE)
        def blocks() -> None:
            self._began.release()
            self._release.wait(PATIENCE)

        self.tool = blocks

    async def abandon(self, owner: str) -> None:
        async with aclosing(execute(self.tool, "c1", {}, Context(owner, "conversation"))) as events:
            await anext(events)
            await until(lambda: self._began.acquire(blocking=False))

    async def release(self) -> None:
        self._release.set()
        await until(lambda: stuck() == 0)


@pytest.fixture
async def blocking() -> AsyncIterator[Blocking]:
    blocking = Blocking()
    yield blocking
    await blocking.release()


async def test_too_many_stuck_tools_refuse_the_next(blocking: Blocking) -> None:
    """A broken tool cannot take all threads of the machine."""
    for number in range(MAX_STUCK):
        await blocking.abandon(f"owner {number}")
    (only,) = await events_of(blocking.tool)
    assert isinstance(only, ToolResult)
    assert (only.state, only.error) == ("error", TOO_MANY)


async def test_the_stuck_tools_of_one_owner_refuse_only_that_owner(blocking: Blocking) -> None:
    """Nobody can take all threads from the others."""
    for _ in range(MAX_STUCK_PER_OWNER):
        await blocking.abandon(SOMEBODY.owner)
    assert stuck(SOMEBODY.owner) == stuck() == MAX_STUCK_PER_OWNER
    assert (await result_of(blocking.tool)).error == TOO_MANY
    await blocking.abandon("another")
    assert stuck("another") == 1


def test_a_stuck_tool_holds_up_no_exit() -> None:
    """The program ends although a tool blocks, and another one in a thread that it made."""
    program = """
import asyncio, time
from streamchat.tools import Context, execute, tool

@tool(timeout=0.2)
def blocks() -> None:
    time.sleep(600)

@tool(timeout=0.2)
async def hands_on() -> None:
    await asyncio.to_thread(time.sleep, 600)

async def main():
    for made in (blocks, hands_on):
        print([event async for event in execute(made, "c", {}, Context("o", "c"))][-1].state)

asyncio.run(main())
"""
    ran = subprocess.run([sys.executable, "-c", program], timeout=50, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["timeout", "timeout"]


# What surrounds it


async def test_services_are_called_where_they_live() -> None:
    """A tool on its own loop reaches the program's, and gets its answer back."""
    home = asyncio.get_running_loop()

    @tool
    async def asks(context: Context) -> bool:
        async def here() -> bool:
            return asyncio.get_running_loop() is home

        return asyncio.get_running_loop() is not home and await context.at_home(here())

    assert (await result_of(asks)).result is True


async def test_parallel_calls_run_at_the_same_time() -> None:
    """Three that wait for one another all end."""
    barrier = threading.Barrier(3)

    @tool
    def meet() -> int:
        return barrier.wait(PATIENCE)

    results = await asyncio.gather(*(result_of(meet) for _ in range(3)))
    assert {result.result for result in results} == {0, 1, 2}
