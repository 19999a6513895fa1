"""The only accumulator: events in, message out.

Knows nothing of numbering or time. Rules:

* Total over ``Event``; an event after the ending raises ``OutOfOrder``, as does one for an unknown call.
* Linear: pieces collect in a list and are joined when somebody looks, so 1 MB in 20-byte pieces costs
  1 MB of copying, not 25 GB.
* ``fold`` and ``Folding`` are the same code; use ``Folding`` where many events arrive one by one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, assert_never

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
)
from streamchat.errors import OutOfOrder


def fold(message: Message, events: e.Event | Iterable[e.Event]) -> Message:
    """The message after one event or several. Raises ``OutOfOrder``."""
    folding = Folding(message)
    for event in events if isinstance(events, Iterable) else (events,):
        folding.add(event)
    return folding.message


class Folding:
    """A message that is being written. ``add`` costs the size of the event; ``message`` joins what is new."""

    def __init__(self, message: Message) -> None:
        self._message = message
        self._parts: list[Part] = list(message.parts)
        self._calls = {p.id: i for i, p in enumerate(self._parts) if isinstance(p, ToolCallPart)}
        self._pieces: dict[int, list[str]] = {}
        self._dirty = False

    @property
    def message(self) -> Message:
        """The message so far."""
        if self._dirty:
            for index in list(self._pieces):
                self._settle(index)
            self._message = replace(self._message, parts=tuple(self._parts))
            self._dirty = False
        return self._message

    @property
    def status(self) -> Status:
        """The status so far, without joining the text."""
        return self._message.status

    def add(self, event: e.Event) -> int | None:
        """Apply one event; returns the index of the part it changed, if it changed one. Raises ``OutOfOrder``."""
        if self._message.ended:
            raise OutOfOrder(f"{type(event).__name__} after the end of the answer")
        self._dirty = True
        match event:
            case e.TextDelta(text):
                return self._say(text)
            case e.ReasoningDelta(text, opaque):
                return self._reason(text, opaque)
            case e.SourceAdded(url, title, opaque):
                self._parts.append(SourcePart(url, title, opaque))
            case e.Notice(kind, text, data, opaque):
                self._parts.append(NoticePart(kind, text, data, opaque))
            case e.UsageReported():
                self._message = replace(self._message, usage=event)
                return None
            case e.Finished() | e.Stopped() | e.Failed() | e.Interrupted():
                self._end(event)
                return None
            case e.Waiting(call_ids):
                for call_id in call_ids:
                    part = self._settle(self._call(call_id))
                    self._change(call_id, state="awaiting-approval", again=part.again or part.state == "unknown")
                self._message = replace(self._message, status="waiting")
                return None
            case _:
                self._tool(event)
                return self._calls[event.call_id]
        return len(self._parts) - 1

    def part(self, index: int) -> Part:
        """The part at this index, up to date."""
        return self._settle(index)

    def _tool(
        self, event: e.ToolCallStarted | e.ToolCallArguments | e.ToolCallReady | e.ToolProgress | e.ToolResult
    ) -> None:
        match event:
            case e.ToolCallStarted(call_id, name, by_provider):
                if call_id in self._calls:
                    raise OutOfOrder(f"tool call {call_id!r} started twice")
                self._calls[call_id] = len(self._parts)
                self._parts.append(ToolCallPart(call_id, name, by_provider=by_provider))
            case e.ToolCallArguments(call_id, fragment):
                self._grow(self._call(call_id), fragment)
            case e.ToolCallReady(call_id, arguments, opaque):
                self._change(call_id, state="ready", arguments=arguments, opaque=opaque)
            case e.ToolProgress(call_id, text):
                part = self._settle(self._call(call_id))
                lines = (*part.progress, text) if text else part.progress
                self._change(call_id, state="running", progress=lines)
            case e.ToolResult(call_id, state, result, error, opaque, took):
                kept = opaque or self._settle(self._call(call_id)).opaque
                self._change(call_id, state=state, result=result, error=error, opaque=kept, duration_ms=took)
            case _:
                assert_never(event)
        if self._message.status == "waiting" and not self._awaited():
            self._message = replace(self._message, status="streaming")

    def _awaited(self) -> bool:
        return any(self._settle(index).state == "awaiting-approval" for index in self._calls.values())

    def _end(self, event: e.Ending) -> None:
        for call_id, index in self._calls.items():
            part = self._settle(index)
            if part.state in UNSETTLED and not isinstance(event, e.Finished):
                # What was running when the process died may have had its effect or not.
                unknown = part.state == "running" and isinstance(event, e.Interrupted)
                self._change(call_id, state="unknown" if unknown else "stopped")
        match event:
            case e.Finished(reason, opaque):
                opaque = opaque or self._message.opaque
                self._message = replace(self._message, status="finished", stop_reason=reason, opaque=opaque)
            case e.Stopped(after_ms, kept):
                if after_ms is not None:
                    self._parts.append(_stopped(after_ms, kept or 0))
                self._message = replace(self._message, status="stopped", stop_reason="stopped")
            case e.Failed(message, kind, retryable, after):
                error = ErrorInfo(message, kind, retryable, after)
                self._message = replace(self._message, status="failed", error=error)
            case e.Interrupted(message, kind):
                self._message = replace(self._message, status="interrupted", error=ErrorInfo(message, kind))

    def _say(self, text: str) -> int:
        if not self._parts or not isinstance(self._parts[-1], TextPart):
            self._parts.append(TextPart(""))
        index = len(self._parts) - 1
        self._grow(index, text)
        return index

    def _reason(self, text: str, opaque: e.Opaque | None) -> int:
        last = self._parts[-1] if self._parts else None
        if not isinstance(last, ReasoningPart) or last.opaque is not None:
            self._parts.append(ReasoningPart(""))
        index = len(self._parts) - 1
        self._grow(index, text)
        if opaque is not None:
            self._parts[index] = replace(self._settle(index), opaque=opaque)
        return index

    def _grow(self, index: int, text: str) -> None:
        if text:
            self._pieces.setdefault(index, []).append(text)

    def _settle(self, index: int) -> Any:
        """The part at this index, with its waiting pieces joined (``Any``: the caller knows its kind)."""
        part = self._parts[index]
        if pieces := self._pieces.pop(index, None):
            if isinstance(part, ToolCallPart):
                part = replace(part, raw="".join((part.raw, *pieces)))
            elif isinstance(part, TextPart | ReasoningPart):
                part = replace(part, text="".join((part.text, *pieces)))
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


def _stopped(after_ms: int, kept: int) -> NoticePart:
    text = f"Stopped after {after_ms:,} ms · {kept:,} token{'' if kept == 1 else 's'} kept."
    return NoticePart("stopped", text, {"after_ms": after_ms, "kept": kept})
