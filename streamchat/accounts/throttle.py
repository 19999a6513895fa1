"""How often something may be tried by whom: token buckets that refuse in the words of a sign-in.

Knows nothing of sign-ins or requests.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from streamchat.errors import TooManyRequests
from streamchat.limits import Buckets


class Throttle:
    """``burst`` tries at once per key, and one more every ``seconds``."""

    def __init__(
        self, burst: float, seconds: float, sentence: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._burst = burst
        self._seconds = seconds
        self._sentence = sentence
        self._buckets = Buckets(clock)

    def take(self, key: str, *, burst: float | None = None, seconds: float | None = None) -> None:
        """Count one try. Raises ``TooManyRequests`` with the seconds until the next one is taken; then counts none."""
        burst, seconds = burst or self._burst, seconds or self._seconds
        if wait := self._buckets.wait(key, seconds, burst):
            raise TooManyRequests(self._sentence, wait)
        self._buckets.take(key, seconds)

    def give_back(self, key: str) -> None:
        """Take back one try: it was no failure."""
        self._buckets.give_back(key, self._seconds)
