"""The only accumulator: events in, message out.

Knows nothing of numbering or time. Rules:

* Total over ``Event``; an event after the ending or for an unknown call raises ``OutOfOrder``.
* Linear: text fragments collect in a list and are joined when the message is read, so 1 MB in 20-byte fragments
  costs 1 MB of copying, not 25 GB.
* ``fold`` and ``Folding`` are the same code; use ``Folding`` if many events arrive one by one.
* Positions are computed here only: each event's position in the message is found once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, TypeAlias, assert_never

from streamchat.chat import events as e
from streamchat.chat.messages import (
    UNSETTLED,
    ErrorInfo,
    Message,
    NoticePart,
    Part,
    ReasoningPart,
    SourcePart,
    Status,
    TextPart,
    ToolCallPart,
    utf16_length,
)
from streamchat.errors import OutOfOrder

# The index of the part that an event changes (``None``: no part), and the offset of the event's text in that part's
# text, in UTF-16 code units: 0 if the event has no text. The text of a tool call is the JSON text of its arguments.
Position: TypeAlias = tuple[int | None, int]
NOWHERE: Position = (None, 0)


def fold(message: Message, events: e.Event | Iterable[e.Event]) -> Message:
    """Return the message after one event or several. Raises ``OutOfOrder``."""
    folding = Folding(message)
    for event in events if isinstance(events, Iterable) else (events,):
        folding.add(event)
    return folding.message


class Folding:
    """Builder of a message. ``add`` costs the size of the event; ``message`` joins the fragments that are new."""

    def __init__(self, message: Message) -> None:
        self._message = message
        self._parts: list[Part] = list(message.parts)
        self._calls = {p.id: i for i, p in enumerate(self._parts) if isinstance(p, ToolCallPart)}
        self._fragments: dict[int, list[str]] = {}
        # The lengths of the growing texts by part index, in UTF-16 code units.
        self._lengths: dict[int, int] = {}
        self._dirty = False

    @property
    def message(self) -> Message:
        """Return the message so far."""
        if self._dirty:
            for index in list(self._fragments):
                self._settle(index)
            self._message = replace(self._message, parts=tuple(self._parts))
            self._dirty = False
        return self._message

    @property
    def status(self) -> Status:
        """Return the status so far, without joining the text."""
        return self._message.status

    def add(self, event: e.Event) -> Position:
        """Apply one event. Returns its position. Raises ``OutOfOrder``."""
        if self._message.ended:
            raise OutOfOrder(f"{type(event).__name__} after the end of the answer")
        self._dirty = True
        if type(event) is e.TextDelta:  # most events: without the cost of matching
            return self._add_text(event.text)
        match event:
            case e.TextDelta(text):
                return self._add_text(text)
            case e.ReasoningDelta(text, opaque):
                return self._add_reasoning(text, opaque)
            case e.SourceAdded(url, title, opaque):
                self._parts.append(SourcePart(url, title, opaque))
            case e.Notice(kind, text, data, opaque):
                if kind in (e.QUEUED, e.STEERED) and self._parts and _is_queued(self._parts[-1]):
                    self._parts.pop()  # another place in the same line
                self._parts.append(NoticePart(kind, text, data, opaque))
            case e.UsageReported():
                self._message = replace(self._message, usage=event)
                return NOWHERE
            case e.Finished() | e.Stopped() | e.Failed() | e.Interrupted():
                self._end(event)
                return NOWHERE
            case e.Waiting(call_ids):
                for call_id in call_ids:
                    part = self._settle(self._call(call_id))
                    self._change(call_id, state="awaiting-approval", again=part.again or part.state == "unknown")
                self._message = replace(self._message, status="waiting")
                return NOWHERE
            case _:
                return self._tool(event)
        return len(self._parts) - 1, 0

    def part(self, index: int) -> Part:
        """Return the part at this index, up to date. Raises ``IndexError``."""
        return self._settle(index)

    def _tool(
        self, event: e.ToolCallStarted | e.ToolCallArguments | e.ToolCallReady | e.ToolProgress | e.ToolResult
    ) -> Position:
        offset = 0
        match event:
            case e.ToolCallStarted(call_id, name, by_provider):
                if call_id in self._calls:
                    raise OutOfOrder(f"tool call {call_id!r} started twice")
                self._calls[call_id] = len(self._parts)
                self._parts.append(ToolCallPart(call_id, name, by_provider=by_provider))
            case e.ToolCallArguments(call_id, fragment):
                _, offset = self._grow(self._call(call_id), fragment)
            case e.ToolCallReady(call_id, arguments, opaque, schema):
                self._change(call_id, state="ready", arguments=arguments, opaque=opaque, schema=schema)
            case e.ToolProgress(call_id, text):
                part = self._settle(self._call(call_id))
                lines = (*part.progress, text) if text else part.progress
                self._change(call_id, state="running", progress=lines)
            case e.ToolResult(call_id, state, result, error, opaque, duration_ms):
                opaque = opaque or self._settle(self._call(call_id)).opaque
                self._change(call_id, state=state, result=result, error=error, opaque=opaque, duration_ms=duration_ms)
            case _:
                assert_never(event)
        if self._message.status == "waiting" and not self._awaits_approval():
            self._message = replace(self._message, status="streaming")
        return self._calls[event.call_id], offset

    def _awaits_approval(self) -> bool:
        return any(self._settle(index).state == "awaiting-approval" for index in self._calls.values())

    def _end(self, event: e.Ending) -> None:
        for call_id, index in self._calls.items():
            part = self._settle(index)
            if part.state in UNSETTLED and not isinstance(event, e.Finished):
                # A call that was running when the process died may or may not have had its effect.
                unknown = part.state == "running" and isinstance(event, e.Interrupted)
                self._change(call_id, state="unknown" if unknown else "stopped")
        if event.timing is not None:
            self._message = replace(self._message, timing=event.timing)
        match event:
            case e.Finished(reason, opaque):
                opaque = opaque or self._message.opaque
                self._message = replace(self._message, status="finished", stop_reason=reason, opaque=opaque)
            case e.Stopped(after_ms, tokens):
                if after_ms is not None:
                    self._parts.append(_stop_notice(after_ms, tokens or 0))
                self._message = replace(self._message, status="stopped", stop_reason="stopped")
            case e.Failed(message, kind, retryable, retry_after):
                error = ErrorInfo(message, kind, retryable, retry_after)
                self._message = replace(self._message, status="failed", error=error)
            case e.Interrupted(message, kind):
                self._message = replace(self._message, status="interrupted", error=ErrorInfo(message, kind))

    def _add_text(self, text: str) -> Position:
        if not self._parts or not isinstance(self._parts[-1], TextPart):
            self._parts.append(TextPart(""))
        return self._grow(len(self._parts) - 1, text)

    def _add_reasoning(self, text: str, opaque: e.Opaque | None) -> Position:
        last = self._parts[-1] if self._parts else None
        if not isinstance(last, ReasoningPart) or last.opaque is not None:
            self._parts.append(ReasoningPart(""))
        position = self._grow(len(self._parts) - 1, text)
        if opaque is not None:
            self._parts[-1] = replace(self._settle(len(self._parts) - 1), opaque=opaque)
        return position

    def _grow(self, index: int, text: str) -> Position:
        offset = self._lengths.get(index)
        if offset is None:  # the first fragment: the text so far came with the message
            part = self._parts[index]
            offset = utf16_length(part.raw if isinstance(part, ToolCallPart) else getattr(part, "text", ""))
        if text:
            self._fragments.setdefault(index, []).append(text)
        self._lengths[index] = offset + utf16_length(text)
        return index, offset

    def _settle(self, index: int) -> Any:
        """Return the part at this index with its fragments joined (``Any``: the caller knows its kind)."""
        part = self._parts[index]
        if fragments := self._fragments.pop(index, None):
            if isinstance(part, ToolCallPart):
                part = replace(part, raw="".join((part.raw, *fragments)))
            elif isinstance(part, TextPart | ReasoningPart):
                part = replace(part, text="".join((part.text, *fragments)))
            self._parts[index] = part
        return part

    def _call(self, call_id: str) -> int:
        try:
            return self._calls[call_id]
        except KeyError:
            raise OutOfOrder(f"no tool call {call_id!r}") from None

    def _change(self, call_id: str, **changes: object) -> None:
        index = self._call(call_id)
        self._parts[index] = replace(self._settle(index), **changes)


def _is_queued(part: Part) -> bool:
    return isinstance(part, NoticePart) and part.kind == e.QUEUED


def _stop_notice(after_ms: int, tokens: int) -> NoticePart:
    text = f"Stopped: the provider's connection was closed after {after_ms:,} ms."
    return NoticePart("stopped", text, {"after_ms": after_ms, "kept": tokens})
