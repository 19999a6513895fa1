"""Tables of figures for a terminal, in Markdown, so that they can be pasted. Knows nothing of what they say."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

MISSING = "–"


def percentile(values: Iterable[float], share: float) -> float:
    """The nearest-rank percentile: always a value that was measured. ``nan`` for no values."""
    ordered = sorted(values)
    if not ordered:
        return math.nan
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def median(values: Iterable[float]) -> float:
    return percentile(values, 0.5)


def number(value: float | None, digits: int = 1) -> str:
    """``1,234``, ``12.3``, or a dash for what was not measured."""
    return MISSING if value is None or math.isnan(value) else f"{value:,.{digits}f}"


def spread(values: Iterable[float], digits: int = 2) -> str:
    """``median (least–most)``."""
    kept = list(values)
    if not kept:
        return MISSING
    return f"{number(median(kept), digits)} ({number(min(kept), digits)}–{number(max(kept), digits)})"


def show(title: str, head: Sequence[str], rows: Iterable[Sequence[str]], *notes: str) -> None:
    """Print one table, and below it what has to be known to read it."""
    lines = [list(head), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    print(f"\n### {title}\n")
    for place, line in enumerate(lines):
        padded = zip(line, widths, strict=True)
        print(f"| {' | '.join(c.rjust(w) if i else c.ljust(w) for i, (c, w) in enumerate(padded))} |")
        if place == 0:
            print(f"| {' | '.join('-' * (w - 1) + ':' if i else '-' * w for i, w in enumerate(widths))} |")
    for note in notes:
        print(f"\n{note}")
    print(flush=True)
