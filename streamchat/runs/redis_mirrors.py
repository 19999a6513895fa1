"""Runs that are written elsewhere, as copies in the local log, fed from Redis while somebody reads.

Knows nothing of who writes. Rules:

* One connection waits for news of all copies at once. Where Redis is away they keep what they have, and go on
  from there when it is back.
* A copy that nobody has read for ``GRACE_SECONDS`` is dropped; the next reader makes a new one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from streamchat.errors import NotFound
from streamchat.runs.log import Entry, MemoryLog, Snapshot
from streamchat.runs.redis_link import REPLY_SECONDS, TROUBLE, Line, Link, Reply
from streamchat.runs.redis_stream import Keys, decode, load

GRACE_SECONDS = 30.0
# How long one question waits in Redis: a new copy joins with the next one.
_BLOCK_MS = 50
_AT_ONCE = 500
logger = logging.getLogger(__name__)


class _Mirror:
    """``cursor``: the id of the last entry that was read. ``heard``, ``wanted``: when, by the loop's clock."""

    def __init__(self, cursor: str, now: float) -> None:
        self.cursor = cursor
        self.heard = now
        self.wanted = now


class Mirrors:
    def __init__(self, link: Link, keys: Keys, local: MemoryLog) -> None:
        self._link = link
        self._keys = keys
        self._local = local
        self._mirrors: dict[str, _Mirror] = {}
        self._opening: dict[str, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()

    async def open(self, run_id: str) -> None:
        """Make a copy. Raises ``NotFound``, also where Redis is away: the stored message answers meanwhile."""
        if run_id not in self._opening:
            task = self._opening[run_id] = asyncio.create_task(self._open(run_id), name=f"attach {run_id}")
            task.add_done_callback(lambda done: self._opened(run_id, done))
        await asyncio.shield(self._opening[run_id])

    def adopt(self, whole: Snapshot) -> None:
        """The local log has this run, and it is written elsewhere from now on, if at all."""
        self._local.go_on(whole)
        self._mirrors[whole.message.id] = _Mirror(f"{whole.seq}-0", asyncio.get_running_loop().time())
        self._changed.set()

    def drop(self, run_id: str) -> None:
        """It is written here from now on."""
        self._mirrors.pop(run_id, None)

    def silent(self, seconds: float) -> list[str]:
        """Copies that have no ending, and of which nothing was heard for this long."""
        before = asyncio.get_running_loop().time() - seconds
        return [run_id for run_id, mirror in self._mirrors.items() if mirror.heard < before]

    def end(self, whole: Snapshot) -> None:
        """This is how it ended, whatever the copy has: its readers get it as a snapshot."""
        run_id = whole.message.id
        if self._mirrors.pop(run_id, None) is not None and self._local.has(run_id):
            self._local.restore(Snapshot(max(whole.seq, self._local.reached(run_id)[0] + 1), whole.message))

    async def work(self) -> None:
        """Feed the copies for ever."""
        await self._link.keep("reading", self._read)

    async def close(self) -> None:
        for task in list(self._opening.values()):
            task.cancel()
        await asyncio.gather(*self._opening.values(), return_exceptions=True)

    async def _open(self, run_id: str) -> None:
        try:
            async with self._link.line() as line:
                found = await load(line, self._keys.run(run_id))
        except (*TROUBLE, ValueError) as error:
            logger.info("run %s cannot be attached: %s", run_id, error)
            found = None
        if found is None:
            raise NotFound("There is no such answer.")
        if self._local.has(run_id):  # opened here meanwhile
            return
        seq, ended = self._bring_up(run_id, *found)
        if not ended:
            # Beside an entry there may be the whole message after it: then that is read once more, and ignored.
            self._mirrors[run_id] = _Mirror(f"{seq}-0", asyncio.get_running_loop().time())
            self._changed.set()

    def _bring_up(self, run_id: str, start: Snapshot, entries: Iterable[Entry]) -> tuple[int, bool]:
        """The copy with all that the stream has; a new one, or one that missed something."""
        if not self._local.has(run_id) or self._local.reached(run_id)[0] < start.seq:
            self._local.restore(start)
        for entry in entries:
            if entry.seq > self._local.reached(run_id)[0]:
                self._local.append(run_id, entry.event)
        return self._local.reached(run_id)

    def _opened(self, run_id: str, done: asyncio.Task[None]) -> None:
        self._opening.pop(run_id, None)
        if not done.cancelled():
            done.exception()  # looked at, also where the caller has gone

    async def _read(self, line: Line) -> None:
        while True:
            if self._mirrors:
                runs = {self._keys.run(run_id).encode(): run_id for run_id in self._mirrors}
                cursors = [mirror.cursor for mirror in self._mirrors.values()]
                patience = _BLOCK_MS / 1000 + REPLY_SECONDS
                asked = ("XREAD", "COUNT", _AT_ONCE, "BLOCK", _BLOCK_MS, "STREAMS", *runs, *cursors)
                for key, entries in await line.call(*asked, patience=patience) or ():
                    if not self._take(runs[key], entries) and (found := await load(line, key.decode())):
                        self._bring_up(runs[key], *found)
                self._drop_unread()
            else:
                self._changed.clear()
                await self._changed.wait()

    def _take(self, run_id: str, entries: Iterable[Reply]) -> bool:
        """Add these to the copy; false where something before them is missing."""
        mirror = self._mirrors.get(run_id)
        if mirror is None or not self._local.has(run_id):
            self._mirrors.pop(run_id, None)
            return True
        mirror.heard = asyncio.get_running_loop().time()
        for entry_id, fields in entries:
            mirror.cursor = entry_id.decode()
            read, (seq, ended) = decode(entry_id, fields), self._local.reached(run_id)
            if ended or read.seq <= seq:
                continue
            if isinstance(read, Snapshot):  # entries were cut before they came here
                self._local.restore(read)
            elif read.seq == seq + 1:
                self._local.append(run_id, read.event)
            else:
                return False
        if self._local.reached(run_id)[1]:
            del self._mirrors[run_id]
        return True

    def _drop_unread(self) -> None:
        now = asyncio.get_running_loop().time()
        for run_id, mirror in list(self._mirrors.items()):
            if self._local.listened(run_id):
                mirror.wanted = now
            elif now - mirror.wanted > GRACE_SECONDS:
                del self._mirrors[run_id]
                self._local.forget(run_id)
