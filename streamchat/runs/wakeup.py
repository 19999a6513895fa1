"""Coalescing wake-up flag shared by several sources: many ``set()`` calls wake the waiter once.

The waiter then looks at all of its sources. Setting the flag never waits.
"""

from __future__ import annotations

import asyncio


class Wakeup:
    """A flag that one task waits for and any number of sources set."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        """Wake the waiter, now or at its next ``wait``."""
        self._event.set()

    async def wait(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109 the caller's heartbeat, not a deadline
        """Wait for ``set``. Returns ``False`` after ``timeout`` seconds without one."""
        if timeout is None:
            await self._event.wait()
        elif not self._event.is_set():
            try:
                async with asyncio.timeout(timeout):
                    await self._event.wait()
            except TimeoutError:
                return False
        self._event.clear()
        return True


class Silence:
    """Wakes a waiter after ``seconds`` in which nothing was sent. Its timer costs nothing per entry, unlike a deadline
    around every wait. Call ``close`` in the end."""

    def __init__(self, wakeup: Wakeup, seconds: float) -> None:
        self._wakeup, self._seconds = wakeup, seconds
        self._loop = asyncio.get_running_loop()
        self._last_sent = self._loop.time()
        self._over = False
        self._timer = self._loop.call_at(self._last_sent + seconds, self._watch)

    def sent(self) -> None:
        """Begin it anew."""
        self._over, self._last_sent = False, self._loop.time()

    def over(self) -> bool:
        """Return whether it lasted for so long; if so, it begins anew."""
        over = self._over
        if over:
            self.sent()
        return over

    def close(self) -> None:
        """End it."""
        self._timer.cancel()

    def _watch(self) -> None:
        now, due = self._loop.time(), self._last_sent + self._seconds
        if now >= due:
            self._over = True
            self._wakeup.set()
            due = now + self._seconds
        self._timer = self._loop.call_at(due, self._watch)
