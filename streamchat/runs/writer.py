"""Stores what is being said, behind it: the partial answers in batches, the ending at once.

Knows the log and the store. Rules:

* A run that changed is stored at least once a second (``INTERVAL``), all changed runs in one transaction.
* Nothing waits for it but an ending, and that for ``END_SECONDS`` at most. Where the store fails, the answer goes on,
  and every pass tries again.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import replace

from streamchat.chat.events import Ending, Waiting
from streamchat.chat.fold import fold
from streamchat.chat.messages import Message, NoticePart
from streamchat.errors import NotFound, StorageError
from streamchat.runs.log import Log
from streamchat.runs.ports import Store

INTERVAL = 0.5
END_TRIES = 4
# A reader has the whole text by then: the end must not wait for as long as a database may be locked.
END_SECONDS = 5.0
TOO_LONG = "The database takes too long; another program may have locked it."
NOT_SAVED = "not-saved"
logger = logging.getLogger(__name__)


class Writer:
    def __init__(self, log: Log, store: Store, interval: float = INTERVAL) -> None:
        self._log = log
        self._store = store
        self._interval = interval
        self._stored: dict[str, int] = {}
        self._unsaved: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._loop(), name="writer")

    async def close(self) -> None:
        """Stop; stores what is left once more."""
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        with suppress(StorageError):
            await self.flush()

    def watch(self, run_id: str) -> None:
        """From now on keep this run's partial answer stored."""
        self._stored[run_id] = 0

    def forget(self, run_id: str) -> None:
        """Store nothing more of this run."""
        self._stored.pop(run_id, None)

    async def end(self, run_id: str, ending: Ending | Waiting) -> None:
        """Store the answer with its ending (or that it waits), which is not in the log yet.

        Raises ``StorageError`` after a few tries, or where they take too long; it is tried again later then.
        """
        self._stored.pop(run_id, None)
        snapshot = self._log.snapshot(run_id)
        try:
            async with asyncio.timeout(END_SECONDS):
                await self._end(fold(snapshot.message, ending), snapshot.seq + 1)
        except TimeoutError:
            self._unsaved.add(run_id)
            raise StorageError(TOO_LONG, reason="slow", transient=True) from None
        except StorageError:
            self._unsaved.add(run_id)
            raise

    async def _end(self, message: Message, seq: int) -> None:
        for pause in (*(0.1 * 3**n for n in range(END_TRIES - 1)), None):
            try:
                await self._store.end(message, seq)
                return
            except StorageError as error:
                if pause is None:
                    raise
                logger.warning("run %s: its end is not stored yet: %s", message.id, error)
                await asyncio.sleep(pause)

    async def keep(self, run_id: str) -> None:
        """Store the answer as it is now, before something that must be known of after a crash. Raises ``StorageError``,
        also where it takes too long."""
        snapshot = self._log.snapshot(run_id)
        try:
            async with asyncio.timeout(END_SECONDS):
                await self._store.save([(snapshot.message, snapshot.seq)])
        except TimeoutError:
            raise StorageError(TOO_LONG, reason="slow", transient=True) from None

    async def flush(self) -> None:
        """Store every partial answer that changed, and endings that could not be stored. Raises ``StorageError``."""
        snapshots = []
        for run_id, seq in list(self._stored.items()):
            with suppress(NotFound):
                snapshot = self._log.snapshot(run_id)
                if snapshot.seq > seq:
                    snapshots.append(snapshot)
        if snapshots:
            await self._store.save([(s.message, s.seq) for s in snapshots])
            for snapshot in snapshots:
                if snapshot.message.id in self._stored:
                    self._stored[snapshot.message.id] = snapshot.seq
        if alive := [*self._stored, *self._unsaved]:
            await self._store.beat(alive)
        for run_id in list(self._unsaved):
            with suppress(NotFound):
                snapshot = self._log.snapshot(run_id)
                if snapshot.message.status == "streaming":
                    continue
                await self._store.end(_saved(snapshot.message), snapshot.seq)
            self._unsaved.discard(run_id)

    async def _loop(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            try:
                await self.flush()
            except StorageError as error:
                logger.warning("partial answers are not stored: %s", error)
            except Exception:
                logger.exception("the writer failed and goes on")


def _saved(message: Message) -> Message:
    """The message without the notice that it could not be saved: stored, that is true no more."""
    parts = tuple(part for part in message.parts if not (isinstance(part, NoticePart) and part.kind == NOT_SAVED))
    return replace(message, parts=parts)
