"""The record of answers: complete, behind the readers, and never in their way."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from streamchat.chat.events import Finished, TextDelta
from streamchat.chat.wire import event_from_wire
from streamchat.runs.completions import Completions
from streamchat.runs.log import Snapshot, follow
from streamchat.runs.outlet import FileSink, Outlet, RedisSink, Sink
from tests.redis_server import RedisServer
from tests.runs.conftest import World


@asynccontextmanager
async def recording(world: World, sink: Sink, max_bytes: int = 1 << 20) -> AsyncIterator[Outlet]:
    outlet = Outlet(sink, max_bytes)
    record = Completions(world.runs, "local", outlet)
    record.start()
    await asyncio.sleep(0)
    try:
        yield outlet
    finally:
        await record.close(patience=5)


async def answer(world: World, words: int) -> tuple[str, list[float]]:
    """One answer of so many words, and how long each took from its saying to a reader."""
    begun = await world.start()
    said: list[float] = []
    delays: list[float] = []

    async def read() -> None:
        async for batch in follow(world.log, begun.run_id):
            assert not isinstance(batch, Snapshot)
            delays.extend(time.monotonic() - said[entry.seq - 1] for entry in batch if not entry.last)

    reading = asyncio.create_task(read())
    for n in range(words):
        said.append(time.monotonic())
        world.provider.say(TextDelta(f"w{n} "))
        while world.log.snapshot(begun.run_id).seq <= n:
            await asyncio.sleep(0)
    world.provider.say(Finished())
    await reading
    return begun.run_id, delays


async def test_the_record_has_every_event_of_every_answer(world: World, tmp_path: Path):
    """A line for the start, then each event with its number, to the ending; two answers do not mix up."""
    place = tmp_path / "answers.jsonl"
    async with recording(world, FileSink(place)):
        runs = [(await answer(world, 20))[0] for _ in range(2)]
    lines = [json.loads(line) for line in place.read_text().splitlines()]
    assert place.stat().st_mode & 0o077 == 0
    for run_id in runs:
        started, *events = [line for line in lines if line["run_id"] == run_id]
        assert (started["type"], started["model"]) == ("started", "fake:one")
        kept = world.log.take(run_id, 0)
        assert isinstance(kept, list)
        assert [(line["seq"], event_from_wire(line)) for line in events] == [(e.seq, e.event) for e in kept]


async def test_nothing_is_recorded_before_it_was_forwarded(world: World, tmp_path: Path):
    """When a reader has a piece, the record does not have it yet."""
    begun_lines: list[int] = []
    place = tmp_path / "answers.jsonl"
    async with recording(world, FileSink(place)):
        begun = await world.start()

        async def read() -> None:
            async for batch in follow(world.log, begun.run_id):
                text = place.read_text() if place.exists() else ""
                assert not isinstance(batch, Snapshot)
                begun_lines.append(sum(f'"seq":{entry.seq},' in text for entry in batch))

        reading = asyncio.create_task(read())
        for n in range(30):
            world.provider.say(TextDelta(f"w{n} "))
            await asyncio.sleep(0.005)
        world.provider.say(Finished())
        await reading
    assert set(begun_lines) == {0}
    assert place.read_text().count("text-delta") == 30


async def test_a_sink_that_blocks_delays_no_piece(world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """A pipe that nobody reads: every piece reaches its reader as soon as without; what is too much is dropped, counted
    and said; the end of the server does not wait for it."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    outlet = Outlet(FileSink(pipe), max_bytes=10_000)
    record = Completions(world.runs, "local", outlet)
    record.start()
    await asyncio.sleep(0)
    _, delays = await answer(world, 500)
    assert sorted(delays)[len(delays) // 2] < 0.05
    assert max(delays) < 2
    began = time.monotonic()
    await record.close(patience=0.5)
    assert time.monotonic() - began < 5
    assert outlet.dropped > 100
    assert "the completion log has lost" in caplog.text
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)  # lets the thread go
    await asyncio.sleep(0.2)
    os.close(reader)


async def test_a_sink_that_fails_is_tried_again(world: World, tmp_path: Path):
    """What could not be written is counted; once it can be, the record goes on."""
    place = tmp_path / "later" / "answers.jsonl"
    async with recording(world, FileSink(place)) as outlet:
        await answer(world, 5)
        async with asyncio.timeout(10):
            while not outlet.dropped:
                await asyncio.sleep(0.02)
        place.parent.mkdir()
        run_id, _ = await answer(world, 5)
    assert place.read_text().count(run_id) >= 1


async def test_the_record_goes_to_a_stream(world: World, redis: RedisServer):
    """In Redis, one entry of the stream per line."""
    async with recording(world, RedisSink(redis.url, "answers")):
        run_id, _ = await answer(world, 20)
    told = str(redis.ask("XRANGE", "answers", "-", "+"))
    assert told.count(run_id) == 22
