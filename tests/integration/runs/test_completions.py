"""The record of answers: complete, behind the readers, and never in their way."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from devservers.redis import RedisServer
from streamchat.chat.events import Finished, TextDelta
from streamchat.chat.wire import event_from_wire
from streamchat.runs.completion_log import BackgroundWriter, CompletionLog, FileSink, RedisSink, Sink
from streamchat.runs.log import Entry, Snapshot
from tests.integration.runs.conftest import World
from tests.support.reading import batches


@asynccontextmanager
async def recording(world: World, sink: Sink, max_bytes: int = 1 << 20) -> AsyncIterator[BackgroundWriter]:
    outlet = BackgroundWriter(sink, max_bytes)
    record = CompletionLog(world.runs, outlet)
    record.start()
    await asyncio.sleep(0)
    try:
        yield outlet
    finally:
        await record.close(patience=5)


async def answer(world: World, words: int) -> str:
    """One answer of so many words, each of which is said when the reader has the one before it."""
    begun = await world.start()
    heard: list[Entry] = []

    async def read() -> None:
        async for batch in batches(world.log, begun.run_id):
            assert not isinstance(batch, Snapshot)
            heard.extend(batch)

    reading = asyncio.create_task(read())
    for n in range(words):
        world.provider.say(TextDelta(f"w{n} "))
        while len(heard) <= n:
            await asyncio.sleep(0)
    world.provider.say(Finished())
    await reading
    return begun.run_id


async def test_the_record_has_every_event_of_every_answer(world: World, tmp_path: Path):
    """A line for the start, then each event with its number, to the ending; two answers do not mix up."""
    place = tmp_path / "answers.jsonl"
    async with recording(world, FileSink(place)):
        runs = [await answer(world, 20) for _ in range(2)]
    lines = [json.loads(line) for line in place.read_text().splitlines()]
    assert place.stat().st_mode & 0o077 == 0
    for run_id in runs:
        started, *events = [line for line in lines if line["run_id"] == run_id]
        assert (started["type"], started["model"]) == ("started", "fake:one")
        kept = world.log.entries_after(run_id, 0)
        assert isinstance(kept, list)
        assert [(line["seq"], event_from_wire(line)) for line in events] == [(e.seq, e.event) for e in kept]
        opened_at = world.log.opened_at(run_id)
        assert opened_at is not None
        times = [opened_at, *(e.at for e in kept)]
        assert [line["at"] for line in (started, *events)] == [
            datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds") for at in times
        ]
        assert times == sorted(times)


async def test_nothing_is_recorded_before_it_was_forwarded(world: World, tmp_path: Path):
    """When a reader has a piece, the record does not have it yet."""
    begun_lines: list[int] = []
    place = tmp_path / "answers.jsonl"
    async with recording(world, FileSink(place)):
        begun = await world.start()

        async def read() -> None:
            async for batch in batches(world.log, begun.run_id):
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
    lines = map(json.loads, place.read_text().splitlines())
    assert "".join(line.get("text", "") for line in lines) == "".join(f"w{n} " for n in range(30))


async def test_a_sink_that_blocks_delays_no_piece(world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """A pipe that nobody reads: every piece reaches its reader as soon as without; what is too much is dropped, counted
    and said; the end of the server does not wait for it."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    outlet = BackgroundWriter(FileSink(pipe), max_bytes=10_000)
    record = CompletionLog(world.runs, outlet)
    record.start()
    await asyncio.sleep(0)
    async with asyncio.timeout(60):  # a piece or an end that waits for the pipe waits for ever
        await answer(world, 500)
        await record.close(patience=0.5)
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
        run_id = await answer(world, 5)
    assert place.read_text().count(run_id) >= 1


async def test_the_record_goes_to_a_stream(world: World, redis: RedisServer):
    """In Redis, one entry of the stream per line."""
    async with recording(world, RedisSink(redis.url, "answers")):
        run_id = await answer(world, 20)
    told = str(redis.ask("XRANGE", "answers", "-", "+"))
    assert told.count(run_id) == 22
