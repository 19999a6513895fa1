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
