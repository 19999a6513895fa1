"""What was written here goes to Redis, behind the answer: nobody waits for it.

Its queue is the local log itself, so nothing is lost however long Redis is away. Rules:

* One connection, in order: a note that an answer has ended comes after that ending.
* Redis may lose anything at any time: after every new connection, and once a second where nothing is said, it is
  asked how far it has each run.
* A number that is taken means that somebody else ended the run (they took this process for dead). Theirs holds.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress

from redis.exceptions import ResponseError

from streamchat.runs.log import MemoryLog, Snapshot
from streamchat.runs.redis_link import Command, Line, Link, Reply
from streamchat.runs.redis_sending import Item, Limits, Sending
from streamchat.runs.redis_stream import Keys, load, newest, taken

IDLE_SECONDS = 1.0
_NOTES = 1000
_BATCH = 1000
logger = logging.getLogger(__name__)


class Outbox:
    """``on_superseded`` is called with the answer as somebody else ended it; ``on_parked`` with a run that is not
    written here any more, but goes on: it waits for an approval, or somebody else went on with it after that."""

    def __init__(self, link: Link, keys: Keys, local: MemoryLog, limits: Limits) -> None:
        self._link = link
        self._keys = keys
        self._local = local
        self._limits = limits
        self._runs: dict[str, Sending] = {}
        self._dirty: dict[str, None] = {}
        self._notes: deque[Command] = deque(maxlen=_NOTES)
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self.on_superseded: Callable[[Snapshot], None] = lambda whole: None
        self.on_parked: Callable[[Snapshot], None] = lambda whole: None

    def open(self, start: Snapshot) -> None:
        """From now on this run, which the local log has from ``start`` on at least, is sent."""
        run_id = start.message.id
        self._runs[run_id] = Sending(self._local, start, self._keys.run(run_id), self._limits)
        self.mark(run_id)

    def mark(self, run_id: str) -> None:
        """There is more of this run."""
        self._dirty[run_id] = None
        self._wake.set()

    def put(self, *command: str | bytes | float) -> None:
        """Send this after what has been written up to now. The oldest are lost where Redis is away for long."""
        self._notes.append(command)
        self._wake.set()

    async def sent(self, patience: float) -> bool:
        """Wait until Redis has everything; whether it does within ``patience`` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while self._dirty or self._notes or not self._idle.is_set():
                    self._idle.clear()
                    self._wake.set()
                    await self._idle.wait()
                return True
        return False

    async def work(self) -> None:
        """Send for ever."""
        await self._link.keep("sending", self._send)

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
        """What is to be sent next; notes only where nothing is left that was written before them."""
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
            items, reached = run.next()
            batch += items
            if not reached:
                self._dirty[run_id] = None
        if not self._dirty:
            batch += [Item(command) for command in self._notes]
        return batch

    def _settle(self, batch: Iterable[Item], replies: Iterable[Reply]) -> list[Sending]:
        """Take note of what is done; the runs of which a number was taken."""
        contested: dict[str, Sending] = {}
        for (command, run, seq), reply in zip(batch, replies, strict=True):
            if isinstance(reply, ResponseError):
                if run is None or not taken(reply):
                    raise reply
                contested[run.id] = run
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

    async def _ask(self, line: Line, runs: list[Sending]) -> None:
        """How far Redis has these runs; what it does not have is sent next."""
        replies = await line.calls([("XREVRANGE", run.key, "+", "-", "COUNT", 1) for run in runs])
        for run, reply in zip(runs, replies, strict=True):
            if isinstance(reply, ResponseError):
                raise reply
            if not run.here:
                self._runs.pop(run.id, None)
            elif run.compare(reply):
                self._dirty[run.id] = None
            else:
                await self._give_up(line, run)
        self._drop_complete()

    async def _give_up(self, line: Line, run: Sending) -> None:
        self._runs.pop(run.id, None)
        found = await load(line, run.key)
        if found is None:
            return
        whole = newest(*found)
        if whole.message.ended:
            logger.warning("run %s was ended by another worker", run.id)
            self.on_superseded(whole)
        else:
            self.on_parked(whole)

    def _drop_complete(self) -> None:
        for run in [run for run in self._runs.values() if run.here and run.complete]:
            del self._runs[run.id]
            if self._local.waits(run.id):
                self.on_parked(self._local.snapshot(run.id))
