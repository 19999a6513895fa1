"""Answers whose process is gone: found by their missed heartbeat, ended as *interrupted*, and their readers told.

Rules:

* No row says *streaming* without a live task. A process that lives says so for its own runs before it looks.
* Where there is a log on Redis, it has more of the answer than the database, and it decides who is right where a
  worker was only slow: the first to write the next number.
* After the database was away, everybody gets the time to say that they live.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta

from streamchat.chat.events import Interrupted
from streamchat.errors import StorageError
from streamchat.runs.feed import Feed, Note
from streamchat.runs.log import Snapshot
from streamchat.runs.redis_log import Alive, RedisLog
from streamchat.runs.runs import Runs
from streamchat.storage import Storage

# The writer beats every half second, so six seconds of silence are a dead process, not a busy one.
HEARTBEAT_STALE = timedelta(seconds=6)
SWEEP_SECONDS = 2.0
# A copy of another worker's run that heard nothing for so long may have missed the end.
SILENT_SECONDS = 4.0
CUT_OFF = "The server stopped while it answered. What had arrived is kept."
logger = logging.getLogger(__name__)


class Recovery:
    """``shared``: the log where there are other workers."""

    def __init__(self, owner: str, store: Storage, runs: Runs, feed: Feed, shared: RedisLog | None = None) -> None:
        self._owner = owner
        self._store = store
        self._runs = runs
        self._feed = feed
        self._shared = shared
        self._not_before = datetime.min.replace(tzinfo=UTC)

    async def work(self) -> None:
        """Look now and from time to time, for ever."""
        while True:
            try:
                await self.look()
            except StorageError as error:
                self._not_before = datetime.now(UTC) + HEARTBEAT_STALE
                logger.warning("no sweep: %s", error)
            except Exception:
                logger.exception("the sweep failed and goes on")
            await asyncio.sleep(SWEEP_SECONDS)

    async def look(self) -> None:
        """Once. Raises ``StorageError``."""
        # The time first: what begins while the beat waits for a busy database is not in it, and not late either.
        now = datetime.now(UTC)
        if alive := self._runs.here():
            await self._store.beat(alive)
        if now >= self._not_before:
            if self._shared is not None:
                await self._bury(self._shared, await self._store.stale(now - HEARTBEAT_STALE))
            for run_id, conversation_id in await self._store.sweep(now - HEARTBEAT_STALE, CUT_OFF):
                self._tell(conversation_id, run_id)
        if self._shared is not None and (silent := self._shared.mirrors.silent(SILENT_SECONDS)):
            for stored in await self._store.ended(silent):
                self._shared.mirrors.end(Snapshot(stored.seq, stored.message))

    async def _bury(self, shared: RedisLog, run_ids: list[str]) -> None:
        """End these where the log has them; the sweep does the rest."""
        buried = []
        for run_id in run_ids:
            try:
                whole = await shared.bury(run_id, Interrupted(CUT_OFF, "process-gone"))
            except Alive:
                await self._store.beat([run_id])
                continue
            if whole is not None:
                await self._store.end(whole.message, whole.seq)
                buried.append(run_id)
        if buried:
            for stored in await self._store.ended(buried):
                self._tell(stored.conversation_id, stored.run_id)

    def _tell(self, conversation_id: str, run_id: str) -> None:
        self._feed.publish(self._owner, Note("ended", conversation_id, run_id))
