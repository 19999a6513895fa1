"""Recovery of answers whose process is gone: they are taken over, and continued or ended.

Rules:

* No row is *streaming* without a live task: an answer without a heartbeat gets a new owner (``RunService.take_over``).
* Silence is measured by the database's clock. If there are other workers, a heartbeat that was seen to change is alive
  whatever the clocks say: SQLite has the clock of each process.
* An answer that its owner released is taken over at once.
* After an outage of the database every process gets time for a heartbeat.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime
from time import monotonic
from typing import TYPE_CHECKING

from streamchat.errors import StorageError
from streamchat.liveness import FUTURE_SECONDS, HEARTBEAT_SECONDS, STALE_SECONDS
from streamchat.runs.log import Snapshot
from streamchat.runs.notifications import Feed, Subscription
from streamchat.runs.service import RunService
from streamchat.runs.wakeup import Wakeup
from streamchat.storage import Storage
from streamchat.storage.records import StaleRun

if TYPE_CHECKING:
    from streamchat.runs.redis.log import RedisLog

SWEEP_SECONDS = 1.0
# Silent answers are watched from the first missed heartbeat on. One that does not change for so long is no heartbeat;
# with two looks before and after it is as long as ``STALE_SECONDS``.
WATCHED_SECONDS = 2 * HEARTBEAT_SECONDS
OBSERVE_SECONDS = STALE_SECONDS - 2 * SWEEP_SECONDS
# A copy of another worker's run without an entry for so long may have missed the ending.
SILENT_SECONDS = 4.0
logger = logging.getLogger(__name__)


class Recovery:
    """The sweep. ``shared``: the log, if there are other workers.

    ``stale_seconds``: of silence, after which a process is gone. ``observe_seconds``: for which its heartbeat must have
    been seen not to change, if there are other workers.
    """

    def __init__(
        self,
        store: Storage,
        runs: RunService,
        feed: Feed,
        shared: RedisLog | None = None,
        *,
        stale_seconds: float = STALE_SECONDS,
        observe_seconds: float = OBSERVE_SECONDS,
    ) -> None:
        self._stale_seconds = stale_seconds
        self._observe_seconds = observe_seconds if shared is not None else 0.0
        self._store = store
        self._runs = runs
        self._feed = feed
        self._shared = shared
        self._not_before = float("-inf")
        self._observed: dict[str, tuple[datetime | None, float]] = {}
        """The heartbeat of each silent run, and when it was first seen (``time.monotonic()``)."""

    async def work(self) -> None:
        """Look every ``SWEEP_SECONDS``, and when a run is released, until cancelled."""
        wakeup = Wakeup()
        subscription = self._feed.subscribe(None, wakeup)
        try:
            while True:
                await self._look_safely()
                await self._rest(wakeup, subscription)
        finally:
            self._feed.unsubscribe(None, subscription)

    async def _rest(self, wakeup: Wakeup, subscription: Subscription) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + SWEEP_SECONDS
        while (left := until - loop.time()) > 0 and await wakeup.wait(left):
            if any(note.kind == "released" for note in subscription.take()):
                return

    async def look(self) -> None:
        """Look once. Raises ``StorageError``."""
        if monotonic() >= self._not_before:
            for run in self._lost(await self._store.stale(min(self._stale_seconds, WATCHED_SECONDS))):
                await self._runs.take_over(
                    run.run_id,
                    run.epoch,
                    silence=run.silence,
                    silent_for=self._stale_seconds,
                    released=run.released,
                )
        if self._shared is not None and (silent := self._shared.replicas.silent(SILENT_SECONDS)):
            for stored in await self._store.ended(silent):
                self._shared.replicas.end(Snapshot(stored.seq, stored.message))

    async def _look_safely(self) -> None:
        try:
            await self.look()
        except StorageError as error:
            self._not_before = monotonic() + STALE_SECONDS
            logger.warning("no sweep: %s", error)
        except Exception:
            logger.exception("the sweep failed and continues")

    def _lost(self, silent: list[StaleRun]) -> list[StaleRun]:
        """Return those of these runs that have lost their process, the longest silence first."""
        mine, now, before = set(self._runs.active_ids()), monotonic(), self._observed
        self._observed = {}
        lost = []
        for run in sorted(silent, key=lambda run: -run.silence):
            heartbeat, since = before.get(run.run_id, (None, now))
            since = since if heartbeat == run.heartbeat_at else now
            self._observed[run.run_id] = run.heartbeat_at, since
            late = not -FUTURE_SECONDS <= run.silence <= self._stale_seconds and now - since >= self._observe_seconds
            if (late or run.released) and run.run_id not in mine:
                lost.append(run)
        return lost
