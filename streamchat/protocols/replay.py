"""A run as one sequence of events, even if the log has only a snapshot.

A reader that joins late, or falls far behind, gets a snapshot instead of events. Here it becomes events again: those
that lead from the replayed answer to the current one. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

from streamchat.chat import events as e
from streamchat.chat.fold import fold
from streamchat.chat.messages import (
    UNSETTLED,
    Message,
    NoticePart,
    Part,
    ReasoningPart,
    SourcePart,
    TextPart,
    ToolCallPart,
)
from streamchat.chat.outcome import ending_of
from streamchat.runs.log import Entry, Snapshot


class Replay:
    """Turns batches of a reader into events.

    ``begins``: the answer before its first event. The replayed events are folded only if a snapshot follows them.
    """

    def __init__(self, begins: Message) -> None:
        self._base = begins
        self._events: list[e.Event] = []

    def entries(self, entries: Sequence[Entry]) -> list[e.Event]:
        """Return the events of these entries."""
        events = [entry.event for entry in entries]
        self._events += events
        return events

    def snapshot(self, snapshot: Snapshot) -> list[e.Event]:
        """Return the events that lead from the replayed answer to this snapshot."""
        events = list(missing(fold(self._base, self._events), snapshot.message))
        self._base, self._events = snapshot.message, []
        return events


def parts_after(first: Sequence[Part], parts: Sequence[Part]) -> tuple[Part, ...]:
    """Return the parts after the first ones; of a text that grew, the added part."""
    rest = tuple(parts[len(first) :])
    if first and len(parts) >= len(first):
        old, new = first[-1], parts[len(first) - 1]
        if isinstance(old, TextPart | ReasoningPart) and isinstance(new, TextPart | ReasoningPart):
            if added := new.text[len(old.text) :]:
                return (replace(new, text=added), *rest)
    return rest


def missing(old: Message, now: Message) -> Iterator[e.Event]:
    """Yield the events that lead from the old message to the current one, the ending included."""
    for index, part in enumerate(now.parts):
        before = old.parts[index] if index < len(old.parts) else None
        match part:
            case TextPart(text):
                if rest := text[len(before.text) if isinstance(before, TextPart) else 0 :]:
                    yield e.TextDelta(rest)
            case ReasoningPart(text, opaque):
                rest = text[len(before.text) if isinstance(before, ReasoningPart) else 0 :]
                closed = isinstance(before, ReasoningPart) and before.opaque is not None
                if rest or (opaque is not None and not closed):
                    yield e.ReasoningDelta(rest, None if closed else opaque)
            case ToolCallPart():
                yield from _call(before if isinstance(before, ToolCallPart) else None, part)
            case SourcePart(url, title, opaque) if before is None:
                yield e.SourceAdded(url, title, opaque)
            case NoticePart(kind, text, data, opaque) if before is None:
                yield e.Notice(kind, text, data, opaque)
    if now.usage is not None and now.usage != old.usage:
        yield now.usage
    if now.status == "waiting" and old.status != "waiting":
        calls = (part for part in now.parts if isinstance(part, ToolCallPart))
        yield e.Waiting(tuple(call.id for call in calls if call.state == "awaiting-approval"))
    if now.ended and not old.ended:
        yield ending_of(now)


def _call(old: ToolCallPart | None, now: ToolCallPart) -> Iterator[e.Event]:
    if old is None:
        yield e.ToolCallStarted(now.id, now.name, now.by_provider)
        old = ToolCallPart(now.id, now.name)
    if old.arguments is None:
        raw = now.raw or ("" if now.arguments is None else json.dumps(now.arguments, ensure_ascii=False))
        if rest := raw[len(old.raw) :]:
            yield e.ToolCallArguments(now.id, rest)
        if now.arguments is not None:
            yield e.ToolCallReady(now.id, now.arguments, now.opaque, now.schema)
    if old.state in UNSETTLED and now.state not in UNSETTLED:
        # pyrefly: ignore[bad-argument-type] it is settled
        yield e.ToolResult(now.id, now.state, now.result, now.error, now.opaque, now.duration_ms)
