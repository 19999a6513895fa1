"""One thing to wait on for a reader of several sources.

A source rings, any number of times; the reader wakes once, then looks at all of its sources. Ringing
costs nothing where nobody waits, and never waits itself.
"""

from __future__ import annotations

import asyncio


class Bell:
    def __init__(self) -> None:
        self._event = asyncio.Event()

    def ring(self) -> None:
        self._event.set()

    async def wait(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109 the caller's heartbeat, not a deadline
        """Until somebody rings; ``False`` after ``timeout`` seconds of silence."""
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
