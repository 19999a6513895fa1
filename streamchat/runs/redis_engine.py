"""Everything that several workers share through one Redis, opened and closed together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from streamchat.runs.redis_feed import RedisFeed
from streamchat.runs.redis_link import Link
from streamchat.runs.redis_log import RedisLog
from streamchat.runs.redis_sending import Limits
from streamchat.runs.redis_stream import Keys

# What is still to be sent when a worker ends has this long.
LAST_SECONDS = 2.0
_LIMITS, _KEYS = Limits(), Keys()


@dataclass(frozen=True, slots=True)
class RedisEngine:
    log: RedisLog
    feed: RedisFeed


async def check(url: str) -> None:
    """Whether there is a Redis that can be used. Raises ``RedisUnusable``: one sentence without a password."""
    await Link(url).check()


@asynccontextmanager
async def redis_engine(
    url: str,
    *,
    worker: str,
    limits: Limits = _LIMITS,
    keys: Keys = _KEYS,
) -> AsyncIterator[RedisEngine]:
    """Log and feed of this worker. At the end, what was written is sent first, within ``LAST_SECONDS``."""
    link = Link(url)
    log = RedisLog(link, keys, limits)
    feed = RedisFeed(link, keys, log.outbox, worker)
    tasks = [
        asyncio.create_task(part.work(), name=f"redis {type(part).__name__}")
        for part in (log.outbox, log.mirrors, feed)
    ]
    try:
        yield RedisEngine(log, feed)
    finally:
        await log.outbox.sent(LAST_SECONDS)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await log.mirrors.close()
