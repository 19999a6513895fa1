"""The log of several workers: a local log that is replicated to and from Redis.

Rules:

* Producers and readers use the local log: an answer reaches the readers of its own worker as fast as without Redis,
  also while Redis is away.
* Only ``attach`` and ``take_over`` wait for Redis.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress

from streamchat.chat.events import Event
from streamchat.chat.messages import Message
from streamchat.runs.log import AnswerView, Entry, MemoryLog, Snapshot
from streamchat.runs.redis.connection import TROUBLE, Link
from streamchat.runs.redis.run_publisher import Limits
from streamchat.runs.redis.sharding import publisher, replicas
from streamchat.runs.redis.stream import CLAIM, MESSAGE, Keys, entry_id, load, message_json, newest
from streamchat.runs.wakeup import Wakeup

# Time for what is queued to reach Redis, so that nothing of an erased run comes after.
ERASE_SECONDS = 2.0
_KEYS_AT_ONCE = 500
logger = logging.getLogger(__name__)


class RedisLog:
    """Implements ``Log``. ``on_superseded`` is called with a run of this process that another worker owns."""

    def __init__(self, link: Link, keys: Keys, limits: Limits) -> None:
        self._link = link
        self._keys = keys
        self._limits = limits
        self._local = MemoryLog(limits.keep_seconds, limits.keep_bytes)
        self.publisher = publisher(link, keys, self._local, limits)
        self.publisher.on_superseded = lambda run_id: self.on_superseded(run_id)
        self._local.in_use = self.publisher.sends
        self.replicas = replicas(link, keys, self._local)
        self.publisher.on_parked = self.replicas.adopt
        self.on_superseded: Callable[[str], None] = lambda run_id: None

    def open(self, message: Message, events: Iterable[Event] = ()) -> None:
        """See ``Log``."""
        self._local.open(message, events)
        self.publisher.open(Snapshot(0, message))

    def resume(self, start: Snapshot, epoch: int = 0) -> None:
        """See ``Log``. From now on this process writes it."""
        self.replicas.drop(start.message.id)
        self._local.resume(start)
        self.publisher.open(start, epoch)

    def append(self, run_id: str, event: Event, arrived: float | None = None) -> None:
        """See ``Log``."""
        self._local.append(run_id, event, arrived)
        self.publisher.mark(run_id)

    def drop(self, run_id: str) -> None:
        """See ``Log``."""
        self.publisher.close(run_id)
        self._local.drop(run_id)

    async def erase(self, run_ids: Collection[str]) -> None:
        """See ``Log``. While Redis is away its streams stay until they expire."""
        await self.publisher.sent(ERASE_SECONDS)
        for run_id in run_ids:
            self.replicas.drop(run_id)
            self.drop(run_id)
        shards: defaultdict[int, list[str]] = defaultdict(list)
        for run_id in run_ids:
            shards[self._keys.shard_of(run_id)].append(self._keys.run(run_id))
        try:
            for keys in shards.values():
                async with self._link.line(keys[0]) as line:
                    for start in range(0, len(keys), _KEYS_AT_ONCE):
                        await line.call("UNLINK", *keys[start : start + _KEYS_AT_ONCE])
        except TROUBLE as error:
            logger.warning("streams of deleted answers stay in Redis until they expire: %s", error)

    async def attach(self, run_id: str) -> None:
        """See ``Log``."""
        if not self._local.has(run_id):
            await self.replicas.open(run_id)

    def snapshot(self, run_id: str) -> Snapshot:
        """See ``Log``."""
        return self._local.snapshot(run_id)

    def start(self, run_id: str) -> Snapshot:
        """See ``Log``."""
        return self._local.start(run_id)

    def view(self, run_id: str) -> AnswerView:
        """See ``Log``."""
        return self._local.view(run_id)

    def opened_at(self, run_id: str) -> float | None:
        """See ``Log``."""
        return self._local.opened_at(run_id)

    def entries_after(self, run_id: str, after: int) -> list[Entry] | Snapshot:
        """See ``Log``."""
        return self._local.entries_after(run_id, after)

    @property
    def readers(self) -> int:
        """See ``Log``."""
        return self._local.readers

    def subscribe(self, run_id: str, wakeup: Wakeup) -> None:
        """See ``Log``."""
        self._local.subscribe(run_id, wakeup)

    def unsubscribe(self, run_id: str, wakeup: Wakeup) -> None:
        """See ``Log``."""
        self._local.unsubscribe(run_id, wakeup)

    async def take_over(self, stored: Snapshot, epoch: int) -> Snapshot | None:
        """See ``Log``. Redis accepts nothing from the former owner then, unless it is away."""
        run_id = stored.message.id
        key = self._keys.run(run_id)
        with suppress(*TROUBLE, ValueError):
            async with self._link.line(key) as line:
                while (stream := await load(line, key)) is not None:
                    last = newest(stream)
                    if last.seq < stored.seq:
                        break  # Redis was away, or has lost it
                    whole = (entry_id(epoch, last.seq, whole=True), MESSAGE, message_json(last.message))
                    if await line.call("EVAL", CLAIM, 1, key, stream.last_id, *whole):
                        return last
        here = self._local.snapshot(run_id) if self._local.has(run_id) else None
        return here if here and here.seq > stored.seq and not here.message.ended else None

    async def flush(self, patience: float) -> None:
        """See ``Log``."""
        await self.publisher.sent(patience)
