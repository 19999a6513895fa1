"""The fix that Python 3.11.3 brought for ``asyncio.timeout``, for older ones: Debian 12 has 3.11.2.

There, a timeout inside a task that is being cancelled (cleaning up, for example) never becomes a ``TimeoutError``:
the task ends in the middle of what it was doing.
"""

from __future__ import annotations

import asyncio
from asyncio.timeouts import Timeout
from functools import wraps
from types import TracebackType
from typing import Any


def fix_timeouts() -> None:
    """Make ``asyncio.timeout`` count only the cancellations that came after it began."""
    timeout: Any = Timeout
    enter, leave = timeout.__aenter__, timeout.__aexit__

    @wraps(enter)
    async def fixed_enter(self: Any) -> Any:
        await enter(self)
        self._cancelling = self._task.cancelling()
        return self

    @wraps(leave)
    async def fixed_leave(
        self: Any, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        await leave(self, kind, error, traceback)
        is_cancelled = kind is not None and issubclass(kind, asyncio.CancelledError)
        if self.expired() and is_cancelled and self._task.cancelling() <= self._cancelling:
            raise TimeoutError from error
        return None

    timeout.__aenter__, timeout.__aexit__ = fixed_enter, fixed_leave
