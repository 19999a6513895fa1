"""A child process of ``bench.log``: many answers at once, in a process that has nothing else to do.

``python -m bench.concurrency queue|run <runs> <seconds> [<redis url>]`` prints one line of JSON.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, TypeAlias
from uuid import uuid4

from bench.measure import resident_bytes
from bench.tables import percentile
from streamchat.chat.events import Event, Finished, TextDelta
from streamchat.chat.messages import TextPart
from streamchat.chat.request import NewRun, Request
from streamchat.identity import LOCAL_OWNER
from streamchat.providers.base import ModelInfo
from streamchat.providers.catalog import Source
from streamchat.runs.reader import RunReader
from streamchat.settings import Settings
from streamchat.wiring import Services, running_services

RATE = 50.0
WIDTH = 16
MODEL = "paced:words"


class Paced:
    """A provider whose tokens carry the time when they were made, at ``RATE``, without drift, from ``go`` on."""

    def __init__(self, tokens: int) -> None:
        self.go = asyncio.Event()
        self._tokens = tokens

    async def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        async for text in self.texts(float(request.messages[-1].text)):
            yield TextDelta(text)
        yield Finished("stop")

    async def texts(self, offset: float) -> AsyncIterator[str]:
        """``offset``: seconds until the first, so that the runs do not all speak at the same moment."""
        await self.go.wait()
        start = time.monotonic() + offset
        for number in range(self._tokens):
            await asyncio.sleep(max(0.0, start + number / RATE - time.monotonic()))
            yield f"{time.monotonic():{WIDTH}.6f}"

    async def close(self) -> None:
        pass


class Delays:
    """The delays of the tokens of some runs, and the ids of these."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.run_ids: list[str] = []

    def read(self, text: str) -> None:
        now = time.monotonic()
        self.seconds += [now - float(text[i : i + WIDTH]) for i in range(0, len(text), WIDTH)]


Begin: TypeAlias = Callable[[Services, Paced, Delays, str], Awaitable[Coroutine[Any, Any, None]]]


async def main(kind: str, runs: int, seconds: float, redis: str = "") -> None:
    paced = Paced(int(seconds * RATE))
    with tempfile.TemporaryDirectory() as data:
        settings = Settings.model_validate({"STREAMCHAT_DATA_DIR": data, "STREAMCHAT_REDIS_URL": redis or None})
        async with running_services(settings) as services:
            model = ModelInfo(MODEL, "words")
            services.models.sources = [*services.models.sources, Source("paced", paced, [model])]
            one = _queue if kind == "queue" else _run
            first = await _crowd(one, services, paced, runs)
            # What is left of the first crowd is what the second one finds: its growth is what runs leave behind.
            again = await _crowd(one, services, paced, runs)
    print(json.dumps({**first, "kb_again": again["kb"]}))


async def _crowd(one: Begin, services: Services, paced: Paced, runs: int) -> dict[str, Any]:
    """Begin so many runs, read them to their ends and have the log forget them. Returns what they cost."""
    delays, offsets = Delays(), [number / runs / RATE for number in range(runs)]
    gc.collect()
    memory = resident_bytes(os.getpid())
    readers = [await one(services, paced, delays, str(offset)) for offset in offsets]
    async with asyncio.TaskGroup() as group:
        for reader in readers:
            group.create_task(reader)
        await asyncio.sleep(0.5)  # beginning them is not what is measured
        used, started = time.process_time(), time.monotonic()
        paced.go.set()
    used, took = time.process_time() - used, time.monotonic() - started
    paced.go.clear()
    gc.collect()
    memory = resident_bytes(os.getpid()) - memory
    await services.runs.log.erase(delays.run_ids)
    return {
        "ms": [percentile(delays.seconds, share) * 1000 for share in (0.5, 0.95, 1)],
        "cpu": used / len(delays.seconds) * 1000,
        "busy": used / took,
        "kb": memory / runs / 1024,
    }


async def _run(services: Services, paced: Paced, delays: Delays, offset: str) -> Coroutine[Any, Any, None]:
    """Begin a run; the coroutine reads it to its end."""
    new = NewRun(client_message_id=uuid4().hex, parts=(TextPart(offset),), model=MODEL)
    begun = await services.runs.start(LOCAL_OWNER, new)
    delays.run_ids.append(begun.run_id)

    async def read() -> None:
        async for batch in RunReader(services.runs, LOCAL_OWNER, begun.run_id).batches():
            if isinstance(batch, list):
                for entry in batch:
                    if isinstance(entry.event, TextDelta):
                        delays.read(entry.event.text)

    return read()


async def _queue(services: Services, paced: Paced, delays: Delays, offset: str) -> Coroutine[Any, Any, None]:
    """The same with nothing but a queue between."""
    queue: asyncio.Queue[str] = asyncio.Queue()

    async def write() -> None:
        async for text in paced.texts(float(offset)):
            queue.put_nowait(text)
        queue.put_nowait("")

    async def read() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(write())
            while text := await queue.get():
                delays.read(text)

    return read()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), *sys.argv[4:]))
