"""The writer stores what readers have seen before a run is given up."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from streamchat.chat.events import TextDelta
from streamchat.chat.messages import TextPart
from streamchat.chat.request import NewRun
from streamchat.errors import StorageError
from streamchat.runs.log import MemoryLog
from streamchat.runs.persistence import Writer
from streamchat.storage import Storage


class Slow:
    """A store whose first transaction with text waits until ``free`` is set, as behind another process's lock. Others
    wait behind it."""

    def __init__(self, store: Storage) -> None:
        self._store = store
        self._turn = asyncio.Lock()
        self.waits, self.free = asyncio.Event(), asyncio.Event()

    async def write(self, changes: Any, *more: Any) -> Any:
        async with self._turn:
            if any(change.events for change in changes) and not self.waits.is_set():
                self.waits.set()
                await self.free.wait()
            return await self._store.write(changes, *more)


async def test_a_flush_stores_what_came_while_a_transaction_was_under_way(tmp_path: Path) -> None:
    """Both would begin at the same entry of the row, and the second one's words would be lost without an error."""
    store = Storage(f"sqlite:///{tmp_path / 'chat.db'}")
    await store.open()
    new = NewRun(client_message_id="c1", model="fake:one", parts=(TextPart("hi"),))
    begun = await store.begin("local", new, worker="one", exclusive=True)
    log, slow, lost = MemoryLog(), Slow(store), []
    log.open(begun.answer)
    writer = Writer(log, slow, interval=0.01)  # pyrefly: ignore[bad-argument-type] all that it calls
    writer.on_lost = lost.append
    writer.watch(begun.run_id)
    writer.start()
    log.append(begun.run_id, TextDelta("one "))
    await slow.waits.wait()
    log.append(begun.run_id, TextDelta("two"))
    flush = asyncio.create_task(writer.flush())
    await asyncio.sleep(0.02)
    slow.free.set()
    await flush
    row = await store.answer("local", begun.run_id)
    assert (row.seq, row.message.text, lost) == (2, "one two", [])
    await writer.close()
    await store.close()


class Unheard:
    """A store whose first transaction with text is committed, and fails: the connection was lost before the answer."""

    def __init__(self, store: Storage) -> None:
        self._store = store
        self.failed = asyncio.Event()

    async def write(self, changes: Any, *more: Any) -> Any:
        written = await self._store.write(changes, *more)
        if any(change.events for change in changes) and not self.failed.is_set():
            self.failed.set()
            raise StorageError("The connection is lost.", transient=True)
        return written


async def test_a_flush_stores_what_came_after_a_transaction_whose_success_was_not_reported(tmp_path: Path) -> None:
    """The row is ahead of what the writer knows, and takes nothing that begins before it."""
    store = Storage(f"sqlite:///{tmp_path / 'chat.db'}")
    await store.open()
    new = NewRun(client_message_id="c1", model="fake:one", parts=(TextPart("hi"),))
    begun = await store.begin("local", new, worker="one", exclusive=True)
    log, unheard, lost = MemoryLog(), Unheard(store), []
    log.open(begun.answer)
    writer = Writer(log, unheard, interval=60)  # pyrefly: ignore[bad-argument-type] all that it calls
    writer.on_lost = lost.append
    writer.watch(begun.run_id)
    writer.start()
    log.append(begun.run_id, TextDelta("one "))
    await unheard.failed.wait()
    log.append(begun.run_id, TextDelta("two"))
    await writer.flush()
    row = await store.answer("local", begun.run_id)
    assert (row.seq, row.message.text, lost) == (2, "one two", [])
    await writer.close()
    await store.close()
