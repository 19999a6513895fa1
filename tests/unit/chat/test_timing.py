"""The anatomy of an answer: figures that are ordered whatever the clocks do, and right where they can be computed."""

from __future__ import annotations

from statistics import quantiles

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamchat.chat.events import (
    Event,
    ReasoningDelta,
    TextDelta,
    ToolCallArguments,
    ToolCallReady,
    ToolCallStarted,
    ToolProgress,
    ToolResult,
    UsageReported,
    Waiting,
)
from streamchat.chat.timing import STALL_SECONDS, Stopwatch, Timing

EVENTS: list[Event] = [
    TextDelta("a"),
    ReasoningDelta("b"),
    ToolCallStarted("c", "f"),
    ToolCallArguments("c", "{}"),
    ToolCallReady("c", {}),
    ToolProgress("c"),
    ToolResult("c", "done", 1),
    UsageReported(3, 5, 2),
    Waiting(("c",)),
]
moments = st.floats(-1e6, 1e6, allow_nan=False)


@given(moments, st.lists(st.tuples(st.sampled_from([*EVENTS, "asked", "byte"]), moments), max_size=30), moments)
def test_times_are_ordered_whatever_the_clocks_do(started: float, steps: list[tuple[Event | str, float]], end: float):
    """A stage is never before an earlier one, no length of time is negative, no part longer than the whole."""
    watch = Stopwatch(started)
    for step, at in steps:
        match step:
            case "asked":
                watch.asked(at)
            case "byte":
                watch.first_byte(at)
            case _:
                watch.add(step, at)  # pyrefly: ignore[bad-argument-type]
    timing = watch.complete(end)
    assert timing.ttc_ms is not None
    stages = [ms for ms in (timing.ttft_ms, timing.ttlt_ms, timing.ttc_ms) if ms is not None]
    assert stages == sorted(stages)
    assert all(0 <= ms <= timing.ttc_ms for ms in (timing.asked_ms, timing.ttfb_ms, *stages) if ms is not None)
    for part in (timing.reasoning_ms, timing.tools_ms, timing.waited_ms, timing.longest_gap_ms or 0):
        assert 0 <= part <= timing.ttc_ms + 1
    assert (timing.gap_p50_ms or 0) <= (timing.gap_p95_ms or 0)
    assert (timing.ttft_ms is None) == (timing.ttlt_ms is None) == (not any(
        isinstance(step, TextDelta | ReasoningDelta) for step, _ in steps
    ))  # fmt: skip
    assert Timing(**timing.to_json()) == timing


@given(moments, st.lists(moments, min_size=4, max_size=4), st.integers(1, 3))
def test_times_of_a_request_are_ordered_whatever_the_clocks_do(started: float, clock: list[float], requests: int):
    """Made, connected, first byte, ended: of each request to a provider, and none before the one that it follows."""
    watch = Stopwatch(started)
    for _ in range(requests):
        watch.asked(clock[0], "m")
        watch.connected(clock[1])
        watch.first_byte(clock[2])
        watch.answered(clock[3], finish_reason="stop")
    times = [at for call in watch.calls for at in (call.started, call.connected, call.first_byte, call.ended)]
    assert len(times) == 4 * requests
    assert None not in times
    assert [started, *times, watch.now] == sorted([started, *times, watch.now])  # pyrefly: ignore[bad-specialization]
    timing = watch.complete(started)
    stages = [timing.asked_ms, timing.connected_ms, timing.ttfb_ms, timing.ttc_ms]
    assert stages == sorted(stages)  # pyrefly: ignore[bad-specialization]


def test_an_ordinary_answer():
    """Queue, connection, thought, text: each has its own figure."""
    watch = Stopwatch(100.0)
    watch.asked(100.02)
    watch.first_byte(100.3)
    watch.add(ReasoningDelta("hm"), 100.5)
    watch.add(ReasoningDelta("hm"), 101.0)
    for number in range(51):
        watch.add(TextDelta("w "), 101.5 + number * 0.02)
    watch.add(UsageReported(10, 120, 4), 102.6)
    timing = watch.complete(102.7)
    assert (timing.asked_ms, timing.ttfb_ms, timing.ttft_ms) == (20, 300, 500)
    assert (timing.ttlt_ms, timing.ttc_ms) == (2500, 2700)
    assert timing.reasoning_ms == 1000
    assert timing.gap_p50_ms == pytest.approx(20, rel=0.06)
    assert (timing.longest_gap_ms, timing.stalls) == (500, 0)
    assert (timing.tokens, timing.cached_tokens, timing.tokens_per_second) == (120, 4, 60.0)


