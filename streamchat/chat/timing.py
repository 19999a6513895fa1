"""Anatomy of an answer's latency: from the times of its events to a few figures.

Pure: the times are given. Terms and rules:

* Everything counts from the moment in which the question arrived at the server, in milliseconds.
* TTFB: the first byte of the provider's body. TTFT: the first token of text or reasoning. TTLT: the last one. TTC: the
  ending is stored. What did not happen is ``None``.
* Times never go back: one that would be before an earlier stage is that of the earlier stage, whatever clocks did.
* Memory is constant: gaps between tokens are counted in buckets, each 10 % wider than the one before, so percentiles
  are within 5 %.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import asdict, dataclass
from typing import Any

from streamchat.chat.events import (
    Event,
    ReasoningDelta,
    TextDelta,
    ToolCallReady,
    ToolProgress,
    ToolResult,
    UsageReported,
    Waiting,
)

# A longer silence between two tokens is a stall. Seconds.
STALL_SECONDS = 1.0
# Upper ends of the buckets in seconds: 0.1 ms, and so on to beyond an hour.
_BUCKETS = tuple(0.0001 * 1.1**n for n in range(185))
# Requests to providers that an answer remembers; retries and rounds of tools make few.
MAX_CALLS = 100
# Shorter than this, a rate says more about the machine than about the model. Seconds.
_SHORTEST_RATE = 0.05


@dataclass(slots=True)
class Call:
    """One request to a provider; times are those of the ``Stopwatch``, in seconds.

    ``ended``: ``None`` if it was closed before its end. ``finish_reason``: of a complete answer. ``error``: the kind of
    the error that ended it.
    """

    model: str
    started: float
    connected: float | None = None
    first_byte: float | None = None
    ended: float | None = None
    finish_reason: str = ""
    error: str = ""
    usage: UsageReported | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """The anatomy of an answer's latency, in ms from the arrival of the question. What is not known is missing.

    TTFB: the first byte of the provider's body. TTFT: the first token of text or reasoning. TTLT: the last one. TTC:
    the ending is stored. ``asked_ms``: the request is made. ``connected_ms``: it has a connection to the provider, a
    new one or one that was open. ``reasoning_ms``, ``tools_ms``: how long it thought, and how long tools ran, side by
    side counted once. ``waited_ms``: how long it waited for a person's approval. ``gap_*``: between neighbouring
    tokens. ``stalls``: gaps over a second. ``tokens``: output tokens as the provider counts them, or else the number of
    pieces; ``cached_tokens``: of the input. ``tokens_per_second``: from the first to the last token.
    """

    asked_ms: int | None = None
    connected_ms: int | None = None
    ttfb_ms: int | None = None
    ttft_ms: int | None = None
    ttlt_ms: int | None = None
    ttc_ms: int | None = None
    reasoning_ms: int = 0
    tools_ms: int = 0
    waited_ms: int = 0
    gap_p50_ms: float | None = None
    gap_p95_ms: float | None = None
    longest_gap_ms: int | None = None
    stalls: int = 0
    tokens: int = 0
    cached_tokens: int | None = None
    tokens_per_second: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the figures that are known."""
        return {name: value for name, value in asdict(self).items() if value is not None}


