"""What a tool is given beside its arguments: for whom it works, and what of the program it may call.

Knows nothing of runs or storage. Rule: the services live on the program's own loop, and a tool runs on another one,
so that it reaches them through ``Context.at_home``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Found(Protocol):
    """A message that a search found."""

    @property
    def conversation_id(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def role(self) -> str: ...
    @property
    def snippet(self) -> str: ...
    @property
    def created_at(self) -> datetime: ...


class Services(Protocol):
    """What tools may ask of the program."""

    async def search(self, owner: str, query: str, *, limit: int = 20) -> Sequence[Found]:
        """The person's own messages that have these words."""
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """A parameter with this type is filled in and is not part of the tool's schema."""

    owner: str
    conversation_id: str
    services: Services | None = None
    home: asyncio.AbstractEventLoop | None = field(default=None, repr=False, compare=False)

    async def at_home(self, work: Coroutine[Any, Any, T]) -> T:
        """Do this on the program's own loop, and wait for it on this one."""
        if self.home is None or self.home is asyncio.get_running_loop():
            return await work
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self.home))
