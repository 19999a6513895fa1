"""The shards of a cluster as one: a publisher and the copies of each, chosen by the run.

Knows nothing of nodes. Rule: one shard needs nothing of this, and a token's way is then no longer than without it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from streamchat.runs.log import MemoryLog, Snapshot
from streamchat.runs.redis.connection import Link
from streamchat.runs.redis.publisher import Publisher
from streamchat.runs.redis.replicas import Replicas
from streamchat.runs.redis.run_publisher import Limits
from streamchat.runs.redis.stream import Keys


def publisher(link: Link, keys: Keys, local: MemoryLog, limits: Limits) -> Publisher | ShardedPublisher:
    """Return what sends the runs of this process."""
    shards = [Publisher(link, keys, local, limits, shard) for shard in range(keys.shards)]
    return ShardedPublisher(shards, keys) if len(shards) > 1 else shards[0]


def replicas(link: Link, keys: Keys, local: MemoryLog) -> Replicas | ShardedReplicas:
    """Return the copies of this process."""
    shards = [Replicas(link, keys, local, shard) for shard in range(keys.shards)]
    return ShardedReplicas(shards, keys) if len(shards) > 1 else shards[0]


class ShardedPublisher:
    """A ``Publisher`` for each shard; see there."""

    def __init__(self, shards: list[Publisher], keys: Keys) -> None:
        self._shards = shards
        self._keys = keys
        self.doubtful: Callable[[], bool] = lambda: False
        self.on_superseded: Callable[[str], None] = lambda run_id: None
        self.on_parked: Callable[[Snapshot, int], None] = lambda whole, epoch: None
        for shard in shards:
            shard.doubtful = lambda: self.doubtful()
            shard.on_superseded = lambda run_id: self.on_superseded(run_id)
            shard.on_parked = lambda whole, epoch: self.on_parked(whole, epoch)

    def _of(self, run_id: str) -> Publisher:
        return self._shards[self._keys.shard_of(run_id)]

    def open(self, start: Snapshot, epoch: int = 0) -> None:
        """See ``Publisher``."""
        self._of(start.message.id).open(start, epoch)

    def close(self, run_id: str) -> None:
        """See ``Publisher``."""
        self._of(run_id).close(run_id)

    def sends(self, run_id: str) -> bool:
        """See ``Publisher``."""
        return self._of(run_id).sends(run_id)

    def mark(self, run_id: str) -> None:
        """See ``Publisher``."""
        self._of(run_id).mark(run_id)

    def put(self, about: str, *command: str | bytes | float) -> None:
        """See ``Publisher``. It comes after the entries of the same shard."""
        self._of(about).put(about, *command)

    async def sent(self, patience: float) -> bool:
        """See ``Publisher``."""
        return all(await asyncio.gather(*(shard.sent(patience) for shard in self._shards)))

    async def work(self) -> None:
        """See ``Publisher``."""
        await asyncio.gather(*(shard.work() for shard in self._shards))


class ShardedReplicas:
    """``Replicas`` for each shard; see there."""

    def __init__(self, shards: list[Replicas], keys: Keys) -> None:
        self._shards = shards
        self._keys = keys

    def _of(self, run_id: str) -> Replicas:
        return self._shards[self._keys.shard_of(run_id)]

    async def open(self, run_id: str) -> None:
        """See ``Replicas``."""
        await self._of(run_id).open(run_id)

    def adopt(self, whole: Snapshot, epoch: int) -> None:
        """See ``Replicas``."""
        self._of(whole.message.id).adopt(whole, epoch)

    def drop(self, run_id: str) -> None:
        """See ``Replicas``."""
        self._of(run_id).drop(run_id)

    def silent(self, seconds: float) -> list[str]:
        """See ``Replicas``."""
        return [run_id for shard in self._shards for run_id in shard.silent(seconds)]

    def end(self, whole: Snapshot) -> None:
        """See ``Replicas``."""
        self._of(whole.message.id).end(whole)

    async def work(self) -> None:
        """See ``Replicas``."""
        await asyncio.gather(*(shard.work() for shard in self._shards))

    async def close(self) -> None:
        """See ``Replicas``."""
        await asyncio.gather(*(shard.close() for shard in self._shards))
