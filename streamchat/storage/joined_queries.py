"""Queries that several callers ask for at the same moment: one is made for all of them.

Knows nothing of SQL. Rules:

* A caller joins a query that has not begun yet, never one that has: what was stored before the call is in its result.
* A caller that is cancelled ends neither the query nor the other callers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class JoinedQueries:
    """``rest``: seconds after a query has begun in which no other one with its key begins, so that more callers join
    the next one. 0: the next turn of the event loop begins it.
    """

    def __init__(self, rest: float = 0) -> None:
        self._rest = rest
        self._waiting: dict[Hashable, asyncio.Task[Any]] = {}
        self._resting: dict[Hashable, float] = {}  # until when, by the loop's clock

    async def ask(self, key: Hashable, query: Callable[[], Awaitable[T]]) -> T:
        """Return what ``query`` returns, or that of another caller with this key, which asks for the same."""
        if (waiting := self._waiting.get(key)) is None:
            waiting = self._waiting[key] = asyncio.create_task(self._make(key, query))
            waiting.add_done_callback(_retrieve)
        return await asyncio.shield(waiting)

    async def _make(self, key: Hashable, query: Callable[[], Awaitable[T]]) -> T:
        loop = asyncio.get_running_loop()
        if (pause := self._resting.get(key, 0.0) - loop.time()) > 0:
            await asyncio.sleep(pause)
        del self._waiting[key]
        if self._rest:
            self._resting[key] = loop.time() + self._rest
            loop.call_later(self._rest, self._forget, key)
        return await query()

    def _forget(self, key: Hashable) -> None:
        """Forget a rest that is over; another query may have begun another one meanwhile."""
        if key in self._resting and self._resting[key] <= asyncio.get_running_loop().time():
            del self._resting[key]


def _retrieve(task: asyncio.Task[Any]) -> None:
    """Take the exception of a query whose callers have all gone, so that asyncio does not log it."""
    if not task.cancelled():
        task.exception()
