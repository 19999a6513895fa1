"""What a reader of a run keeps, wherever the answer is: in this worker's log, in another's, or only in the store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from streamchat.chat.events import Event, Finished, TextDelta, ToolCallReady, ToolCallStarted, ToolResult
from streamchat.chat.messages import TextPart
from streamchat.chat.request import NewRun
from streamchat.errors import NotFound, StorageError
from streamchat.runs.approvals import Decision
from streamchat.runs.log import AnswerView, Entry, Snapshot
from streamchat.runs.reader import FROM_SNAPSHOT, Batch, Encoder, RunReader, encode
from streamchat.runs.redis.log import RedisLog
from streamchat.runs.service import RunService
from streamchat.runs.wakeup import Wakeup
from streamchat.storage import Storage
from tests.integration.runs.conftest import QueueProvider, make_world
from tests.integration.runs.test_workers import send, worker
from tests.integration.runs.two_workers import until


@dataclass
class Place:
    """Where answers are written (``runs``), by ``provider``, and where they are read (``reading``); there they are also
    decided about, and go on by ``deciding``."""

    runs: RunService
    reading: RunService
    store: Storage
    provider: QueueProvider
    deciding: QueueProvider
    forget: Callable[[str], None]

    async def start(self, *events: Event, client_id: str = "c-1") -> str:
        new = NewRun(client_message_id=client_id, model="fake:one", parts=(TextPart("hi"),))
        begun = await self.runs.start("local", new)
        await self.say(begun.run_id, *events)
        return begun.run_id

    async def say(self, run_id: str, *events: Event) -> None:
        """One entry for each of these, which the reader's worker has too, if it reads the run."""
        for event in events:
            before = self.runs.log.snapshot(run_id).seq
            self.provider.say(event)
            await until(lambda before=before: self.runs.log.snapshot(run_id).seq > before)
        if isinstance(self.runs.log, RedisLog):
            await self.runs.log.publisher.sent(20)

    async def ended(self, run_id: str) -> None:
        async with asyncio.timeout(20):
            while not (await self.store.answer("local", run_id)).message.ended:
                await asyncio.sleep(0.005)
        await until(lambda: not self.runs.active_ids())

    async def waiting(self) -> str:
        """A run that waits for a decision about the call ``c``."""
        run_id = await self.start(TextDelta("May I? "), ToolCallStarted("c", "send"), ToolCallReady("c", {"to": "Ann"}))
        self.provider.say(Finished("tool-calls"))
        async with asyncio.timeout(20):
            while (await self.store.answer("local", run_id)).message.status != "waiting":
                await asyncio.sleep(0.005)
        return run_id

    def reader(self, run_id: str, after: int = 0, **more) -> RunReader:
        return RunReader(self.reading, "local", run_id, after, **more)


