"""Reading a run to its end."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from streamchat.errors import NotFound
from streamchat.runs.log import Entry, Log, Snapshot
from streamchat.runs.notifications import MemoryFeed
from streamchat.runs.reader import Batch, RunReader


class LogAlone:
    """A log behind which no store has anything."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.feed = MemoryFeed()

    async def get(self, owner: str, run_id: str) -> tuple[str, Snapshot]:
        raise NotFound("There is no such answer.")


async def batches(log: Log, run_id: str, after: int = 0) -> AsyncGenerator[Batch, None]:
    """What came after ``after``, as it comes, in batches of what is there. Raises ``NotFound``."""
    async with aclosing(RunReader(LogAlone(log), "local", run_id, after).batches()) as found:
        async for batch in found:
            if batch is not None:
                yield batch


async def items(log: Log, run_id: str, after: int = 0) -> list[Entry | Snapshot]:
    """The same, entry by entry and snapshot by snapshot. Raises ``NotFound``."""
    return [item async for batch in batches(log, run_id, after) for item in _items(batch)]


async def entries(log: Log, run_id: str, after: int = 0) -> list[Entry]:
    """The same where no snapshot comes."""
    found = await items(log, run_id, after)
    assert not any(isinstance(item, Snapshot) for item in found)
    return found  # pyrefly: ignore[bad-return]


def _items(batch: Batch) -> list[Entry] | list[Snapshot]:
    return [batch] if isinstance(batch, Snapshot) else batch
