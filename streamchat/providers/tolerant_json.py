"""JSON as providers send it: a fast parser, strict about invalid JSON, tolerant of halves of surrogate pairs.

Knows no vendor. Rules:

* JSON lets a server split a character outside the basic plane between two strings. The fast parser
  rejects such halves; then the standard one reads them, and ``mend`` joins or replaces them later.
* Nothing here raises anything but ``ValueError``.
"""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import jiter

from streamchat.chat.json_depth import parse_json

_HALF = re.compile("[\ud800-\udfff]")
_MARK = re.compile(r'["\\{}\[\]]')
_ESCAPE = re.compile(r"\\.", re.DOTALL)
_MAX_REPEATS = 16
_ESCAPED_HALF = re.compile(rb"\\u[dD][89a-fA-F]")


def decode(raw: bytes) -> tuple[Any, bool]:
    """Return the value, and whether its strings may hold halves of surrogate pairs. Raises ``ValueError``."""
    try:
        return jiter.from_json(raw), False
    except ValueError:
        if not _ESCAPED_HALF.search(raw):
            raise
    return parse_json(raw), True


def decode_object(text: str) -> dict[str, Any] | None:
    """Return strictly one JSON object, or ``None``. Empty text counts as an empty object: a call without arguments."""
    if not text.strip():
        return {}
    try:
        value = jiter.from_json(text.encode(), allow_inf_nan=False)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def read_arguments(pieces: list[str]) -> dict[str, Any] | None:
    """Return the arguments in these fragments, or ``None``. Nothing is invented.

    Besides one object, as servers send them: an object in a JSON string, the same object again, ``{}`` before the real
    one, and fragments that each repeat what came before.
    """
    text = "".join(pieces)
    if (value := decode_object(text)) is not None:
        return value
    stripped = text.strip()
    if stripped[:1] == '"':
        try:
            inner = jiter.from_json(stripped.encode())
        except ValueError:
            return None
        return decode_object(inner) if isinstance(inner, str) and inner.strip() else None
    if len(pieces) > 1 and pieces[-1].startswith(("".join(pieces[:-1]), pieces[-2])):
        return decode_object(pieces[-1])
    values = _objects(stripped)
    while len(values) > 1 and not values[0]:
        values.pop(0)
    return values[0] if values and all(value == values[0] for value in values) else None


def _objects(text: str) -> list[dict[str, Any]]:
    """Return the consecutive objects in the text; none if there is anything else."""
    decoder, at, values = json.JSONDecoder(), 0, []
    try:
        while at < len(text):
            value, end = decoder.raw_decode(text, at)
            if (whole := decode_object(text[at:end])) is None or len(values) > _MAX_REPEATS:
                return []
            values.append(whole)
            at = end + len(text[end:]) - len(text[end:].lstrip())
    except (ValueError, RecursionError):
        return []
    return values


class JSONDepth:
    """Tracks whether fragments of JSON text form a closed object. Each fragment is scanned once."""

    def __init__(self) -> None:
        self._scanned = self._depth = 0
        self._in_string = self._escaped = False
        self._closed = False

    def is_closed(self, pieces: list[str]) -> bool:
        """Return whether the object is closed. ``pieces``: the same list each time, grown at its end."""
        for piece in pieces[self._scanned :]:
            self._scan(piece)
        self._scanned = len(pieces)
        return self._closed

    def _scan(self, piece: str) -> None:
        if not self._escaped and _MARK.search(piece) is None:
            return
        # No step per character: a fragment may be megabytes of brackets.
        text = _ESCAPE.sub("", piece[1:] if self._escaped else piece)
        self._escaped = False
        segments = text.split('"')
        outside = "".join(segments[1 if self._in_string else 0 :: 2])
        self._in_string ^= len(segments) % 2 == 0
        self._escaped = self._in_string and text.endswith("\\")
        self._depth += outside.count("{") + outside.count("[") - outside.count("}") - outside.count("]")
        last = max(map(outside.rfind, "{}[]"))
        if last >= 0:
            self._closed = self._depth <= 0 and outside[last] == "}"


def mend(text: str) -> str:
    """Join halves of surrogate pairs that stand together, and replace others by U+FFFD."""
    if _HALF.search(text) is None:
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def mend_all(value: Any) -> Any:
    """Apply ``mend`` to every string inside a JSON value or a frozen dataclass."""
    if isinstance(value, str):
        return mend(value)
    if isinstance(value, dict):
        return {mend_all(key): mend_all(item) for key, item in value.items()}
    if isinstance(value, list):
        return [mend_all(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        mended = {field.name: mend_all(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return dataclasses.replace(value, **mended)
    return value


def opens_half(text: str) -> bool:
    """Return whether the text ends in the first half of a surrogate pair."""
    return "\ud800" <= text[-1:] <= "\udbff"
