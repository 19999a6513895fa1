"""Read replicas: copies of other workers' runs in the local log, fed from Redis while they have readers.

Knows nothing of the writers. Rules:

* One connection reads for all copies, in a cluster for those of one shard. While Redis is away they keep what they
  have; they continue when it is back.
* A copy without a reader for ``GRACE_SECONDS`` is dropped; the next reader makes a new one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from streamchat.errors import NotFound
from streamchat.runs.log import MemoryLog, Snapshot
from streamchat.runs.redis.connection import REPLY_SECONDS, TROUBLE, Line, Link, Reply
from streamchat.runs.redis.stream import Keys, Stream, decode, entry_id, load, parse_id

GRACE_SECONDS = 30.0
# How long one XREAD blocks: a new copy joins with the next one.
_BLOCK_MS = 50
_AT_ONCE = 500
logger = logging.getLogger(__name__)


class _Replica:
    """One copy. ``cursor``: the id of the last entry that was read.

    ``heard_at``, ``read_at``: the time of the last entry and of the last reader, by the loop's clock.
    """

    def __init__(self, cursor: str, now: float) -> None:
        self.cursor = cursor
        self.heard_at = now
        self.read_at = now


class Replicas:
    """The copies of this process."""

    def __init__(self, link: Link, keys: Keys, local: MemoryLog, shard: int = 0) -> None:
        self._link = link
        self._shard = shard
        self._keys = keys
        self._local = local
        self._replicas: dict[str, _Replica] = {}
        self._opening: dict[str, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()

    async def open(self, run_id: str) -> None:
        """Make a copy. Raises ``NotFound``, also if Redis is away: readers use the stored message meanwhile."""
        if run_id not in self._opening:
            task = self._opening[run_id] = asyncio.create_task(self._open(run_id), name=f"attach {run_id}")
            task.add_done_callback(lambda done: self._opened(run_id, done))
        await asyncio.shield(self._opening[run_id])

    def adopt(self, whole: Snapshot, epoch: int) -> None:
        """Make a copy of a run that the local log has and this process no longer writes."""
        self._local.resume(whole)
        cursor = entry_id(epoch, whole.seq)
        self._replicas[whole.message.id] = _Replica(cursor, asyncio.get_running_loop().time())
        self._changed.set()

    def drop(self, run_id: str) -> None:
        """Drop the copy: this process writes the run from now on."""
        self._replicas.pop(run_id, None)

    def silent(self, seconds: float) -> list[str]:
        """Return the copies without an ending and without an entry for so many seconds."""
        before = asyncio.get_running_loop().time() - seconds
        return [run_id for run_id, replica in self._replicas.items() if replica.heard_at < before]

    def end(self, whole: Snapshot) -> None:
        """End a copy with this state; its readers get it as a snapshot."""
        run_id = whole.message.id
        if self._replicas.pop(run_id, None) is not None and self._local.has(run_id):
            self._local.restore(Snapshot(max(whole.seq, self._local.reached(run_id)[0] + 1), whole.message))

    async def work(self) -> None:
        """Feed the copies until cancelled."""
        await self._link.keep(f"reading {self._shard}", self._read, self._keys.shard(self._shard))

    async def close(self) -> None:
        """Cancel the attempts to open copies."""
        for task in list(self._opening.values()):
            task.cancel()
        await asyncio.gather(*self._opening.values(), return_exceptions=True)

    async def _open(self, run_id: str) -> None:
        try:
            key = self._keys.run(run_id)
            async with self._link.line(key) as line:
                stream = await load(line, key)
        except (*TROUBLE, ValueError) as error:
            logger.info("run %s cannot be attached: %s", run_id, error)
            stream = None
        if stream is None:
            raise NotFound("There is no such answer.")
        if self._local.has(run_id):  # opened here meanwhile
            return
        if not self._bring_up(run_id, stream):
            self._replicas[run_id] = _Replica(stream.last_id, asyncio.get_running_loop().time())
            self._changed.set()

    def _bring_up(self, run_id: str, stream: Stream) -> bool:
        """Add to a copy everything that it lacks of the stream; create it if needed. Returns whether it has ended."""
        start, entries, _ = stream
        if not self._local.has(run_id) or self._local.reached(run_id)[0] < start.seq:
            self._local.restore(start)
        for entry in entries:
            if entry.seq > self._local.reached(run_id)[0]:
                self._local.copy(run_id, entry.event, entry.at)
        return self._local.reached(run_id)[1]

    def _opened(self, run_id: str, done: asyncio.Task[None]) -> None:
        self._opening.pop(run_id, None)
        if not done.cancelled():
            done.exception()  # retrieved, so that asyncio does not log it if the caller was cancelled

    async def _read(self, line: Line) -> None:
        while True:
            if self._replicas:
                runs = {self._keys.run(run_id).encode(): run_id for run_id in self._replicas}
                cursors = [replica.cursor for replica in self._replicas.values()]
                patience = _BLOCK_MS / 1000 + REPLY_SECONDS
                command = ("XREAD", "COUNT", _AT_ONCE, "BLOCK", _BLOCK_MS, "STREAMS", *runs, *cursors)
                for key, entries in await line.call(*command, patience=patience) or ():
                    if not self._take(runs[key], entries) and (stream := await load(line, key.decode())):
                        self._bring_up(runs[key], stream)
                self._drop_unread()
            else:
                self._changed.clear()
                await self._changed.wait()

    def _take(self, run_id: str, entries: Iterable[Reply]) -> bool:
        """Add these to the copy. Returns ``False`` if an earlier entry is missing."""
        replica = self._replicas.get(run_id)
        if replica is None or not self._local.has(run_id):
            self._replicas.pop(run_id, None)
            return True
        replica.heard_at = asyncio.get_running_loop().time()
        for number, fields in entries:
            new_owner = parse_id(number)[0] > parse_id(replica.cursor.encode())[0]
            replica.cursor = number.decode()
            read, (seq, ended) = decode(number, fields), self._local.reached(run_id)
            if new_owner and isinstance(read, Snapshot) and read.seq != seq and not ended:
                self._local.restore(read)  # it did not have all that was copied from the former owner
            elif ended or read.seq <= seq:
                continue
            if isinstance(read, Snapshot):  # the entries before it were trimmed
                self._local.restore(read)
            elif read.seq == seq + 1:
                self._local.copy(run_id, read.event, read.at)
            else:
                return False
        if self._local.reached(run_id)[1]:
            del self._replicas[run_id]
        return True

    def _drop_unread(self) -> None:
        now = asyncio.get_running_loop().time()
        for run_id, replica in list(self._replicas.items()):
            if self._local.listened(run_id):
                replica.read_at = now
            elif now - replica.read_at > GRACE_SECONDS:
                del self._replicas[run_id]
                self._local.forget(run_id)
