"""The log and the notifications that several workers share through one Redis, opened and closed together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from streamchat.runs.redis.cluster import SHARDS, ClusterLink, is_cluster
from streamchat.runs.redis.connection import Link
from streamchat.runs.redis.log import RedisLog
from streamchat.runs.redis.notifications import RedisFeed
from streamchat.runs.redis.run_publisher import Limits
from streamchat.runs.redis.stream import Keys

# Time to send what is queued when a worker ends.
LAST_SECONDS = 2.0
_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class RedisEngine:
    """The log and the feed of one worker."""

    log: RedisLog
    feed: RedisFeed


async def check(url: str) -> None:
    """Check that Redis can be used. Raises ``RedisUnusable``, without a password."""
    await _link(url).check()


def _link(url: str) -> Link:
    return ClusterLink(url) if is_cluster(url) else Link(url)


@asynccontextmanager
async def redis_engine(
    url: str,
    *,
    worker: str,
    limits: Limits = _LIMITS,
) -> AsyncIterator[RedisEngine]:
    """Open the log and the feed of this worker. At the end the queue is sent first, within ``LAST_SECONDS``."""
    link, keys = _link(url), Keys(shards=SHARDS if is_cluster(url) else 1)
    log = RedisLog(link, keys, limits)
    feed = RedisFeed(link, keys, log.publisher, worker)
    tasks = [
        asyncio.create_task(part.work(), name=f"redis {type(part).__name__}")
        for part in (log.publisher, log.replicas, feed)
    ]
    try:
        yield RedisEngine(log, feed)
    finally:
        await log.publisher.sent(LAST_SECONDS)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await log.replicas.close()
