"""Per-run critical sections: work that completes even if its caller is cancelled, serialised by run id.

Knows nothing of runs. Storing a run and starting its task must not be separated by a cancelled caller: the row would
have no task, and its readers no ending.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar
from weakref import WeakValueDictionary

T = TypeVar("T")


class RunLocks:
    """The locks and the shielded tasks of one process."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def shielded(self, work: Coroutine[Any, Any, T]) -> T:
        """Return its result. If the caller is cancelled, the work still completes."""
        task = asyncio.create_task(work, name=getattr(work, "__qualname__", None))
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return await asyncio.shield(task)

    def lock(self, run_id: str) -> asyncio.Lock:
        """Return the lock of this run. Hold it while changing an answer that waits."""
        lock = self._locks.get(run_id)
        if lock is None:
            lock = self._locks[run_id] = asyncio.Lock()
        return lock

    async def drain(self, patience: float) -> None:
        """Wait for the running tasks, for at most ``patience`` seconds."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=patience)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # retrieved, so that asyncio does not log it if the caller was cancelled
