"""Joining what waits, and the limits of silence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from streamchat.chat.events import Event, Finished, ReasoningDelta, TextDelta, ToolCallArguments, ToolCallStarted
from streamchat.chat.fold import fold
from streamchat.chat.messages import Message
from streamchat.errors import ProviderError, StreamBroken
from streamchat.runs.coalesce import Arrival, Deadlines, intake


async def read_stream(*steps: Event | float | Exception) -> AsyncGenerator[Event, None]:
    """Says events; a number is a pause in seconds."""
    for step in steps:
        if isinstance(step, float):
            await asyncio.sleep(step)
        elif isinstance(step, Exception):
            raise step
        elif not isinstance(step, int):
            yield step


async def taken(source: AsyncGenerator[Event, None], **limits: float) -> list[Event]:
    return [arrival.event async for arrival in intake(source, Deadlines(**limits))]


async def test_what_waits_is_joined():
    """Deltas that arrive in one go become one, in order, and only neighbours of a kind."""
    events = [TextDelta(c) for c in "abc"] + [ReasoningDelta("x"), ReasoningDelta("y"), TextDelta("d"), Finished()]
    assert await taken(read_stream(*events)) == [TextDelta("abc"), ReasoningDelta("xy"), TextDelta("d"), Finished()]


async def test_an_event_has_the_time_at_which_it_came():
    """Not that at which it is taken; and of what is joined, the time of the first."""
    times = iter([1.0, 2.0, 3.0, 4.0])
    events = [TextDelta("a"), TextDelta("b"), ReasoningDelta("x"), TextDelta("c")]
    source = intake(read_stream(*events), Deadlines(), lambda: next(times))
    assert [arrival async for arrival in source] == [
        Arrival(TextDelta("ab"), 1.0),
        Arrival(ReasoningDelta("x"), 3.0),
        Arrival(TextDelta("c"), 4.0),
    ]


async def test_a_stream_that_keeps_up_is_not_delayed_or_joined():
    """Deltas that come one by one pass through one by one."""
    steps: list[Event | float] = [step for c in "abcd" for step in (TextDelta(c), 0.002)]
    assert await taken(read_stream(*steps)) == [TextDelta(c) for c in "abcd"]


async def test_joining_changes_nothing_that_is_folded():
    """The message is the same, joined or not."""
    events = [
        TextDelta("a"), TextDelta("b"), ToolCallStarted("1", "f"), ToolCallStarted("2", "g"),
        ToolCallArguments("1", "{"), ToolCallArguments("2", "["), ToolCallArguments("2", "]"),
        ToolCallArguments("1", "}"), ReasoningDelta("r"), ReasoningDelta("s", {"signature": "z"}),
        ReasoningDelta("t"), Finished(),
    ]  # fmt: skip
    message = Message("m", "assistant", status="streaming")
    joined = await taken(read_stream(*events))
    assert len(joined) < len(events)
    assert fold(message, joined) == fold(message, events)


async def test_errors_pass_after_what_came_before():
    """What had arrived is handed on before the error."""
    got = []
    with pytest.raises(StreamBroken):
        async for event, _ in intake(read_stream(TextDelta("a"), StreamBroken("cut")), Deadlines()):
            got.append(event)
    assert got == [TextDelta("a")]


@pytest.mark.parametrize(
    ("steps", "limits", "error", "kind"),
    [
        ((5.0,), {"first": 0.05}, ProviderError, "first-token-timeout"),
        ((TextDelta("a"), 5.0), {"idle": 0.05}, StreamBroken, "stall"),
        ((TextDelta("a"), 5.0), {"total": 0.05}, StreamBroken, "total-timeout"),
        (tuple(x for _ in range(200) for x in (TextDelta("a"), 0.01)), {"total": 0.1}, StreamBroken, "total-timeout"),
    ],
)
async def test_silence_has_limits(steps, limits, error, kind):
    """Each deadline ends the stream with its own word."""
    with pytest.raises(error) as caught:
        await asyncio.wait_for(taken(read_stream(*steps), **limits), 4)
    assert caught.value.kind == kind


async def test_closing_closes_the_provider():
    """Whoever stops reading closes the provider's stream too, at once."""
    closed = asyncio.Event()

    async def endless() -> AsyncGenerator[Event, None]:
        try:
            while True:
                yield TextDelta("a")
                await asyncio.sleep(0.001)
        finally:
            closed.set()

    events = intake(endless(), Deadlines())
    await anext(events)
    await events.aclose()
    assert closed.is_set()


async def test_an_end_leaves_no_timer():
    """A first word that came in time leaves nothing that waits for two minutes: of each answer something would stay."""
    loop = asyncio.get_running_loop()
    assert await taken(read_stream(0.002, TextDelta("a"), Finished()), first=3600, idle=3600)
    scheduled: list[asyncio.TimerHandle] = loop._scheduled  # pyrefly: ignore[missing-attribute] asyncio's own
    assert [timer for timer in scheduled if not timer.cancelled() and timer.when() > loop.time() + 60] == []
