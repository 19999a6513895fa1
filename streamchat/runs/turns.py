"""What is done about a run in one piece: to its end, whoever asked for it, and one after the other.

Knows nothing of runs. A change that is stored and whose task is not begun yet must not be cut off between the two: its
row would have no task, and its readers no ending.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar
from weakref import WeakValueDictionary

T = TypeVar("T")


class Turns:
    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def whole(self, work: Coroutine[Any, Any, T]) -> T:
        """Do this. Where the caller is cancelled, it still comes to its end."""
        task = asyncio.create_task(work, name=work.__qualname__)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return await asyncio.shield(task)

    def of(self, run_id: str) -> asyncio.Lock:
        """Held by whoever changes an answer that waits."""
        lock = self._locks.get(run_id)
        if lock is None:
            lock = self._locks[run_id] = asyncio.Lock()
        return lock

    async def settle(self, patience: float) -> None:
        """Wait for what is under way."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=patience)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # looked at, also where the caller has gone
