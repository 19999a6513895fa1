"""Replicates the runs of this process to Redis, behind the answers: nothing waits for it.

Its queue is the local log, so nothing is lost however long Redis is away. Rules:

* One connection, in order: the notification that an answer has ended comes after that ending. In a cluster that holds
  for each shard, which has a publisher of its own (``sharding``).
* Redis may lose anything at any time: after every new connection, and after each second of silence, the last entry of
  each run is read.
* A seq that is taken means that another worker took the run over or ended it. Its entries are the valid ones.
* A reply belongs to the owner that sent the command. A run that this worker closed, or took over anew, while it waited
  for the reply is not changed by it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress

from redis.exceptions import ResponseError

from streamchat.runs.log import MemoryLog, Snapshot
from streamchat.runs.redis.connection import Command, Line, Link, Reply
from streamchat.runs.redis.run_publisher import Item, Limits, RunPublisher
from streamchat.runs.redis.stream import Keys, taken

IDLE_SECONDS = 1.0
_NOTES = 1000
_BATCH = 1000
logger = logging.getLogger(__name__)


class Publisher:
    """Sends the entries of the runs that were opened here.

    ``on_superseded`` is called with the id of a run that another worker owns. ``on_parked`` is called with a run that
    waits for an approval, and its epoch: nobody writes it now. While ``doubtful`` returns true, this process may have
    lost its runs, and begins no stream.
    """

    def __init__(self, link: Link, keys: Keys, local: MemoryLog, limits: Limits, shard: int = 0) -> None:
        self._link = link
        self._shard = shard
        self._keys = keys
        self._local = local
        self._limits = limits
        self._runs: dict[str, RunPublisher] = {}
        self._dirty: dict[str, None] = {}
        self._notes: deque[Command] = deque(maxlen=_NOTES)
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self.doubtful: Callable[[], bool] = lambda: False
        self.on_superseded: Callable[[str], None] = lambda run_id: None
        self.on_parked: Callable[[Snapshot, int], None] = lambda whole, epoch: None

    def open(self, start: Snapshot, epoch: int = 0) -> None:
        """Send this run, which the local log has from ``start`` on, from now on."""
        run_id = start.message.id
        self._runs[run_id] = RunPublisher(self._local, start, self._keys.run(run_id), self._limits, epoch)
        self.mark(run_id)

    def close(self, run_id: str) -> None:
        """Send nothing more of this run."""
        self._runs.pop(run_id, None)

    def sends(self, run_id: str) -> bool:
        """Return whether Redis does not have all of this run yet."""
        return run_id in self._runs

    def mark(self, run_id: str) -> None:
        """Send the new entries of this run soon."""
        self._dirty[run_id] = None
        self._wake.set()

    def put(self, about: str, *command: str | bytes | float) -> None:
        """Send this command after all entries so far. The oldest are dropped if Redis is away for long.

        ``about``: the run or conversation that it is about, which decides the shard in a cluster.
        """
        self._notes.append(command)
        self._wake.set()

    async def sent(self, patience: float) -> bool:
        """Wait until Redis has everything. Returns ``False`` after ``patience`` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while self._dirty or self._notes or not self._idle.is_set():
                    self._idle.clear()
                    self._wake.set()
                    await self._idle.wait()
                return True
        return False

    async def work(self) -> None:
        """Send until cancelled."""
        await self._link.keep(f"sending {self._shard}", self._send, self._keys.shard(self._shard))

    async def _send(self, line: Line) -> None:
        await self._ask(line, list(self._runs.values()))
        while True:
            self._wake.clear()
            while batch := self._collect():
                self._idle.clear()
                replies = await line.calls([item.command for item in batch])
                if contested := self._settle(batch, replies):
                    await self._ask(line, contested)
            self._idle.set()
            try:
                async with asyncio.timeout(IDLE_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                await line.call("PING")
                await self._ask(line, list(self._runs.values()))

    def _collect(self) -> list[Item]:
        """Return what is to be sent next; notifications only after all entries before them."""
        batch: list[Item] = []
        dirty, self._dirty = self._dirty, {}
        for run_id in dirty:
            if len(batch) > _BATCH:  # so that replies to read do not keep everybody else waiting
                self._dirty[run_id] = None
                continue
            if (run := self._runs.get(run_id)) is None:
                continue
            if not run.here:  # ended long ago
                del self._runs[run_id]
                continue
            if run.seq < 0 and self.doubtful():
                self._dirty[run_id] = None
                continue
            items, reached = run.next()
            batch += items
            if not reached:
                self._dirty[run_id] = None
        if not self._dirty:
            batch += [Item(command) for command in self._notes]
        return batch

    def _settle(self, batch: Iterable[Item], replies: Iterable[Reply]) -> list[RunPublisher]:
        """Record what Redis has now. Returns the runs of which a seq was taken."""
        contested: dict[str, RunPublisher] = {}
        for (command, run, seq), reply in zip(batch, replies, strict=True):
            if isinstance(reply, ResponseError):
                if run is None or not taken(reply):
                    raise reply
                if self._is_current(run):
                    contested[run.id] = run
            elif run is not None and not self._is_current(run):
                continue
            elif run is None:
                if self._notes and self._notes[0] is command:
                    self._notes.popleft()
            elif reply is None:
                run.lost()
                self._dirty[run.id] = None
            else:
                run.seq = seq
        self._drop_complete()
        return list(contested.values())

    async def _ask(self, line: Line, runs: list[RunPublisher]) -> None:
        """Read the last entry that Redis has of each of these runs; the missing entries are sent next."""
        replies = await line.calls([("XREVRANGE", run.key, "+", "-", "COUNT", 1) for run in runs])
        for run, reply in zip(runs, replies, strict=True):
            if isinstance(reply, ResponseError):
                raise reply
            if not self._is_current(run):
                continue
            if not run.here:
                self._runs.pop(run.id, None)
            elif run.compare(reply):
                self._dirty[run.id] = None
            else:
                logger.warning("run %s belongs to another worker", run.id)
                self._runs.pop(run.id, None)
                self.on_superseded(run.id)
        self._drop_complete()

    def _is_current(self, run: RunPublisher) -> bool:
        return self._runs.get(run.id) is run

    def _drop_complete(self) -> None:
        for run in [run for run in self._runs.values() if run.here and run.complete]:
            del self._runs[run.id]
            if self._local.waits(run.id):
                self.on_parked(self._local.snapshot(run.id), run.epoch)
