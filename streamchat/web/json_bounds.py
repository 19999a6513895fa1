"""Bounds of a JSON body, checked while it arrives and before anything is built from it.

Knows brackets, commas and strings, no values. Rules:

* Only objects, arrays and the values in them count, because they cost time to build. A long string costs nothing.
* A chunk is scanned by operations on whole byte strings, so its cost is below a millisecond for what is refused as well
  as for a picture.
* The parser decides whether the text is JSON at all: malformed text only counts wrongly here.
"""

from __future__ import annotations

from streamchat.chat.json_depth import MAX_DEPTH
from streamchat.errors import StreamchatError

# A conversation of 5,000 turns, each with parts and calls, has fewer.
MAX_VALUES = 100_000
TOO_MANY = StreamchatError(f"The body has more than {MAX_VALUES:,} values.", kind="too-large")
TOO_DEEP = StreamchatError(f"The body is nested deeper than {MAX_DEPTH} levels.", kind="bad-request")

_STRUCTURE = b'"[]{},'
_OTHER = bytes(byte for byte in range(256) if byte not in _STRUCTURE)


class JsonBounds:
    """Scans one body, chunk by chunk."""

    def __init__(self, max_values: int = MAX_VALUES, max_depth: int = MAX_DEPTH) -> None:
        self._max_values = max_values
        self._max_depth = max_depth
        self._values = 0
        self._depth = 0
        self._in_string = False
        self._backslash = b""

    def feed(self, chunk: bytes) -> None:
        """Scan the next chunk. Raises ``TOO_MANY`` or ``TOO_DEEP``."""
        text = self._backslash + chunk
        # An escape that is cut by the end of the chunk is completed by the next one.
        self._backslash = b"\\" if (len(text) - len(text.rstrip(b"\\"))) % 2 else b""
        if self._backslash:
            text = text[:-1]
        unescaped = text.replace(b"\\\\", b"").replace(b'\\"', b"")
        parts = unescaped.translate(None, _OTHER).split(b'"')
        outside = b"".join(parts[self._in_string :: 2])
        self._in_string ^= len(parts) % 2 == 0
        self._count(outside)

    def _count(self, structure: bytes) -> None:
        opened = structure.count(b"{") + structure.count(b"[")
        closed = structure.count(b"}") + structure.count(b"]")
        if self._depth + opened > self._max_depth:
            self._follow(structure)
        else:
            self._depth += opened - closed
        self._values += opened + structure.count(b",")
        if self._values > self._max_values:
            raise TOO_MANY

    def _follow(self, structure: bytes) -> None:
        for byte in structure.translate(None, b","):
            if byte in b"[{":
                self._depth += 1
                if self._depth > self._max_depth:
                    raise TOO_DEEP
            else:
                self._depth -= 1
