"""Search terms: tokenisation of texts and queries, and the snippet of a hit.

Knows nothing of SQL. Rules:

* Both databases search these tokens, so that they find the same: words in lower case without accents, split at every
  character that is no letter, digit or mark. In Chinese and Japanese, without spaces, each character is a word.
* A query is plain text without any syntax.
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
_MAX_SCANNED = 20_000
OPEN, CLOSE = "«", "»"

_ASCII_WORD = re.compile("[a-z0-9]+")
_ACCENTS = re.compile("[\u0300-\u036f]")
_ALONE = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
# The displayed form of the words above: an accent or a vowel sign belongs to the word here.
_SHOWN_WORD = re.compile(
    rf"{_ALONE.pattern}|(?:[A-Za-z0-9]|(?!{_ALONE.pattern})[^\x00-\xbf\s\u2000-\u206f\u3000-\u303f\uff00-\uff0f])+"
)


def words_of(text: str) -> list[str]:
    """Return the words of the first ``MAX_INDEXED`` characters of a text."""
    return _words(text[:MAX_INDEXED])


def phrases_of(query: str) -> list[Phrase]:
    """Return the phrases that a text must contain, each with adjacent words. The last word is a prefix."""
    parts = query[:_MAX_QUERY].split()
    return [phrase for part in parts if (phrase := tuple(_words(part)))][:_MAX_PHRASES]


def snippet(text: str, phrases: Sequence[Phrase]) -> str:
    """Return one line of the text around the first match, with the matches between ``OPEN`` and ``CLOSE``."""
    matcher = _Matcher(phrases)
    first = matcher.first_in(text)
    start, end = max(0, first - _BEFORE), min(len(text), first + _AFTER)
    marked = _SHOWN_WORD.sub(lambda m: f"{OPEN}{m[0]}{CLOSE}" if matcher(m[0]) else m[0], text[start:end])
    line = " ".join(marked.replace(f"{CLOSE}{OPEN}", "").split())
    return f"{'…' if start else ''}{line}{'…' if end < len(text) else ''}"


class _Matcher:
    """Tests whether a word of a text matches a query."""

    def __init__(self, phrases: Sequence[Phrase]) -> None:
        self._words = {word for phrase in phrases for word in phrase}
        self._prefix = phrases[-1][-1] if phrases else None

    def first_in(self, text: str) -> int:
        """Return the offset of the first match, or 0. With accents each word is tested, so only the beginning is."""
        pattern = re.compile(rf"(?<![^\W_])(?:{'|'.join(map(re.escape, self._words))})", re.IGNORECASE)
        if self._words and (match := pattern.search(text[:MAX_INDEXED])) and self(_word_at(text, match.start())):
            return match.start()
        return next((m.start() for m in _SHOWN_WORD.finditer(text[:_MAX_SCANNED]) if self(m[0])), 0)

    def __call__(self, shown: str) -> bool:
        words = _words_cached(shown)
        prefix = self._prefix
        return any(word in self._words or (prefix is not None and word.startswith(prefix)) for word in words)


def _word_at(text: str, start: int) -> str:
    match = _SHOWN_WORD.match(text, start)
    return match[0] if match else ""


def _words(text: str) -> list[str]:
    if text.isascii():
        return [word[:_MAX_WORD] for word in _ASCII_WORD.findall(text.lower())]
    # Case-folded in decomposed form, where an accent is a separate character, and composed again for Korean.
    folded = unicodedata.normalize("NFKD", text).casefold()
    folded = unicodedata.normalize("NFC", _ACCENTS.sub("", folded))
    separated = "".join(character if _in_words(character) else " " for character in folded)
    return [word[:_MAX_WORD] for word in _ALONE.sub(r" \g<0> ", separated).split()]


@lru_cache(maxsize=4096)
def _words_cached(text: str) -> tuple[str, ...]:
    return tuple(_words(text))


@lru_cache(maxsize=8192)
def _in_words(character: str) -> bool:
    return unicodedata.category(character)[0] in "LNM"
