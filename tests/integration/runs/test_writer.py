"""The writer stores what readers have seen before a run is given up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streamchat.chat.events import TextDelta
from streamchat.chat.messages import TextPart
from streamchat.chat.request import NewRun
from streamchat.errors import StorageError
from streamchat.runs.log import MemoryLog
from streamchat.runs.persistence import Writer
from streamchat.storage import Storage


class FirstText:
    """A store to which something happens with its first transaction with text: ``began`` is set."""

    def __init__(self, store: Storage) -> None:
        self.store = store
        self.began = asyncio.Event()

    def is_first(self, changes: Any) -> bool:
        if not any(change.events for change in changes) or self.began.is_set():
            return False
        self.began.set()
        return True


class Slow(FirstText):
    """It waits until ``free`` is set, as behind another process's lock. Others wait behind it."""

    def __init__(self, store: Storage) -> None:
        super().__init__(store)
        self._turn, self.free = asyncio.Lock(), asyncio.Event()

    async def write(self, changes: Any, *more: Any) -> Any:
        async with self._turn:
            if self.is_first(changes):
                await self.free.wait()
            return await self.store.write(changes, *more)


class Unheard(FirstText):
    """It is committed, and fails: the connection was lost before the answer."""

    async def write(self, changes: Any, *more: Any) -> Any:
        written = await self.store.write(changes, *more)
        if self.is_first(changes):
            raise StorageError("The connection is lost.", transient=True)
        return written


@dataclass
class Written:
    """A run that the writer stores."""

    run_id: str
    log: MemoryLog
    writer: Writer
    store: Any
    lost: list[str]

    def say(self, text: str) -> None:
        self.log.append(self.run_id, TextDelta(text))

    async def row(self) -> tuple[int, str]:
        row = await self.store.store.answer("local", self.run_id)
        return row.seq, row.message.text


@asynccontextmanager
async def written(path: Path, around: Callable[[Storage], Any]) -> AsyncIterator[Written]:
    storage = Storage(f"sqlite:///{path / 'chat.db'}")
    await storage.open()
    new = NewRun(client_message_id="c1", model="fake:one", parts=(TextPart("hi"),))
    begun = await storage.begin("local", new, worker="one", exclusive=True)
    log, store, lost = MemoryLog(), around(storage), []
    log.open(begun.answer)
    writer = Writer(log, store, interval=0.01)
    writer.on_lost = lost.append
    writer.watch(begun.run_id)
    writer.start()
    writer._interval = 60  # the pass that is due by now is the last one that is made by itself
    yield Written(begun.run_id, log, writer, store, lost)
    await writer.close()
    await storage.close()


async def test_a_flush_stores_what_came_while_a_transaction_was_under_way(tmp_path: Path) -> None:
    """Both would begin at the same entry of the row, and the second one's words would be lost without an error."""
    async with written(tmp_path, Slow) as run:
        run.say("one ")
        await run.store.began.wait()
        run.say("two")
        flush = asyncio.create_task(run.writer.flush())
        await asyncio.sleep(0.02)
        run.store.free.set()
        await flush
        assert (await run.row(), run.lost) == ((2, "one two"), [])


async def test_a_flush_stores_what_came_after_a_transaction_whose_success_was_not_reported(tmp_path: Path) -> None:
    """The row is ahead of what the writer knows, and takes nothing that begins before it."""
    async with written(tmp_path, Unheard) as run:
        run.say("one ")
        await run.store.began.wait()
        run.say("two")
        await run.writer.flush()
        assert (await run.row(), run.lost) == ((2, "one two"), [])
