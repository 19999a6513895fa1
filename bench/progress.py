"""From what was seen in the page to how many of the provider's tokens were painted when.

Pure. Numbered words name themselves. Markdown does not: markers, addresses and list numbers never show, cells
run together. So both the source and the final text of the page are reduced to letters and digits and aligned
once, which gives every token the place of its last visible character. Each paint is then placed in that final
text by its last characters (the length of the text says about where to look; a place that is not found is left
out and the next paint counts). A token is painted with the first paint that reaches its place; tokens of which
nothing ever shows are left out.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.load import Load

_NUMBERED = re.compile(r"w(\d{6})")
_SIGN = re.compile(r"[\W_]+")
_AHEAD, _SURE = 160, 10
_TAIL, _SHORT_TAIL, _NEAR = 24, 10, 600


@dataclass(frozen=True, slots=True)
class Paint:
    """``at``: seconds since the epoch; ``length`` and ``tail`` of the answer's text as it was in the page."""

    at: float
    length: int
    tail: str


def delays(load: Load, emits: Sequence[float], paints: Sequence[Paint], final: str) -> list[float]:
    """Seconds from send to paint for each token that shows. Raises ``ValueError`` where a token never showed."""
    places, shown = _numbered(load, paints) if load.kind == "numbered" else _markdown(load, paints, final)
    reached = list(_reached(shown))
    if not reached or reached[-1] < max(place for place in places if place is not None):
        raise ValueError("the page never showed the whole answer")
    return [
        paints[bisect_left(reached, place)].at - emitted
        for place, emitted in zip(places, emits, strict=True)
        if place is not None
    ]


def _reached(shown: Iterable[int]) -> Iterable[int]:
    """The furthest place so far."""
    furthest = 0
    for place in shown:
        furthest = max(furthest, place)
        yield furthest


def _numbered(load: Load, paints: Sequence[Paint]) -> tuple[list[int | None], list[int]]:
    shown = [int(found[-1]) if (found := _NUMBERED.findall(paint.tail)) else 0 for paint in paints]
    return list(range(1, load.tokens + 1)), shown


def _markdown(load: Load, paints: Sequence[Paint], final: str) -> tuple[list[int | None], list[int]]:
    visible = plain(final)
    pieces = [plain(piece) for piece in load.pieces]
    places = align("".join(pieces), visible)
    ends: list[int | None] = []
    start = 0
    for piece in pieces:
        matched = [place for place in places[start : start + len(piece)] if place is not None]
        ends.append(matched[-1] + 1 if matched else None)
        start += len(piece)
    return ends, [_place(visible, paint, final) for paint in paints]


def _place(visible: str, paint: Paint, final: str) -> int:
    """How much of the visible text this paint shows; 0 where that cannot be told."""
    tail, about = plain(paint.tail), len(plain(final[: paint.length]))
    for size in (_TAIL, _SHORT_TAIL):
        end = tail[-size:]
        low = max(0, about - _NEAR)
        starts = [m.start() for m in re.finditer(f"(?={re.escape(end)})", visible[low : about + _NEAR])] if end else []
        if starts:
            return min((low + start + len(end) for start in starts), key=lambda place: abs(place - about))
    return 0


def plain(text: str) -> str:
    """Letters and digits only."""
    return _SIGN.sub("", text)


def align(source: str, visible: str) -> list[int | None]:
    """For each character of the source its place in the visible text, if it shows. Both read from the left once."""
    places: list[int | None] = [None] * len(source)
    i = j = 0
    while i < len(source) and j < len(visible):
        if source[i] == visible[j]:
            places[i] = j
            i, j = i + 1, j + 1
            continue
        i, j = _again(source, visible, i, j)
    return places


def _again(source: str, visible: str, i: int, j: int) -> tuple[int, int]:
    """The nearest places from which both go on alike for a while."""
    for apart in range(1, _AHEAD):
        for skipped in range(apart, -1, -1):
            a, b = i + skipped, j + apart - skipped
            size = min(_SURE, len(source) - a, len(visible) - b)
            if size > 0 and source.startswith(visible[b : b + size], a):
                return a, b
    return len(source), len(visible)