class Stopwatch:
    """Takes an answer's events with their times, in seconds of one clock; ``started`` is when the question arrived."""

    __slots__ = (
        *(
            "_started",
            "_now",
            "calls",
            "_first",
            "_last",
            "_previous",
            "_complete",
            "_gaps",
            "_longest",
            "_stalls",
        ),
        *(
            "_pieces",
            "_usage",
            "_thinking",
            "_thought",
            "_running",
            "_tools",
            "_tools_since",
            "_waits_since",
            "_waited",
        ),
    )

    def __init__(self, started: float) -> None:
        self._started = self._now = started
        self.calls: list[Call] = []
        """The requests to providers so far, the last one perhaps still open."""
        self._first: float | None = None
        self._last: float | None = None
        self._previous: float | None = None
        self._complete: float | None = None
        self._gaps: dict[int, int] = {}
        self._longest = 0.0
        self._stalls = 0
        self._pieces = 0
        self._usage: UsageReported | None = None
        self._thinking: float | None = None
        self._thought = 0.0
        self._running: set[str] = set()
        self._tools = 0.0
        self._tools_since = 0.0
        self._waits_since: float | None = None
        self._waited = 0.0

    def asked(self, at: float, model: str = "") -> None:
        """A request for this model is made."""
        at = self._advance(at)
        if len(self.calls) < MAX_CALLS:
            self.calls.append(Call(model, at))

    def connected(self, at: float) -> None:
        """The request has a connection to the provider."""
        at = self._advance(at)
        if self.calls and self.calls[-1].connected is None:
            self.calls[-1].connected = at

    def first_byte(self, at: float) -> None:
        """The first byte of the provider's body is there."""
        at = self._advance(at)
        if self.calls and self.calls[-1].first_byte is None:
            self.calls[-1].first_byte = at

    def used(self, usage: UsageReported) -> None:
        """The provider has counted the tokens of the request."""
        if self.calls:
            self.calls[-1].usage = usage

    def answered(self, at: float, *, finish_reason: str = "", error: str = "") -> None:
        """The request has ended, by a complete answer or by an error."""
        at = self._advance(at)
        if self.calls and self.calls[-1].ended is None:
            call = self.calls[-1]
            call.ended, call.finish_reason, call.error = at, finish_reason, error

    def add(self, event: Event, at: float) -> None:
        """Take the next event of the answer."""
        at = self._advance(at)
        if self._waits_since is not None:
            self._waited += at - self._waits_since
            self._waits_since = None
        kind = type(event)
        if kind is TextDelta or kind is ReasoningDelta:
            self._token(at, thinking=kind is ReasoningDelta)
        elif kind is UsageReported:
            self._usage = event  # pyrefly: ignore[bad-assignment]
        elif isinstance(event, ToolCallReady | ToolProgress):
            # Progress also begins a call that a person allowed: their decision is in the log, but not given to this.
            if not self._running:
                self._tools_since = at
            self._running.add(event.call_id)
            self._pause()
        elif isinstance(event, ToolResult):
            if event.call_id in self._running:
                self._running.discard(event.call_id)
                if not self._running:
                    self._tools += at - self._tools_since
        elif isinstance(event, Waiting):
            self._pause()
            self._waits_since = at
            # An answer that waits has no task, so no tool of it runs; and a call that is denied never will.
            if self._running:
                self._tools += at - self._tools_since
                self._running.clear()

    def complete(self, at: float) -> Timing:
        """The ending is stored: return the figures."""
        self._complete = self._advance(at)
        return self.timing()

    @property
    def waits(self) -> bool:
        """Whether the answer waits for an approval."""
        return self._waits_since is not None

    def timing(self) -> Timing:
        """Return the figures as far as they are known."""
        usage = self._usage or UsageReported()
        tokens = self._pieces if usage.output is None else usage.output
        spent = (self._last or 0) - (self._first or 0) - self._tools - self._waited
        thought = self._thought + (0 if self._thinking is None else self._now - self._thinking)
        return Timing(
            asked_ms=self._first_time("started"),
            connected_ms=self._first_time("connected"),
            ttfb_ms=self._first_time("first_byte"),
            ttft_ms=self._ms(self._first),
            ttlt_ms=self._ms(self._last),
            ttc_ms=self._ms(self._complete),
            reasoning_ms=round(thought * 1000),
            tools_ms=round(self._tools * 1000),
            waited_ms=round(self._waited * 1000),
            gap_p50_ms=self._percentile(0.5),
            gap_p95_ms=self._percentile(0.95),
            longest_gap_ms=round(self._longest * 1000) if self._gaps else None,
            stalls=self._stalls,
            tokens=tokens,
            cached_tokens=usage.cached,
            tokens_per_second=round(tokens / spent, 1) if spent >= _SHORTEST_RATE else None,
        )

    @property
    def started(self) -> float:
        """When the question arrived, in seconds of the clock."""
        return self._started

    @property
    def now(self) -> float:
        """The time of the last thing that is known, in seconds of the clock."""
        return self._now

    def gaps(self, count: int) -> list[float]:
        """Return the gaps between tokens in seconds, sorted: all of them, or ``count`` evenly spaced ones."""
        total = sum(self._gaps.values())
        size = min(count, total)
        if size == 0:
            return []
        steps = iter(sorted(self._gaps.items()))
        seen, value, chosen = 0, 0.0, []
        for index in range(size):
            while seen < (index + 0.5) * total / size:
                bucket, number = next(steps)
                seen, value = seen + number, _middle(bucket)
            chosen.append(value)
        return chosen

    def _first_time(self, stage: str) -> int | None:
        """Return when a request to a provider first came to a stage, in ms."""
        times = (getattr(call, stage) for call in self.calls)
        return self._ms(next((at for at in times if at is not None), None))

    def _token(self, at: float, *, thinking: bool) -> None:
        self._pieces += 1
        if self._first is None:
            self._first = at
        if self._previous is not None:
            gap = at - self._previous
            bucket = bisect_right(_BUCKETS, gap)
            self._gaps[bucket] = self._gaps.get(bucket, 0) + 1
            if gap > self._longest:
                self._longest = gap
            if gap > STALL_SECONDS:
                self._stalls += 1
        self._last = self._previous = at
        if thinking:
            if self._thinking is None:
                self._thinking = at
        elif self._thinking is not None:
            self._thought += at - self._thinking
            self._thinking = None

    def _pause(self) -> None:
        """End what a tool interrupts: the time that it takes is no gap between tokens, and no thought."""
        self._previous = None
        if self._thinking is not None:
            self._thought += self._now - self._thinking
            self._thinking = None

    def _advance(self, at: float) -> float:
        if at > self._now:
            self._now = at
        return self._now

    def _ms(self, at: float | None) -> int | None:
        return None if at is None else round((at - self._started) * 1000)

    def _percentile(self, share: float) -> float | None:
        """Return the middle of the bucket in which this share of the gaps lies below, in milliseconds."""
        wanted, seen = share * sum(self._gaps.values()), 0
        for bucket, count in sorted(self._gaps.items()):
            seen += count
            if seen >= wanted:
                return round(1000 * _middle(bucket), 2)
        return None


def _middle(bucket: int) -> float:
    """Return about the middle of a bucket, in seconds."""
    upper = _BUCKETS[min(bucket, len(_BUCKETS) - 1)]
    return upper if bucket == 0 else upper / 1.05
