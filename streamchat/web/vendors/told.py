"""A run as one sequence of events, whatever the log still has of it.

A reader that comes late, or falls far behind, gets a snapshot instead of events. Here it becomes events again: those
that lead from what was told to what is there. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

from streamchat.chat import events as e
from streamchat.chat.fold import Folding
from streamchat.chat.messages import Message, NoticePart, Part, ReasoningPart, SourcePart, TextPart, ToolCallPart
from streamchat.runs.log import Entry, Snapshot
from streamchat.web.reading import ending_of

_NO_OUTCOME = ("receiving", "ready", "running", "awaiting-approval")


class Told:
    """``begins``: the answer before its first event."""

    def __init__(self, begins: Message) -> None:
        self._begins = begins
        self._folding = Folding(begins)

    def take(self, batch: list[Entry] | Snapshot) -> list[e.Event]:
        """The events of this batch, or those that a snapshot stands for."""
        if isinstance(batch, Snapshot):
            events = list(missing(self._folding.message, batch.message))
        else:
            events = [entry.event for entry in batch]
        for event in events:
            self._folding.add(event)
        return events

    @property
    def message(self) -> Message:
        """The answer as far as it was told, without what it began with."""
        message = self._folding.message
        return replace(message, parts=beyond(self._begins.parts, message.parts))


def beyond(first: Sequence[Part], parts: Sequence[Part]) -> tuple[Part, ...]:
    """The parts behind the first ones; of a text that went on, what was added."""
    rest = tuple(parts[len(first) :])
    if first and len(parts) >= len(first):
        old, new = first[-1], parts[len(first) - 1]
        if isinstance(old, TextPart | ReasoningPart) and isinstance(new, TextPart | ReasoningPart):
            if added := new.text[len(old.text) :]:
                return (replace(new, text=added), *rest)
    return rest


def missing(told: Message, now: Message) -> Iterator[e.Event]:
    """Events that make the one message of the other, the ending included."""
    for index, part in enumerate(now.parts):
        old = told.parts[index] if index < len(told.parts) else None
        match part:
            case TextPart(text):
                if rest := text[len(old.text) if isinstance(old, TextPart) else 0 :]:
                    yield e.TextDelta(rest)
            case ReasoningPart(text, opaque):
                rest = text[len(old.text) if isinstance(old, ReasoningPart) else 0 :]
                closed = isinstance(old, ReasoningPart) and old.opaque is not None
                if rest or (opaque is not None and not closed):
                    yield e.ReasoningDelta(rest, None if closed else opaque)
            case ToolCallPart():
                yield from _call(old if isinstance(old, ToolCallPart) else None, part)
            case SourcePart(url, title, opaque) if old is None:
                yield e.SourceAdded(url, title, opaque)
            case NoticePart(kind, text, data, opaque) if old is None:
                yield e.Notice(kind, text, data, opaque)
    if now.usage is not None and now.usage != told.usage:
        yield now.usage
    if now.status == "waiting" and told.status != "waiting":
        calls = (part for part in now.parts if isinstance(part, ToolCallPart))
        yield e.Waiting(tuple(call.id for call in calls if call.state == "awaiting-approval"))
    if now.ended and not told.ended:
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
            yield e.ToolCallReady(now.id, now.arguments, now.opaque)
    if old.state in _NO_OUTCOME and now.state not in _NO_OUTCOME:
        yield e.ToolResult(now.id, now.state, now.result, now.error, now.opaque, now.duration_ms)
