"""Incremental parser of tool arguments: the fields of a JSON object whose text is incomplete.

Knows nothing of tools or pages. jiter does the parsing; the rules on top are:

* Fields only grow: a later result extends every earlier one. Strings grow at their end, objects and lists by further
  items. So a number counts only once something follows it, a key only with its value, and half a surrogate pair not.
* Text that cannot become an object (wrong syntax, NaN, a duplicate key, more than 100 levels) ends the parsing: the
  fields stay as they were. Only the strict parser at the end decides whether the arguments are valid.
* The text is parsed again only when it has grown by a fixed fraction, so that the total time is linear.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, TypeAlias

from jiter import from_json

from streamchat.chat.events import Json

Fields: TypeAlias = Mapping[str, Json]

GROWTH = 0.25
MAX_DEPTH = 100
_OUTSIDE = re.compile(r'["{}\[\]]')
_INSIDE = re.compile(r'["\\]')
_MAY_BE_HUGE = re.compile(r"[eE]\+?\d|(?<!\d)\d{300}")
_NUMBER = "0123456789+-.eE"


class PartialFields:
    """Parser of one call's argument fragments. ``growth``: the fraction by which the text grows between two parses."""

    def __init__(self, growth: float = GROWTH) -> None:
        self._growth = growth
        self._fragments: list[str] = []
        self._size = self._parsed = 0
        self._half = ""
        self._syntax = _Syntax()
        self._over = False
        self.fields: Fields = {}

    def add(self, fragment: str) -> Fields | None:
        """Add a fragment. Returns all fields so far if they have changed, else ``None``. Never raises."""
        if self._over:
            return None
        fragment = self._join_surrogates(fragment)
        self._fragments.append(fragment)
        self._size += len(fragment)
        if self._size <= self._parsed * (1 + self._growth):
            return None
        text = "".join(self._fragments)
        self._fragments = [text]
        self._parsed = self._size
        return self._parse(text)

    def _parse(self, text: str) -> Fields | None:
        if not text.strip():
            return None
        try:
            self._syntax.read(text)
            fields = _object(text if self._syntax.in_string else text.rstrip(_NUMBER))
            if self._syntax.huge and not _finite(fields):
                raise ValueError("a number that is infinite")
        except ValueError:
            self._over = True
            self._fragments.clear()
            return None
        if fields == self.fields:
            return None
        self.fields = fields
        return fields

    def _join_surrogates(self, fragment: str) -> str:
        """Join surrogate pairs that are split over two fragments; a trailing high surrogate is held back."""
        text = self._half + fragment
        self._half = ""
        if text.isascii():
            return text
        if "\ud800" <= text[-1] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


class _Syntax:
    """Scanner that tracks strings and nesting depth. Each character is visited once."""

    def __init__(self) -> None:
        self.in_string = False
        self.huge = False
        self._depth = self._at = 0

    def read(self, text: str) -> None:
        """Scan to the end of the text. Raises ``ValueError`` if it is nested too deeply."""
        self.huge = self.huge or _MAY_BE_HUGE.search(text, max(0, self._at - 300)) is not None
        while delimiter := (_INSIDE if self.in_string else _OUTSIDE).search(text, self._at):
            self._at = delimiter.end()
            match delimiter[0]:
                case '"':
                    self.in_string = not self.in_string
                case "\\":
                    if self._at == len(text):
                        self._at -= 1  # the rest of the escape is still to come
                        return
                    self._at += 1
                case "{" | "[":
                    self._depth += 1
                    if self._depth > MAX_DEPTH:
                        raise ValueError("too deep")
                case _:
                    self._depth -= 1
        self._at = len(text)


def _object(text: str) -> dict[str, Json]:
    value = from_json(
        text.encode(),
        partial_mode="trailing-strings",
        allow_inf_nan=False,
        catch_duplicate_keys=True,
        cache_mode="keys",
    )
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def _finite(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_finite(item) for item in value.values())
    if isinstance(value, list):
        return all(_finite(item) for item in value)
    return not isinstance(value, float) or math.isfinite(value)
