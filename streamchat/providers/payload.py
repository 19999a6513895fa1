"""JSON as providers send it: fast, strict about what is broken, patient with halves of characters.

Knows no vendor. Rules:

* JSON lets a server cut a character outside the basic plane between two strings. The fast parser
  refuses such halves; then the standard one reads them, and ``mend`` joins or replaces them later.
* Nothing here raises anything but ``ValueError``.
"""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import jiter

_HALF = re.compile("[\ud800-\udfff]")
_ESCAPED_HALF = re.compile(rb"\\u[dD][89a-fA-F]")


def decode(raw: bytes) -> tuple[Any, bool]:
    """The value, and whether strings in it may hold halves of characters. Raises ``ValueError``."""
    try:
        return jiter.from_json(raw), False
    except ValueError:
        if not _ESCAPED_HALF.search(raw):
            raise
    try:
        return json.loads(raw), True
    except RecursionError:
        raise ValueError("nested too deeply") from None


def decode_object(text: str) -> dict[str, Any] | None:
    """Strictly one JSON object, or ``None``. Nothing at all counts as an empty one: a call without arguments."""
    if not text.strip():
        return {}
    try:
        value = jiter.from_json(text.encode(), allow_inf_nan=False)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def mend(text: str) -> str:
    """Halves that stand together become their character, others U+FFFD."""
    if _HALF.search(text) is None:
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def mend_all(value: Any) -> Any:
    """``mend`` in every string inside a JSON value or a frozen dataclass."""
    if isinstance(value, str):
        return mend(value)
    if isinstance(value, dict):
        return {mend_all(key): mend_all(item) for key, item in value.items()}
    if isinstance(value, list):
        return [mend_all(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return type(value)(*(mend_all(getattr(value, field.name)) for field in dataclasses.fields(value)))
    return value


def opens_half(text: str) -> bool:
    """Whether the text ends in the first half of a character."""
    return "\ud800" <= text[-1:] <= "\udbff"
