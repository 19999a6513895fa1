"""Mapping of messages to column values and back.

Knows nothing of connections. Rules:

* Parts are stored in the private wire form and round-trip exactly, including opaque data, NUL characters and
  lone surrogates. (JSON escapes hold the last two, which no database accepts raw.)
* Writing is total: a value that JSON cannot express is stored as the nearest one, never refused, because
  that would lose the whole answer. Reading is total: an unreadable part becomes a notice.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from itertools import groupby
from typing import Any

from streamchat.chat.events import Event, Notice, TextDelta, UsageReported, merge
from streamchat.chat.fold import Folding
from streamchat.chat.messages import ErrorInfo, Message, NoticePart, Part
from streamchat.chat.wire import event_from_wire, event_to_wire, part_from_wire, part_to_wire
from streamchat.errors import OutOfOrder

_SURROGATE = re.compile("[\ud800-\udfff]")
_DEPTH = 100
UNREADABLE = "unreadable"


def dumps(value: Any) -> str:
    """Return compact JSON without ASCII escapes (a CJK answer takes half the space of its escapes). Never raises."""
    try:
        encoded = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_to_json_type)
    except (ValueError, TypeError, RecursionError):
        encoded = json.dumps(_coerce(value, _DEPTH), ensure_ascii=False, separators=(",", ":"))
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", encoded)


def loads(text: str | bytes) -> Any:
    """Return the value; ``{"type": "unreadable"}`` if it is damaged, so that the other rows still load."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return {"type": UNREADABLE}


def message_to_columns(message: Message) -> dict[str, Any]:
    """Return the columns that change while an answer is written."""
    return {
        "status": message.status,
        "stop_reason": None if message.stop_reason is None else plain_text(message.stop_reason),
        "error": None if message.error is None else asdict(message.error),
        "usage": None if message.usage is None else asdict(message.usage),
        "opaque": None if message.opaque is None else dict(message.opaque),
        "timing": None if message.timing is None else dict(message.timing),
        "parts": [part_to_wire(part, public=False) for part in message.parts],
    }


def message_from_columns(row: Mapping[str, Any]) -> Message:
    """Return the message of a row. Never raises because of the contents of a JSON column."""
    parts = row["parts"] if isinstance(row["parts"], list) else [row["parts"]]
    return Message(
        id=row["id"],
        role=row["role"],
        parts=tuple(_part(part) for part in parts),
        status=row["status"],
        model=row["model"],
        stop_reason=row["stop_reason"],
        error=_build(ErrorInfo, row["error"]),
        usage=_build(UsageReported, row["usage"]),
        opaque=row["opaque"] if isinstance(row["opaque"], dict) else None,
        timing=row["timing"] if isinstance(row["timing"], dict) else None,
    )


def events_to_json(events: Iterable[Event]) -> list[dict[str, Any]]:
    """Return the events of a piece in the private wire form, with neighbouring deltas joined."""
    joined: list[Event] = []
    for kind, same in groupby(events, type):
        if kind is TextDelta:  # nearly all of them
            same = [TextDelta("".join(event.text for event in same if isinstance(event, TextDelta)))]
        for event in same:
            both = merge(joined[-1], event) if joined else None
            if both is None:
                joined.append(event)
            else:
                joined[-1] = both
    return [event_to_wire(event, public=False) for event in joined]


def message_with_pieces(message: Message, pieces: Iterable[Any]) -> Message:
    """Return the message after the events of these pieces. An event that cannot be read becomes a notice."""
    folding = Folding(message)
    for data in (data for piece in pieces if isinstance(piece, list) for data in piece):
        try:
            folding.add(_event(data))
        except OutOfOrder:
            break
    return folding.message


def _event(data: Any) -> Event:
    try:
        return event_from_wire(data)
    except (ValueError, TypeError, AttributeError):
        return Notice(UNREADABLE, "A part of this message cannot be read.")


def plain_text(text: str) -> str:
    """Return the text without NUL (invalid in PostgreSQL) and without lone surrogates (invalid in UTF-8)."""
    return _SURROGATE.sub("\ufffd", text).replace("\0", "")


def _part(data: Any) -> Part:
    try:
        return part_from_wire(data)
    except (ValueError, TypeError, AttributeError):
        return NoticePart(UNREADABLE, "A part of this message cannot be read.")


def _build(kind: type, data: Any) -> Any:
    if not isinstance(data, dict):
        return None
    known = {name: data[name] for name in kind.__dataclass_fields__ if name in data}
    try:
        return kind(**known)
    except TypeError:
        return None


def _to_json_type(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, set | frozenset) else str(value)


def _coerce(value: Any, depth: int) -> Any:
    if depth == 0:
        return "…"
    if isinstance(value, Mapping):
        return {str(key): _coerce(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_coerce(item, depth - 1) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, str | int | float) else str(value)
