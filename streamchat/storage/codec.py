"""Messages to column values and back.

Knows nothing of connections. Rules:

* Parts are kept in the private wire form: what comes back equals what was stored, opaque data, NUL
  characters and lone surrogates included. (JSON escapes hold the last two, which no database takes raw.)
* Writing is total: a value that JSON has no word for is stored as its nearest, never refused, because
  refusing would lose the whole answer. Reading is total: an unreadable part becomes a notice.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from streamchat.chat.events import UsageReported
from streamchat.chat.messages import ErrorInfo, Message, NoticePart, Part
from streamchat.chat.wire import part_from_wire, part_to_wire

_SURROGATE = re.compile("[\ud800-\udfff]")
_DEPTH = 100
UNREADABLE = "unreadable"


def dumps(value: Any) -> str:
    """Compact JSON, in the text's own characters (a CJK answer takes half the space of its escapes)."""
    try:
        told = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain)
    except (ValueError, TypeError, RecursionError):
        told = json.dumps(_tamed(value, _DEPTH), ensure_ascii=False, separators=(",", ":"))
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", told)


def loads(text: str | bytes) -> Any:
    """The value; ``{"type": "unreadable"}`` where a row is damaged, so that the other rows still load."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return {"type": UNREADABLE}


def message_to_columns(message: Message) -> dict[str, Any]:
    """The columns that change while an answer is written."""
    return {
        "status": message.status,
        "stop_reason": None if message.stop_reason is None else plain_text(message.stop_reason),
        "error": None if message.error is None else asdict(message.error),
        "usage": None if message.usage is None else asdict(message.usage),
        "opaque": None if message.opaque is None else dict(message.opaque),
        "parts": [part_to_wire(part, public=False) for part in message.parts],
    }


def message_from_columns(row: Mapping[str, Any]) -> Message:
    """Never raises for what is in JSON columns."""
    parts = row["parts"] if isinstance(row["parts"], list) else [row["parts"]]
    return Message(
        id=row["id"],
        role=row["role"],
        parts=tuple(_part(part) for part in parts),
        status=row["status"],
        model=row["model"],
        stop_reason=row["stop_reason"],
        error=_built(ErrorInfo, row["error"]),
        usage=_built(UsageReported, row["usage"]),
        opaque=row["opaque"] if isinstance(row["opaque"], dict) else None,
    )


def plain_text(text: str) -> str:
    """Text for a text column: no NUL (PostgreSQL has none) and no lone surrogate (UTF-8 has none)."""
    return _SURROGATE.sub("\ufffd", text).replace("\0", "")


def _part(data: Any) -> Part:
    try:
        return part_from_wire(data)
    except (ValueError, TypeError, AttributeError):
        return NoticePart(UNREADABLE, "A part of this message cannot be read.")


def _built(kind: type, data: Any) -> Any:
    if not isinstance(data, dict):
        return None
    known = {name: data[name] for name in kind.__dataclass_fields__ if name in data}
    try:
        return kind(**known)
    except TypeError:
        return None


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, set | frozenset) else str(value)


def _tamed(value: Any, depth: int) -> Any:
    if depth == 0:
        return "…"
    if isinstance(value, Mapping):
        return {str(key): _tamed(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_tamed(item, depth - 1) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, str | int | float) else str(value)
