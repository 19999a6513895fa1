"""Detection of repeated and missing events by their sequence numbers. No I/O."""

from __future__ import annotations

from typing import Any

# Events that are kept for comparison with a repetition.
KEPT = 512


class SequenceGuard:
    """Follows ``sequence_number``. The first number may be any: a resumed stream starts in the middle.

    A number that comes again with other content is no repetition: such a server has a numbering
    of its own, and its numbers are ignored from then on. ``gap``: an event is missing.
    """

    def __init__(self) -> None:
        self.gap = False
        self._first = 0
        self._last: int | None = None
        self._recent: dict[int, dict[str, Any]] = {}
        self._trusted = True

    def is_new(self, data: dict[str, Any], *, restart: bool) -> bool:
        """Return ``False`` for a repetition. ``restart``: an answer is complete, so the numbers may start again."""
        number = data.get("sequence_number")
        if not isinstance(number, int) or not self._trusted:
            return True
        last = self._last
        if last is None:
            self._first = number
        elif number != last + 1:
            if restart:
                self._recent.clear()
                self._first = number
            elif number > last:
                self.gap = True
            elif number >= self._first and _is_same(self._recent.get(number, data), data):
                return False
            else:
                self._trusted = False
                return True
        self._last = number
        self._recent[number] = data
        if len(self._recent) > KEPT:
            self._recent.pop(next(iter(self._recent)))
        return True


def _is_same(first: dict[str, Any], second: dict[str, Any]) -> bool:
    return all(first.get(key) == second.get(key) for key in ("type", "output_index", "content_index", "delta"))
