"""Two workers on one Redis, in one process: what one writes, the other reads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from streamchat.chat.events import Event, TextDelta
from streamchat.chat.messages import Message
from streamchat.runs.redis.engine import RedisEngine, redis_engine
from streamchat.runs.redis.log import RedisLog
from streamchat.runs.redis.run_publisher import Limits
from tests.support.reading import items


@asynccontextmanager
async def two_workers(url: str, limits: Limits = Limits()) -> AsyncIterator[tuple[RedisEngine, RedisEngine]]:  # noqa: B008
    async with (
        redis_engine(url, worker="one", limits=limits) as one,
        redis_engine(url, worker="two", limits=limits) as two,
    ):
        yield one, two


async def until(true: Callable[[], object], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.005)


async def arrived(writer: RedisLog, reader: RedisLog, run_id: str = "run") -> None:
    """Until the reader's worker has what was written."""
    await writer.publisher.sent(20)
    await reader.attach(run_id)
    await until(lambda: reader.snapshot(run_id).seq == writer.snapshot(run_id).seq)


def write(log: RedisLog, words: int = 0, *events: Event, run_id: str = "run") -> Message:
    """A new run that says ``w0 w1 …``, then these events."""
    message = Message(run_id, "assistant", status="streaming")
    log.open(message)
    say(log, 0, words, run_id)
    for event in events:
        log.append(run_id, event)
    return message


def say(log: RedisLog, start: int, end: int, run_id: str = "run") -> None:
    for n in range(start, end):
        log.append(run_id, TextDelta(f"w{n} "))


def words(end: int) -> str:
    return "".join(f"w{n} " for n in range(end))


async def told(log: RedisLog, after: int = 0, run_id: str = "run") -> list:
    """What a reader gets, entry by entry and snapshot by snapshot, up to the ending."""
    return await items(log, run_id, after)
