"""Whether a numbered event is new, a repetition, or comes after a gap. No I/O."""

from __future__ import annotations

from typing import Any

from streamchat.errors import StreamBroken

KEPT = 4096


class Sequence:
    """Follows ``sequence_number``. The first number may be any: a resumed stream begins in the middle.

    A number that comes again with something else in it is no repetition: such a server numbers in a way
    of its own, and its numbers are not looked at any more.
    """

    def __init__(self) -> None:
        self._first = 0
        self._last: int | None = None
        self._seen: dict[int, tuple[Any, ...]] = {}
        self._trusted = True

    def is_new(self, data: dict[str, Any], *, restart: bool) -> bool:
        """``restart``: an answer is complete, so that another may begin to count again.

        Raises ``StreamBroken`` after a gap: something that was said is missing.
        """
        number = data.get("sequence_number")
        if not isinstance(number, int) or not self._trusted:
            return True
        last = self._last
        mark = (data.get("type"), data.get("output_index"), data.get("content_index"), data.get("delta"))
        if last is None:
            self._first = number
        elif number != last + 1:
            if restart:
                self._seen.clear()
                self._first = number
            elif number > last:
                raise StreamBroken("A piece of the answer was lost on its way.", kind="gap", retryable=True)
            elif number >= self._first and self._seen.get(number, mark) == mark:
                return False
            else:
                self._trusted = False
                return True
        self._last = number
        self._seen[number] = mark
        if len(self._seen) > KEPT:
            self._seen.pop(next(iter(self._seen)))
        return True
