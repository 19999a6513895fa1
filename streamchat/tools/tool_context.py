"""Context of a tool call: its owner and conversation, and the services of the program that a tool may call.

Knows nothing of runs or storage. Rule: the services belong to the program's event loop, and a tool runs on another
loop, so a tool calls them through ``Context.at_home``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Found(Protocol):
    """A message that matches a search."""

    @property
    def conversation_id(self) -> str:
        """Identifier of its conversation."""
        ...

    @property
    def title(self) -> str:
        """Title of its conversation."""
        ...

    @property
    def role(self) -> str:
        """Role of its author, such as ``user``."""
        ...

    @property
    def snippet(self) -> str:
        """Excerpt of its text around the match."""
        ...

    @property
    def created_at(self) -> datetime:
        """Time of creation, in UTC."""
        ...


class Services(Protocol):
    """Services of the program that tools may call."""

    async def search(self, owner: str, query: str, *, limit: int = 20) -> Sequence[Found]:
        """Return at most ``limit`` messages of the owner that contain the words of the query."""
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """The context of one call. A parameter of this type receives it and is not part of the tool's schema."""

    owner: str
    conversation_id: str
    services: Services | None = None
    home: asyncio.AbstractEventLoop | None = field(default=None, repr=False, compare=False)

    async def at_home(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the program's event loop and return its result to the tool's loop."""
        if self.home is None or self.home is asyncio.get_running_loop():
            return await work
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self.home))