@pytest.fixture(params=["memory", "redis", "another worker"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    if request.param == "memory":
        async with make_world(tmp_path, tools=(send,)) as world:
            yield Place(world.runs, world.runs, world.store, world.provider, world.provider, world.log.forget)
        return
    redis, database = request.getfixturevalue("redis"), f"sqlite:///{tmp_path / 'chat.db'}"
    async with AsyncExitStack() as stack:
        one, two = [await stack.enter_async_context(worker(name, redis.url, database)) for name in ("one", "two")]
        await until(lambda: redis.ask("PUBSUB", "NUMSUB", "streamchat:stop").endswith(b":2\r\n"))

        def forget(run_id: str) -> None:
            redis.ask("DEL", f"streamchat:run:{run_id}")
            for engine in (one.engine, two.engine):
                engine.log.replicas.drop(run_id)
                engine.log._local.forget(run_id)

        reader = one if request.param == "redis" else two
        yield Place(one.runs, reader.runs, one.store, one.provider, reader.provider, forget)


async def read(reader: RunReader) -> list[Entry | Snapshot]:
    """Everything to the end, without the heartbeats."""
    items: list[Entry | Snapshot] = []
    async with asyncio.timeout(20), aclosing(reader.batches()) as batches:
        async for batch in batches:
            if batch is not None:
                items += [batch] if isinstance(batch, Snapshot) else batch
    return items


def events(items: list[Entry | Snapshot]) -> list[Event]:
    assert not any(isinstance(item, Snapshot) for item in items)
    return [item.event for item in items if isinstance(item, Entry)]


WORDS = [TextDelta("a "), TextDelta("b "), TextDelta("c ")]


async def test_entries_as_they_come_to_the_ending(place: Place):
    """A reader that is there from the start, and one for each number to begin behind, get what is missing to them."""
    run_id = await place.start()
    readers = [asyncio.create_task(read(place.reader(run_id, after))) for after in range(4)]
    await place.say(run_id, *WORDS, Finished())
    for after, reader in enumerate(readers):
        items = [item for item in await reader if not (after and isinstance(item, Snapshot))]
        assert [item.seq for item in items][-(4 - after) :] == list(range(after + 1, 5))
    whole = await read(place.reader(run_id))
    assert events(whole) == [*WORDS, Finished()]
    for after in range(4):
        assert await read(place.reader(run_id, after)) == whole[after:]
    assert await read(place.reader(run_id, 4)) == []


@pytest.mark.parametrize("after", [FROM_SNAPSHOT, 99])
async def test_a_snapshot_and_then_what_follows(place: Place, after: int):
    """Whoever has nothing, or is beyond the end, gets the answer so far, then entries; the view is as far as they."""
    run_id = await place.start(*WORDS)
    reader = place.reader(run_id, after)
    async with asyncio.timeout(20), aclosing(reader.batches()) as batches:
        first = await anext(batches)
        assert isinstance(first, Snapshot)
        assert (first.seq, first.message.text) == (3, "a b c ")
        assert reader.answer.message == first.message
        await place.say(run_id, TextDelta("d"), Finished())
        rest: list[Entry] = []
        async for batch in batches:
            assert isinstance(batch, list)
            rest += batch
        assert [(entry.seq, entry.event) for entry in rest] == [(4, TextDelta("d")), (5, Finished())]
        assert (reader.answer.message.text, reader.answer.status) == ("a b c d", "finished")


@pytest.mark.parametrize("after", [FROM_SNAPSHOT, 0, 2])
async def test_an_answer_that_is_forgotten_comes_from_the_store(place: Place, after: int):
    """Once no log has it: one snapshot, which has ended; to one who has seen the end, too, since nobody knows that."""
    run_id = await place.start(*WORDS, Finished())
    await place.ended(run_id)
    place.forget(run_id)
    (snapshot,) = await read(place.reader(run_id, after))
    assert isinstance(snapshot, Snapshot)
    assert (snapshot.message.status, snapshot.message.text, snapshot.seq) == ("finished", "a b c ", 4)


async def test_forgotten_while_it_is_read(place: Place):
    """A reader that was behind when the log went gets the rest from the store."""
    run_id = await place.start(*WORDS)
    async with asyncio.timeout(20), aclosing(place.reader(run_id).batches()) as batches:
        assert isinstance(await anext(batches), list)
        await place.say(run_id, TextDelta("d"), Finished())
        await place.ended(run_id)
        place.forget(run_id)
        last = [batch async for batch in batches][-1]
    assert isinstance(last, Snapshot | list)
    assert last.message.text == "a b c d" if isinstance(last, Snapshot) else last[-1].last


async def test_what_nobody_has_is_not_found(place: Place):
    """An unknown run, and another owner's, are not there; neither is one that was deleted."""
    run_id = await place.start(*WORDS, Finished())
    await place.ended(run_id)
    conversation_id, _ = await place.reading.get("local", run_id)
    for owner, unknown in (("local", "nope"), ("somebody else", run_id)):
        with pytest.raises(NotFound):
            await place.reading.get(owner, unknown)
    await place.store.delete("local", conversation_id)
    place.forget(run_id)
    for unknown in ("nope", run_id):
        with pytest.raises(NotFound):
            await read(place.reader(unknown))


@pytest.mark.parametrize("forgotten", [False, True])
async def test_a_run_that_waits_keeps_its_readers(place: Place, forgotten: bool):
    """No log need have it meanwhile: after the decision the next numbers come, to whoever was there."""
    run_id = await place.waiting()
    if forgotten:
        place.forget(run_id)
    # What another worker has said comes a moment later.
    while (now := (await place.reading.get("local", run_id))[1]).message.status != "waiting":
        await asyncio.sleep(0.01)
    reading = asyncio.create_task(read(place.reader(run_id, now.seq)))
    fresh = asyncio.create_task(read(place.reader(run_id, FROM_SNAPSHOT)))
    await asyncio.sleep(0.1)
    assert not reading.done()
    assert not fresh.done()
    await place.reading.decide("local", run_id, "c", Decision(False))
    place.deciding.say(TextDelta("Well."), Finished())
    items = await reading
    assert [item.seq for item in items] == list(range(now.seq + 1, now.seq + 1 + len(items)))
    assert isinstance(events(items)[0], ToolResult)
    assert events(items)[-1] == Finished()
    first, *rest = await fresh
    assert isinstance(first, Snapshot)
    assert first.message.status == "waiting"
    assert rest == items


@pytest.mark.parametrize("where", ["log", "store"])
async def test_silence_is_said(place: Place, where: str):
    """After each while in which nothing came: also of a run that only the store has."""
    run_id = await (place.start(*WORDS) if where == "log" else place.waiting())
    if where == "store":
        place.forget(run_id)
    async with asyncio.timeout(20), aclosing(place.reader(run_id, FROM_SNAPSHOT, heartbeat=0.02).batches()) as batches:
        assert isinstance(await anext(batches), Snapshot)
        assert [await anext(batches) for _ in range(3)] == [None, None, None]


@pytest.mark.parametrize("where", ["log", "store"])
async def test_closed_from_elsewhere(place: Place, where: str):
    """It ends at once, and neither the log nor the notifications know it any more."""
    run_id = await (place.start(*WORDS) if where == "log" else place.waiting())
    if where == "store":
        place.forget(run_id)
    reader = place.reader(run_id, FROM_SNAPSHOT)
    reading = asyncio.create_task(read(reader))
    await until(lambda: reader.seq > 0)
    reader.close()
    assert len(await asyncio.wait_for(reading, 5)) == 1
    log: Any = getattr(place.reading.log, "_local", place.reading.log)
    feed: Any = getattr(place.reading.feed, "_local", place.reading.feed)
    assert not log.listened(run_id)
    assert not feed._subscriptions


async def test_a_database_that_is_away_ends_no_reader(place: Place):
    """A reader that needs the store while it fails waits, and gets the answer when it is back."""
    run_id = await place.start(*WORDS, Finished())
    await place.ended(run_id)
    place.forget(run_id)
    reader = place.reader(run_id, heartbeat=0.02)
    reader._runs = Away(place.reading, times=3)
    async with asyncio.timeout(20), aclosing(reader.batches()) as batches:
        found: list[Batch | None] = [batch async for batch in batches]
    assert found[:3] == [None, None, None]
    assert isinstance(found[-1], Snapshot)


class Away:
    """Runs whose database fails so many times."""

    def __init__(self, runs: RunService, times: int) -> None:
        self._runs = runs
        self._times = times
        self.log, self.feed, self.running = runs.log, runs.feed, runs.running

    async def get(self, owner: str, run_id: str) -> tuple[str, Snapshot]:
        if self._times:
            self._times -= 1
            raise StorageError("It is away.", transient=True)
        return await self._runs.get(owner, run_id)


async def test_one_reader_of_several_runs(place: Place):
    """With a wakeup in common: what is new of each can be taken without waiting, and nothing if nothing is new."""
    wakeup = Wakeup()
    first, second = await place.start(*WORDS), await place.start(client_id="c-2")
    readers = [place.reader(run_id, FROM_SNAPSHOT, wakeup=wakeup) for run_id in (first, second)]
    for reader in readers:
        assert isinstance(await reader.take(), Snapshot)
        assert await reader.take() is None
    for run in place.runs.running("local"):
        place.runs.stop_local(run.run_id)
    async with asyncio.timeout(20):
        while not all(reader.ended for reader in readers):
            await wakeup.wait()
            for reader in readers:
                if (batch := await reader.take()) is not None:
                    assert isinstance(batch, list)
    assert [reader.answer.status for reader in readers] == ["stopped", "stopped"]
    assert [await reader.take() for reader in readers] == [None, None]


class Recorder(Encoder[str]):
    """What it was asked for."""

    def __init__(self, ends_at: int = 99) -> None:
        self._ends_at = ends_at

    def open(self) -> list[str]:
        return ["open"]

    def heartbeat(self) -> list[str]:
        return ["heartbeat"]

    def snapshot(self, snapshot: Snapshot) -> list[str]:
        return [f"snapshot {snapshot.seq}"]

    def entries(self, entries: list[Entry], answer: AnswerView) -> list[str]:  # pyrefly: ignore[bad-override]
        self.done = entries[-1].seq >= self._ends_at
        return [str(entry.seq) for entry in entries]

    def deleted(self, error: NotFound) -> list[str]:
        return ["deleted"]

    def close(self) -> list[str]:
        return ["close"]


async def pieces(reader: RunReader, encoder: Encoder[str]) -> list[str]:
    async with asyncio.timeout(20), aclosing(encode(reader, encoder)) as batches:
        return [piece async for batch in batches for piece in batch]


async def test_an_encoder_is_called_in_order(place: Place):
    """Opened, then the batches, then closed; a protocol that is done ends earlier; a deleted answer is told."""
    run_id = await place.start(*WORDS, Finished())
    assert await pieces(place.reader(run_id), Recorder()) == ["open", "1", "2", "3", "4", "close"]
    assert await pieces(place.reader(run_id, FROM_SNAPSHOT), Recorder()) == ["open", "snapshot 4", "close"]
    assert await pieces(place.reader("nope"), Recorder()) == ["open", "deleted", "close"]
    other = await place.start(*WORDS, client_id="c-2")
    assert await pieces(place.reader(other), Recorder(ends_at=3)) == ["open", "1", "2", "3", "close"]
    reader = place.reader(other, 3, heartbeat=0.02)
    reading = asyncio.create_task(pieces(reader, Recorder()))
    await asyncio.sleep(0.1)
    reader.close()
    opened, *beats = await reading
    assert opened == "open"
    assert set(beats) == {"heartbeat"}, "whoever has gone is told nothing more"
