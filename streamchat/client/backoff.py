"""How long to wait before the next try: exponential, with full jitter, and not for ever.

Knows no clock: whoever tries tells the time. Rules:

* The n-th pause is drawn from 0 to ``base`` · 2ⁿ seconds, at most ``cap``, so that a thousand readers of a server
  that comes back do not come at once. What the server asked for is waited at least.
* Tries end ``patience`` seconds after the first failure; whoever gets further begins anew.
"""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    def __init__(
        self,
        patience: float = 60.0,
        *,
        base: float = 0.25,
        cap: float = 8.0,
        draw: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._patience = patience
        self._base = base
        self._cap = cap
        self._draw = draw
        self.progress()

    def progress(self) -> None:
        """It worked: the next failure is a first one."""
        self._failures = 0
        self._since: float | None = None

    def pause(self, now: float, asked: float | None = None) -> float | None:
        """Seconds until the next try; ``None``: give up. ``asked``: what the server asked for."""
        if self._since is None:
            self._since = now
        if now - self._since + (asked or 0.0) > self._patience:
            return None
        most = min(self._cap, self._base * 2 ** min(self._failures, 20))
        self._failures += 1
        return (asked or 0.0) + self._draw(0.0, most)
