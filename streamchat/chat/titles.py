"""Titles of conversations, derived from the first question. Pure: knows nothing of storage."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from streamchat.chat.messages import FilePart, ImagePart, Part, TextPart

LENGTH = 60
UNTITLED = "New conversation"
TEMPORARY_TITLE = "Temporary chat"
_JOINER = "\u200d"
# Control characters, lone surrogates and bidirectional formatting characters.
_INVISIBLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]+")


def title_of(parts: Iterable[Part]) -> str:
    """Return the first non-blank line, at most ``LENGTH`` characters; without one, a file's name or ``UNTITLED``."""
    parts = tuple(parts)
    for part in parts:
        if isinstance(part, TextPart):
            for line in part.text[:10_000].splitlines():
                if title := clean_title(line):
                    return title
    names = (clean_title(part.name) for part in parts if isinstance(part, ImagePart | FilePart))
    return next(filter(None, names), UNTITLED)


def clean_title(line: str, length: int = LENGTH) -> str:
    """Return one line without control characters, cut at the end of a word after at most ``length`` characters."""
    line = " ".join(_INVISIBLE.sub(" ", line[:10_000]).split())
    if len(line) <= length:
        return line
    end = length - 1  # one for the ellipsis
    space = line.rfind(" ", length // 2, end + 1)
    if space > 0:
        end = space
    else:
        # No word ends here (Chinese, a URL): do not separate an accent or a joined emoji from its base.
        while end > 1 and (unicodedata.combining(line[end]) or _JOINER in line[end - 1 : end + 1]):
            end -= 1
    return line[:end].rstrip(" ,;:–-") + "…"
