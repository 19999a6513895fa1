"""The title of a conversation, from the first thing that was said in it. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from streamchat.chat.messages import FilePart, ImagePart, Part, TextPart

LENGTH = 60
UNTITLED = "New conversation"
_JOINER = "\u200d"
# Controls, lone surrogates, and the marks that turn the direction of the text around them.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]+")


def title_of(parts: Iterable[Part]) -> str:
    """The first line with something in it, at most ``LENGTH`` characters; else a file's name."""
    parts = tuple(parts)
    for part in parts:
        if isinstance(part, TextPart):
            for line in part.text[:10_000].splitlines():
                if title := clean_title(line):
                    return title
    names = (clean_title(part.name) for part in parts if isinstance(part, ImagePart | FilePart))
    return next(filter(None, names), UNTITLED)


def clean_title(line: str, length: int = LENGTH) -> str:
    """One line without control characters, cut at a word's end where it is longer than ``length``."""
    line = " ".join(_UNSEEN.sub(" ", line[:10_000]).split())
    if len(line) <= length:
        return line
    end = length - 1  # one for the ellipsis
    space = line.rfind(" ", length // 2, end + 1)
    if space > 0:
        end = space
    else:
        # No word ends here (Chinese, an address): do not tear an accent or a joined emoji from its base.
        while end > 1 and (unicodedata.combining(line[end]) or _JOINER in line[end - 1 : end + 1]):
            end -= 1
    return line[:end].rstrip(" ,;:–-") + "…"
