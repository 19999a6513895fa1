"""Coalescing wake-up flag shared by several sources: many ``set()`` calls wake the waiter once.

The waiter then looks at all of its sources. Setting the flag never waits. A token's path waits several times for each
piece, so a wait with a timeout must not cost a timer of its own: one timer per flag is moved on when it is due.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from math import inf
from typing import Any, TypeVar

T = TypeVar("T")


class Wakeup:
    """A flag that one task waits for and any number of sources set."""

    def __init__(self) -> None:
        self._is_set = False
        self._waiter: asyncio.Future[bool] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due = inf  # when the present wait gives up; by the loop's clock

    def set(self) -> None:
        """Wake the waiter, now or at its next ``wait``."""
        self._is_set = True
        self._wake(True)

    async def wait(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109 the caller's heartbeat, not a deadline
        """Wait for ``set``. Returns ``False`` after ``timeout`` seconds without one."""
        if not self._is_set:
            loop = asyncio.get_running_loop()
            waiter = self._waiter = loop.create_future()
            self._due = inf if timeout is None else loop.time() + timeout
            if self._due < (inf if self._timer is None else self._timer.when()):
                self._cancel_timer()
                self._timer = loop.call_at(self._due, self._time_out, loop)
            try:
                if not await waiter:
                    return False
            except asyncio.CancelledError:
                self._cancel_timer()
                raise
            finally:
                self._waiter = None
        self._is_set = False
        return True

    def task(self, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Do ``work`` beside the waiter, which is woken at its end."""
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(lambda _: self.set())
        return task

    def close(self) -> None:
        """Let the timer go: nobody waits any more. Otherwise it stays until it is due, and the flag with it."""
        self._cancel_timer()

    def _time_out(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        if self._waiter is None or self._due == inf:
            return
        if loop.time() < self._due:  # it is the timer of an earlier wait
            self._timer = loop.call_at(self._due, self._time_out, loop)
        else:
            self._wake(False)

    def _wake(self, by_flag: bool) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(by_flag)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
