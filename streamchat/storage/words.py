"""The words of a text as the search sees them, the words of a query, and the snippet of a hit.

Knows nothing of SQL. Rules:

* Both databases search what is made here, so that they find the same: words in lower case without accents, cut at
  everything that is no letter, digit or mark. Chinese and Japanese have no spaces: each of their characters is a word.
* A query is plain text: nothing in it is syntax.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias

Phrase: TypeAlias = tuple[str, ...]

MAX_INDEXED = 100_000
_MAX_WORD = 64
_MAX_QUERY = 1000
_MAX_PHRASES = 20
_BEFORE, _AFTER = 60, 140
_LOOKED_AT = 20_000
OPEN, CLOSE = "«", "»"

_ASCII_WORD = re.compile("[a-z0-9]+")
_ACCENTS = re.compile("[\u0300-\u036f]")
_ALONE = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
# Not exactly the words above, but what shows them: an accent, or a vowel sign, is no letter of its own.
_SHOWN_WORD = re.compile(
    rf"{_ALONE.pattern}|(?:[A-Za-z0-9]|(?!{_ALONE.pattern})[^\x00-\xbf\s\u2000-\u206f\u3000-\u303f\uff00-\uff0f])+"
)


def words_of(text: str) -> list[str]:
    """The words of the beginning (``MAX_INDEXED`` characters) of a text."""
    return _words(text[:MAX_INDEXED])


def phrases_of(query: str) -> list[Phrase]:
    """What has to be in a text: each phrase, and in it its words side by side. The last word is a beginning."""
    parts = query[:_MAX_QUERY].split()
    return [phrase for part in parts if (phrase := tuple(_words(part)))][:_MAX_PHRASES]


def snippet(text: str, phrases: Sequence[Phrase]) -> str:
    """The place around the first word that was found, in one line, with the found words between marks."""
    found = _Found(phrases)
    first = found.first_in(text)
    start, end = max(0, first - _BEFORE), min(len(text), first + _AFTER)
    shown = _SHOWN_WORD.sub(lambda m: f"{OPEN}{m[0]}{CLOSE}" if found(m[0]) else m[0], text[start:end])
    line = " ".join(shown.replace(f"{CLOSE}{OPEN}", "").split())
    return f"{'…' if start else ''}{line}{'…' if end < len(text) else ''}"


class _Found:
    """Whether a word of a text is one of the query's."""

    def __init__(self, phrases: Sequence[Phrase]) -> None:
        self._words = {word for phrase in phrases for word in phrase}
        self._beginning = phrases[-1][-1] if phrases else None

    def first_in(self, text: str) -> int:
        """Where the first of them is. Accents cost a look at each word, so that is done for the beginning only."""
        spelt = re.compile(rf"(?<![^\W_])(?:{'|'.join(map(re.escape, self._words))})", re.IGNORECASE)
        if self._words and (match := spelt.search(text[:MAX_INDEXED])) and self(_word_at(text, match.start())):
            return match.start()
        return next((m.start() for m in _SHOWN_WORD.finditer(text[:_LOOKED_AT]) if self(m[0])), 0)

    def __call__(self, shown: str) -> bool:
        words = _words_cached(shown)
        beginning = self._beginning
        return any(word in self._words or (beginning is not None and word.startswith(beginning)) for word in words)


def _word_at(text: str, start: int) -> str:
    match = _SHOWN_WORD.match(text, start)
    return match[0] if match else ""


def _words(text: str) -> list[str]:
    if text.isascii():
        return [word[:_MAX_WORD] for word in _ASCII_WORD.findall(text.lower())]
    # Folded in the decomposed form, where an accent is a character of its own, and composed again for Korean.
    folded = unicodedata.normalize("NFKD", text).casefold()
    folded = unicodedata.normalize("NFC", _ACCENTS.sub("", folded))
    kept = "".join(character if _in_words(character) else " " for character in folded)
    return [word[:_MAX_WORD] for word in _ALONE.sub(r" \g<0> ", kept).split()]


@lru_cache(maxsize=4096)
def _words_cached(text: str) -> tuple[str, ...]:
    return tuple(_words(text))


@lru_cache(maxsize=8192)
def _in_words(character: str) -> bool:
    return unicodedata.category(character)[0] in "LNM"
