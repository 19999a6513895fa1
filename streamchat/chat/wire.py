"""The JSON form of events and messages, for readers and for storage.

Knows nothing of HTTP or SQL. Rules:

* ``public=True`` (readers) omits ``opaque`` and ``raw``; ``public=False`` (storage) round-trips exactly.
* Unknown keys are ignored when reading, so that an older version can read the data of a newer one.
* Names are those of the project's contract: ``text-delta``, ``tool-call-start``, ``finished`` …
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

from streamchat.chat import events as e
from streamchat.chat import messages as m

EVENT_NAMES: dict[type, str] = {
    e.TextDelta: "text-delta",
    e.ReasoningDelta: "reasoning-delta",
    e.ToolCallStarted: "tool-call-start",
    e.ToolCallArguments: "tool-call-arguments",
    e.ToolCallReady: "tool-call-ready",
    e.ToolProgress: "tool-progress",
    e.ToolResult: "tool-result",
    e.SourceAdded: "source",
    e.UsageReported: "usage",
    e.Notice: "notice",
    e.Waiting: "waiting",
    e.Finished: "finished",
    e.Stopped: "stopped",
    e.Failed: "failed",
    e.Interrupted: "interrupted",
}
EVENT_TYPES = {name: kind for kind, name in EVENT_NAMES.items()}
PART_TYPES: dict[str, type] = {
    kind.type: kind
    for kind in (m.TextPart, m.ReasoningPart, m.ToolCallPart, m.SourcePart, m.NoticePart, m.ImagePart, m.FilePart)
}
_HIDDEN = {"opaque", "raw"}


def event_to_wire(event: e.Event, *, public: bool = True) -> dict[str, Any]:
    """Return ``{"type": "text-delta", "text": …}``; fields at their default are omitted."""
    return {"type": EVENT_NAMES[type(event)], **_fields(event, public)}


def event_from_wire(data: Mapping[str, Any]) -> e.Event:
    """Return the event. Raises ``ValueError`` for an unknown type or a missing field."""
    kind = EVENT_TYPES.get(data.get("type", ""))
    if kind is None:
        raise ValueError(f"unknown event type {data.get('type')!r}")
    return _build(kind, data)


def part_to_wire(part: m.Part, *, public: bool = True) -> dict[str, Any]:
    """Return ``{"type": "text", "text": …}``; a tool call always has its ``state`` and ``arguments``."""
    data = {"type": part.type, **_fields(part, public)}
    if isinstance(part, m.ToolCallPart):
        data |= {"state": part.state, "arguments": part.arguments}
    return data


def part_from_wire(data: Mapping[str, Any]) -> m.Part:
    """Return the part. Raises ``ValueError`` for an unknown type or a missing field."""
    kind = PART_TYPES.get(data.get("type", ""))
    if kind is None:
        raise ValueError(f"unknown part type {data.get('type')!r}")
    return _build(kind, data)


def message_to_wire(message: m.Message, *, public: bool = True) -> dict[str, Any]:
    """Return the shape of the HTTP contract: id, role, status, model, text, parts, stop_reason, error?, usage?."""
    data: dict[str, Any] = {
        "id": message.id,
        "role": message.role,
        "status": message.status,
        "model": message.model,
        "text": message.text,
        "parts": [part_to_wire(part, public=public) for part in message.parts],
        "stop_reason": message.stop_reason,
    }
    if message.error is not None:
        data["error"] = {"message": message.error.message, "kind": message.error.kind, **_fields(message.error, public)}
    if message.usage is not None:
        data["usage"] = _fields(message.usage, public)
    if message.opaque is not None and not public:
        data["opaque"] = dict(message.opaque)
    if message.timing is not None and not public:
        data["timing"] = dict(message.timing)
    return data


def message_from_wire(data: Mapping[str, Any]) -> m.Message:
    """Return the message. Raises ``ValueError`` for an unknown part type, ``KeyError`` for a missing field."""
    error, usage = data.get("error"), data.get("usage")
    return m.Message(
        id=data["id"],
        role=data["role"],
        parts=tuple(part_from_wire(part) for part in data["parts"]),
        status=data["status"],
        model=data.get("model", ""),
        stop_reason=data.get("stop_reason"),
        error=_build(m.ErrorInfo, error) if error else None,
        usage=_build(e.UsageReported, usage) if usage is not None else None,
        opaque=data.get("opaque"),
        timing=data.get("timing"),
    )


def _fields(value: Any, public: bool) -> dict[str, Any]:
    data = {}
    for field in fields(value):
        item = getattr(value, field.name)
        if item == field.default or (public and field.name in _HIDDEN):
            continue
        data[field.name] = list(item) if isinstance(item, tuple) else item
    return data


def _build(kind: type, data: Mapping[str, Any]) -> Any:
    values = {}
    for field in fields(kind):
        if field.name in data:
            item = data[field.name]
            values[field.name] = tuple(item) if isinstance(item, list) and "tuple" in str(field.type) else item
        elif field.default is MISSING:
            raise ValueError(f"{kind.__name__} without {field.name!r}")
    return kind(**values)
