"""What the log of a run costs: an append, many readers, many runs in one process.

No provider over HTTP, no page. Floors: a list that is appended to, an ``asyncio.Queue`` per reader.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from uuid import uuid4

from bench.tables import MISSING, number, show, spread
from devservers import redis as redis_server
from streamchat.chat.events import Finished, TextDelta
from streamchat.chat.messages import Message
from streamchat.errors import NotFound
from streamchat.runs.log import Entry, Log, MemoryLog, Snapshot
from streamchat.runs.notifications import MemoryFeed
from streamchat.runs.reader import RunReader
from streamchat.runs.redis.engine import redis_engine

READERS = (1, 50, 200)
RUNS = (50, 100, 200)
WORD = " word42"
_BATCHES = 5
_KEPT_TOKENS = 2000


async def run(quick: bool) -> None:
    share = 5 if quick else 1
    with redis() as url:
        await _appends(50_000 // share, url)
    await _fan_out(2_000 // share)
    with redis() as url:
        await _crowds(2 if quick else 8, url)


@contextmanager
def redis() -> Iterator[str | None]:
    """The address of a Redis of our own; ``None`` where none is installed."""
    if redis_server.why_not():
        yield None
        return
    server = redis_server.RedisServer()
    server.start()
    try:
        yield server.url
    finally:
        server.remove()


async def _appends(events: int, url: str | None) -> None:
    rows = [
        ["*baseline*: `list.append` of the entry", spread(_batches(_list_append, events)), MISSING],
        ["`MemoryLog.append`", spread(_batches(_log_append, events)), number(_kept_bytes(), 0)],
    ]
    if url:
        costs = [await _redis_append(url, events // 5) for _ in range(_BATCHES)]
        rows.append(["`RedisLog.append`", spread(append for append, _ in costs), MISSING])
        rows.append(["the same, until Redis has it", spread(sent for _, sent in costs), MISSING])
    note = f"Bytes: per token of an answer of {_KEPT_TOKENS:,} tokens that is kept in the log, its text included."
    show(f"An append ({events:,} words, nobody reads)", ["", "µs/event", "bytes/event"], rows, note)


def _batches(work: Callable[[int], None], events: int) -> list[float]:
    costs = []
    gc.freeze()  # what other sections have left in memory is not to be gone through here
    for _ in range(_BATCHES):
        used = time.process_time()
        work(events)
        costs.append((time.process_time() - used) / events * 1e6)
    gc.unfreeze()
    return costs


def _list_append(events: int) -> None:
    kept = []
    for number_ in range(events):
        kept.append(Entry(number_, 0.0, 0, 0, TextDelta(WORD)))


def _log_append(events: int) -> None:
    log = MemoryLog()
    log.open(_answer("m"))
    for _ in range(events):
        log.append("m", TextDelta(WORD))


async def _redis_append(url: str, events: int) -> tuple[float, float]:
    """CPU of this process per event: of the call, and with what goes to Redis behind it."""
    async with redis_engine(url, worker="bench") as engine:
        engine.log.open(_answer(run_id := uuid4().hex))
        await engine.log.publisher.sent(20)
        started = time.process_time()
        for _ in range(events):
            engine.log.append(run_id, TextDelta(WORD))
        appended = time.process_time() - started
        await engine.log.publisher.sent(60)
        return appended / events * 1e6, (time.process_time() - started) / events * 1e6


def _kept_bytes() -> float:
    tracemalloc.start()
    log = MemoryLog()
    log.open(_answer("m"))
    for word in _words(_KEPT_TOKENS):
        log.append("m", TextDelta(word))
    log.snapshot("m")
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return used / _KEPT_TOKENS


async def _fan_out(events: int) -> None:
    rows = []
    for readers in READERS:
        count = max(50, events // max(1, readers // 10))
        floor = [await _queues(readers, count) for _ in range(_BATCHES)]
        ours = [await _followers(readers, count) for _ in range(_BATCHES)]
        rows.append([str(readers), spread(floor), spread(ours)])
    show(
        "One run, many readers: CPU µs per event and reader",
        ["readers", "*baseline*: a queue each", "a `RunReader` each"],
        rows,
        "Each event is read by all before the next one comes: the dearest case, since nothing waits and is joined.",
    )


async def _followers(readers: int, events: int) -> float:
    log = MemoryLog(keep_seconds=0.1)
    log.open(_answer("m"))

    async def read() -> None:
        async for _ in RunReader(_LogAlone(log), "local", "m").batches():
            pass

    return await _told(readers, events, read, lambda word: log.append("m", word))


class _LogAlone:
    """Runs without a store."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.feed = MemoryFeed()

    async def get(self, owner: str, run_id: str) -> tuple[str, Snapshot]:
        raise NotFound("There is no such answer.")


async def _queues(readers: int, events: int) -> float:
    queues: list[asyncio.Queue[Any]] = [asyncio.Queue() for _ in range(readers)]
    left: Iterator[asyncio.Queue[Any]] = iter(queues)

    async def read() -> None:
        queue = next(left)
        while not isinstance(await queue.get(), Finished):
            pass

    def tell(event: Any) -> None:
        for queue in queues:
            queue.put_nowait(event)

    return await _told(readers, events, read, tell)


async def _told(readers: int, events: int, read: Callable[[], Any], tell: Callable[[Any], Any]) -> float:
    async with asyncio.TaskGroup() as group:
        for _ in range(readers):
            group.create_task(read())
        await asyncio.sleep(0.01)
        used = time.process_time()
        for _ in range(events):
            tell(TextDelta(WORD))
            for _ in range(4):  # until every reader has come to its next wait
                await asyncio.sleep(0)
        spent = time.process_time() - used
        tell(Finished("stop"))
    return spent / events / readers * 1e6


async def _crowds(seconds: float, url: str | None) -> None:
    rows = []
    kinds = [("*baseline*: a queue each", "queue", ""), ("runs", "run", "")]
    if url:
        kinds.append(("runs, on Redis", "run", url))
    for runs in RUNS:
        for name, kind, behind in kinds:
            result = await _crowd(kind, runs, seconds, behind)
            memory = number(result["kb"], 0), number(result["kb_again"], 0)
            costs = number(result["cpu"], 3), number(result["busy"], 2), *memory
            rows.append([f"{runs} · {name}", *(number(ms, 2) for ms in result["ms"]), *costs])
    show(
        f"Many runs in one process: 50 tokens/s each for {seconds:g} s, one reader each",
        ["runs", "p50 ms", "p95 ms", "max ms", "CPU ms/token", "cores busy", "KB/run", "again"],
        rows,
        "ms: from the provider's yield until the reader has the text. A run has its intake, log, database writer and "
        "deadlines; its provider is a timer in the same process. KB: growth of resident memory at the end, per run; "
        "again: that of as many runs after them, which find what those left behind.",
    )


async def _crowd(kind: str, runs: int, seconds: float, url: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.concurrency", kind, str(runs), str(seconds), url]
    child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        output, _ = await asyncio.wait_for(child.communicate(), seconds * 10 + 60)
    finally:
        with suppress(ProcessLookupError):
            child.kill()
    return json.loads(output)


def _answer(message_id: str) -> Message:
    return Message(message_id, "assistant", status="streaming")


def _words(count: int) -> Iterator[str]:
    return (f" w{number_:06d}" for number_ in range(count))