def test_tools_and_approval_are_no_silence_of_the_model():
    """Two calls side by side count once; the wait for a person is a figure of its own; neither is a stall."""
    watch = Stopwatch(0.0)
    watch.add(TextDelta("I look "), 1.0)
    watch.add(ToolCallReady("a", {}), 2.0)
    watch.add(ToolCallReady("b", {}), 3.0)
    watch.add(ToolResult("a", "done", 1), 5.0)
    watch.add(ToolResult("b", "done", 1), 6.0)
    watch.add(ToolCallReady("c", {}), 7.0)
    watch.add(Waiting(("c",)), 7.0)
    watch.add(ToolResult("c", "denied"), 17.0)
    watch.add(TextDelta("it up"), 18.0)
    timing = watch.complete(18.5)
    assert timing.waited_ms == 10_000
    assert timing.tools_ms == 4_000
    assert (timing.stalls, timing.longest_gap_ms) == (0, None)


def test_an_allowed_call_runs_from_its_progress_and_a_denied_one_never():
    """Decisions are not given to the stopwatch; a person's time is no time of a tool and does not change a rate."""
    watch = Stopwatch(0.0)
    watch.add(TextDelta("x"), 1.0)
    watch.add(ToolCallReady("denied", {}), 2.0)
    watch.add(ToolCallReady("allowed", {}), 2.0)
    watch.add(Waiting(("denied", "allowed")), 2.0)
    watch.add(ToolProgress("allowed"), 62.0)
    watch.add(ToolResult("allowed", "done"), 65.0)
    watch.add(ToolCallReady("next", {}), 66.0)
    watch.add(ToolResult("next", "done"), 68.0)
    watch.add(TextDelta("y"), 70.0)
    watch.add(UsageReported(1, 8), 70.0)
    timing = watch.complete(70.0)
    assert (timing.waited_ms, timing.tools_ms) == (60_000, 5_000)
    assert timing.tokens_per_second == 2.0


def test_a_stall_is_counted():
    watch = Stopwatch(0.0)
    for at in (0.1, 0.2, 0.3 + STALL_SECONDS, 0.4 + STALL_SECONDS):
        watch.add(TextDelta("x"), at)
    timing = watch.complete(9)
    assert (timing.stalls, timing.longest_gap_ms) == (1, 1100)


@given(st.lists(st.floats(0.0005, 60), min_size=20, max_size=300))
def test_percentiles_are_near_the_exact_ones(gaps: list[float]):
    """Within a bucket of the true ones, with no list of the gaps."""
    watch, at = Stopwatch(0.0), 1.0
    watch.add(TextDelta("x"), at)
    for gap in gaps:
        at += gap
        watch.add(TextDelta("x"), at)
    timing = watch.timing()
    exact = sorted(gaps)
    assert timing.gap_p50_ms is not None
    assert timing.gap_p95_ms is not None
    low, high = exact[(len(exact) - 1) // 2], exact[len(exact) // 2]
    assert 0.94 * low <= timing.gap_p50_ms / 1000 <= 1.06 * high
    assert timing.gap_p95_ms / 1000 <= 1.06 * exact[-1]
    assert timing.gap_p95_ms / 1000 >= 0.94 * quantiles(exact, n=20, method="inclusive")[17]


def test_memory_does_not_grow_with_the_answer():
    watch = Stopwatch(0.0)
    for number in range(100_000):
        watch.add(TextDelta("x"), number * 0.013 % 50 + number)
    assert len(watch._gaps) < 200


def test_nothing_happened():
    """An answer that failed before its first byte has its end and nothing else."""
    timing = Stopwatch(5.0).complete(6.0)
    assert timing.to_json() == {
        "ttc_ms": 1000,
        "reasoning_ms": 0,
        "tools_ms": 0,
        "waited_ms": 0,
        "stalls": 0,
        "tokens": 0,
    }
