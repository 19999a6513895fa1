"""Exponential backoff with full jitter and a deadline.

Knows no clock: the caller passes the time. Rules:

* The n-th pause is drawn from 0 to ``base`` · ``factor``ⁿ seconds, at most ``cap``, so that a thousand clients of a
  server that comes back do not reconnect at once. A server's ``Retry-After`` is waited at least.
* Retries end ``patience`` seconds after the first failure. Progress starts over, and so does a connection that lasts.

Source: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
"""

from __future__ import annotations

import random
from collections.abc import Callable
from math import inf


def pause_after(
    failures: int,
    *,
    base: float,
    cap: float,
    factor: float = 2.0,
    certain: float = 0.0,
    draw: Callable[[float, float], float] = random.uniform,
) -> float:
    """Return the seconds until the next try after so many failures, the first of which is 0.

    ``certain``: the share of the longest pause that is waited in any case.
    """
    longest = min(cap, base * factor ** min(failures, 20))
    return draw(certain * longest, longest)


class Backoff:
    """Pauses between retries, all in seconds. ``patience``: ``inf`` never gives up."""

    def __init__(
        self,
        patience: float = inf,
        *,
        base: float = 0.25,
        cap: float = 8.0,
        draw: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._patience = patience
        self._base = base
        self._cap = cap
        self._draw = draw
        self.reset()

    def reset(self) -> None:
        """Count the next failure as the first one."""
        self._failures = 0
        self._first_failure: float | None = None

    def heard(self, opened: float, now: float) -> None:
        """Note that a connection that is open since ``opened`` brought something, if only a heartbeat.

        One that lasts is a sign of life. One that breaks soon is none: else a server that always fails behind its
        first bytes would never be given up.
        """
        if now - opened > min(self._cap, self._patience):
            self.reset()

    def pause(self, now: float, retry_after: float | None = None) -> float | None:
        """Return the seconds until the next try, or ``None`` to give up. ``retry_after``: what the server asked for."""
        if self._first_failure is None:
            self._first_failure = now
        if now - self._first_failure + (retry_after or 0.0) > self._patience:
            return None
        return (retry_after or 0.0) + self.next_pause()

    def next_pause(self) -> float:
        """Return the seconds until the next try of work that never gives up."""
        failures, self._failures = self._failures, self._failures + 1
        return pause_after(failures, base=self._base, cap=self._cap, draw=self._draw)
