"""The only accumulator: one ending, nothing out of order, the same however deltas are joined, and linear."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamchat.chat import events as e
from streamchat.chat.fold import Folding, fold
from streamchat.chat.messages import ErrorInfo, NoticePart, ReasoningPart, SourcePart, TextPart, ToolCallPart
from streamchat.errors import OutOfOrder
from tests.unit.chat.speaking import EMPTY, ENDINGS, RUNS, SAID

patient = settings(deadline=None)


@patient
@given(RUNS, st.data())
def test_joined_deltas_fold_the_same(run: list[e.Event], data: st.DataObject) -> None:
    """Whatever neighbours are joined, the message is the same."""
    joined: list[e.Event] = []
    for event in run:
        if joined and data.draw(st.booleans()) and (both := e.merge(joined[-1], event)) is not None:
            joined[-1] = both
        else:
            joined.append(event)
    assert fold(EMPTY, joined) == fold(EMPTY, run)


@patient
@given(RUNS)
def test_at_any_moment_the_same_as_from_the_start(run: list[e.Event]) -> None:
    """A message that was looked at in between, or folded on from a stored one, is no other."""
    looked, stepwise = Folding(EMPTY), EMPTY
    for count, event in enumerate(run, start=1):
        looked.add(event)
        stepwise = fold(stepwise, event)
        assert looked.message == stepwise == fold(EMPTY, run[:count])


@patient
@given(SAID)
def test_each_event_has_its_position(said: list[e.Event]) -> None:
    """The part is the one that changed, the offset the length of its text before, in UTF-16 code units; a message that
    was stored in between counts on from what it has."""
    whole, message = Folding(EMPTY), EMPTY
    for event in said:
        resumed = Folding(message)
        part, offset = position = resumed.add(event)
        assert whole.add(event) == position
        before, message = message, resumed.message
        changed = [n for n, p in enumerate(message.parts) if n >= len(before.parts) or p != before.parts[n]]
        assert isinstance(event, e.Waiting) or set(changed) <= {part}
        text = getattr(event, "text", "") if isinstance(event, e.TextDelta | e.ReasoningDelta) else ""
        text = event.fragment if isinstance(event, e.ToolCallArguments) else text
        assert part is not None or not text
        if part is not None and text:
            grown = message.parts[part]
            assert isinstance(grown, TextPart | ReasoningPart | ToolCallPart)
            whole_text = grown.raw if isinstance(grown, ToolCallPart) else grown.text
            assert whole_text.encode("utf-16-le")[2 * offset :] == text.encode("utf-16-le")
        else:
            assert offset == 0 or isinstance(event, e.TextDelta | e.ReasoningDelta | e.ToolCallArguments)


@patient
@given(RUNS, ENDINGS)
def test_one_ending(run: list[e.Event], ending: e.Ending) -> None:
    """Nothing comes after an ending, not even another one."""
    message = fold(EMPTY, run)
    assert message.ended
    for event in (*run, ending):
        with pytest.raises(OutOfOrder):
            fold(message, event)


@patient
@given(SAID)
def test_unended_until_then(said: list[e.Event]) -> None:
    """Without an ending a message is streaming, or waits for a person."""
    message = fold(EMPTY, said)
    assert message.status in ("streaming", "waiting")
    assert message.text == "".join(event.text for event in said if isinstance(event, e.TextDelta))


@pytest.mark.parametrize(
    "event",
    [
        e.ToolCallArguments("x", "{"),
        e.ToolCallReady("x", {}),
        e.ToolProgress("x"),
        e.ToolResult("x", "done"),
        e.Waiting(("x",)),
    ],
)
def test_unknown_call(event: e.Event) -> None:
    """An event for a call that never started is a bug of the caller, and changes nothing."""
    folding = Folding(EMPTY)
    with pytest.raises(OutOfOrder):
        folding.add(event)
    assert folding.message == EMPTY


def test_a_call_starts_once() -> None:
    """The same id again is a bug of the caller."""
    with pytest.raises(OutOfOrder):
        fold(EMPTY, [e.ToolCallStarted("x", "f"), e.ToolCallStarted("x", "f")])


def test_parts_in_the_order_they_began() -> None:
    """Interleaved deltas end in one part per call; text is never mixed with anything else."""
    message = fold(
        EMPTY,
        [
            e.ReasoningDelta("hm"),
            e.ReasoningDelta("", {"anthropic": 1}),
            e.ReasoningDelta("again"),
            e.TextDelta("a"),
            e.ToolCallStarted("x", "f"),
            e.ToolCallStarted("y", "g", by_provider=True),
            e.ToolCallArguments("y", "{}"),
            e.ToolCallArguments("x", '{"a"'),
            e.ToolCallArguments("x", ": 1}"),
            e.SourceAdded("http://a", "A"),
            e.TextDelta("b"),
            e.Notice("seam", "Here."),
            e.TextDelta("c"),
            e.ToolCallReady("x", {"a": 1}, {"chat": 2}),
            e.ToolProgress("x", "half"),
            e.ToolResult("x", "done", 7),
            e.UsageReported(1, 2),
            e.Finished("stop"),
        ],
    )
    assert message.parts == (
        ReasoningPart("hm", {"anthropic": 1}),
        ReasoningPart("again"),
        TextPart("a"),
        ToolCallPart("x", "f", '{"a": 1}', {"a": 1}, "done", ("half",), 7, opaque={"chat": 2}),
        ToolCallPart("y", "g", "{}", by_provider=True),
        SourcePart("http://a", "A"),
        TextPart("b"),
        NoticePart("seam", "Here."),
        TextPart("c"),
    )
    assert (message.text, message.usage, message.stop_reason) == ("abc", e.UsageReported(1, 2), "stop")


@pytest.mark.parametrize(
    ("ending", "status", "states"),
    [
        (e.Stopped(), "stopped", ["stopped", "stopped", "stopped", "done"]),
        (e.Failed("No.", "quota", False, 3.0), "failed", ["stopped", "stopped", "stopped", "done"]),
        (e.Interrupted("Cut.", "cut"), "interrupted", ["stopped", "stopped", "unknown", "done"]),
    ],
)
def test_no_call_stays_open(ending: e.Ending, status: str, states: list[str]) -> None:
    """However a run ends, no call looks as if it went on; one that was running at a crash is unknown."""
    started: list[e.Event] = [e.ToolCallStarted(name, "f") for name in "abcd"]
    more = [e.ToolCallReady("b", {}), e.ToolProgress("c"), e.ToolResult("d", "done"), ending]
    message = fold(EMPTY, [*started, *more])
    calls = [part for part in message.parts if isinstance(part, ToolCallPart)]
    assert (message.status, [call.state for call in calls]) == (status, states)
    if isinstance(ending, e.Failed):
        assert message.error == ErrorInfo("No.", "quota", False, 3.0)


def test_waiting_goes_on() -> None:
    """A run that waited for a person streams again with the next event of a call."""
    waiting = fold(EMPTY, [e.ToolCallStarted("a", "f"), e.ToolCallReady("a", {}), e.Waiting(("a",))])
    assert (waiting.status, waiting.parts[0].state) == ("waiting", "awaiting-approval")  # pyrefly: ignore[missing-attribute]
    assert fold(waiting, e.ToolProgress("a")).status == "streaming"


def test_asked_again() -> None:
    """A call that may have run before the server stopped is asked about as such; one that surely did not is not."""
    started: list[e.Event] = [e.ToolCallStarted("a", "f"), e.ToolCallStarted("b", "f"), e.ToolProgress("a")]
    lost = fold(EMPTY, [*started, e.Interrupted()])
    asked = fold(replace(lost, status="streaming"), e.Waiting(("a", "b")))
    assert [(part.state, part.again) for part in asked.parts if isinstance(part, ToolCallPart)] == [
        ("awaiting-approval", True),
        ("awaiting-approval", False),
    ]


def test_how_long_a_call_ran() -> None:
    """The result says it, and the part keeps it."""
    (call,) = fold(EMPTY, [e.ToolCallStarted("a", "f"), e.ToolResult("a", "done", 1, duration_ms=1234)]).parts
    assert isinstance(call, ToolCallPart)
    assert call.duration_ms == 1234


def steps(count: int, size: int) -> int:
    """Calls and lines that folding so many pieces takes: counted, not timed."""
    taken = 0

    def count_calls(frame: Any, event: str, arg: Any) -> None:
        nonlocal taken
        taken += 1

    events = [e.ToolCallStarted("a", "f"), *[e.ToolCallArguments("a", "x" * size)] * count, e.TextDelta("b")]
    folding = Folding(EMPTY)
    sys.setprofile(count_calls)
    try:
        for event in events:
            folding.add(event)
        message = folding.message
    finally:
        sys.setprofile(None)
    (call, _) = message.parts
    assert isinstance(call, ToolCallPart)
    assert len(call.raw) == count * size
    return taken


def test_linear() -> None:
    """A megabyte of arguments in 20-byte pieces costs ten times a tenth of it, and no piece is copied again."""
    assert steps(50_000, 20) < 11 * steps(5_000, 20)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (e.TextDelta("a"), e.ReasoningDelta("b")),
        (e.ReasoningDelta("a", {"x": 1}), e.ReasoningDelta("b")),
        (e.ToolCallArguments("a", "x"), e.ToolCallArguments("b", "y")),
        (e.Notice("a", "x"), e.Notice("a", "x")),
        (e.TextDelta("a"), e.Finished()),
    ],
)
def test_what_is_never_joined(first: e.Event, second: e.Event) -> None:
    """Only deltas of the same part are."""
    assert e.merge(first, second) is None
