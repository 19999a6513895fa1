"""Two workers of one server: each has its own log, feed, writer and sweeper; Redis and the database are shared."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from devservers.redis import RedisServer
from streamchat.chat.events import Finished, TextDelta, ToolCallReady, ToolCallStarted
from streamchat.chat.messages import Message, TextPart
from streamchat.chat.request import NewRun
from streamchat.errors import InvalidInput, NotFound, StreamchatError
from streamchat.providers.base import ModelInfo
from streamchat.providers.catalog import Catalog, Source
from streamchat.runs import service as runs_module
from streamchat.runs.approvals import Decision
from streamchat.runs.log import Snapshot
from streamchat.runs.persistence import Writer
from streamchat.runs.redis.engine import RedisEngine, redis_engine
from streamchat.runs.retries import Policy
from streamchat.runs.service import RunService
from streamchat.runs.takeover import Budget
from streamchat.runs.wakeup import Wakeup
from streamchat.storage import Storage
from streamchat.tools.definition import tool
from streamchat.tools.toolbox import Toolbox
from streamchat.wiring import recovery
from streamchat.wiring.recovery import Recovery
from tests.integration.runs.conftest import QueueProvider
from tests.integration.runs.two_workers import told, until


@tool(approve=True)
async def send(to: str) -> str:
    """Asks before it runs."""
    return f"sent to {to}"


@dataclass
class Worker:
    runs: RunService
    store: Storage
    engine: RedisEngine
    writer: Writer
    recovery: Recovery
    provider: QueueProvider

    async def start(self, client_id: str = "c-1", *, to: str | None = None):
        return await self.runs.start(
            "local", NewRun(conversation_id=to, client_message_id=client_id, parts=(TextPart("hi"),), model="fake:one")
        )

    async def attached(self, run_id: str) -> Message:
        await self.engine.log.attach(run_id)
        return self.engine.log.snapshot(run_id).message


@asynccontextmanager
async def worker(name: str, redis: str, database: str, tries: int = 0) -> AsyncIterator[Worker]:
    store = Storage(database)
    await store.open()
    provider = QueueProvider()
    catalog = Catalog([Source("fake", provider, [ModelInfo("fake:one", "Fake")])])
    async with redis_engine(redis, worker=name) as engine:
        writer = Writer(engine.log, store, interval=0.05)
        runs = RunService(
            log=engine.log,
            feed=engine.feed,
            store=store,
            models=catalog,
            writer=writer,
            policy=Policy(),
            worker=name,
            toolbox=Toolbox([send]),
            ask_stop=engine.feed.ask_stop,
            budget=Budget(tries),
        )
        engine.feed.on_stop = runs.stop_local
        engine.log.on_superseded = runs.abandon
        writer.start()
        try:
            sweep = Recovery(store, runs, engine.feed, engine.log, stale_seconds=-6, observe_seconds=0)
            yield Worker(runs, store, engine, writer, sweep, provider)
        finally:
            await runs.close()
            await writer.close()
            await store.close()


@pytest.fixture
async def two(redis: RedisServer, tmp_path: Path) -> AsyncIterator[tuple[Worker, Worker]]:
    database = f"sqlite:///{tmp_path / 'chat.db'}"
    async with AsyncExitStack() as stack:
        workers = [await stack.enter_async_context(worker(name, redis.url, database)) for name in ("one", "two")]
        await until(lambda: redis.ask("PUBSUB", "NUMSUB", "streamchat:stop").endswith(b":2\r\n"))
        yield workers[0], workers[1]


async def speaking(one: Worker, two: Worker) -> tuple[str, asyncio.Task[list]]:
    """A run on the first worker that has said something, and a reader of it on the second."""
    begun = await one.start()
    one.provider.say(TextDelta("one "), TextDelta("two "))
    await until(lambda: one.engine.log.snapshot(begun.run_id).message.text == "one two ")
    await one.engine.log.publisher.sent(20)
    reader = asyncio.create_task(told(two.engine.log, run_id=begun.run_id))
    await two.engine.log.attach(begun.run_id)
    return begun.run_id, reader


async def die(which: Worker, run_id: str) -> None:
    """What remains of a run after ``kill -9``: no ending, and nothing more is told or stored."""
    which.engine.log.publisher.close(run_id)
    run = which.runs._running[run_id]
    run.superseded = True
    run.cancel()
    assert run.task
    await asyncio.wait([run.task])


def said(items: list) -> str:
    return "".join(item.event.text for item in items if not isinstance(item, Snapshot) and hasattr(item.event, "text"))


async def test_an_answer_is_followed_on_another_worker(two: tuple[Worker, Worker]):
    """The reader gets all of it, and the page of that worker hears that it started and ended."""
    wakeup = Wakeup()
    heard = two[1].engine.feed.subscribe("local", wakeup)
    run_id, reader = await speaking(*two)
    two[0].provider.say(TextDelta("three"), Finished())
    assert said(await asyncio.wait_for(reader, 20)) == "one two three"
    kinds: list[str] = []
    async with asyncio.timeout(20):
        while len(kinds) < 2:
            await wakeup.wait()
            kinds += [note.kind for note in heard.take()]
    assert kinds == ["started", "ended"]
    conversation, snapshot = await two[1].runs.get("local", run_id)
    assert (snapshot.message.text, snapshot.message.status) == ("one two three", "finished")
    assert (await two[1].store.answer("local", run_id)).message == snapshot.message


async def test_stop_from_another_worker(two: tuple[Worker, Worker]):
    """The provider's connection is closed, the ending is stored when stop returns, and nothing comes after it."""
    one, other = two
    run_id, reader = await speaking(one, other)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await other.runs.cancel("local", run_id)
    assert loop.time() - began < 10
    assert one.provider.closed == 1
    stored = (await other.store.answer("local", run_id)).message
    assert (stored.status, stored.text) == ("stopped", "one two ")
    one.provider.say(TextDelta("late"))
    assert (await asyncio.wait_for(reader, 20))[-1].last
    assert await other.attached(run_id) == stored
    await other.runs.cancel("local", run_id)
    with pytest.raises(NotFound):
        await other.runs.cancel("somebody else", run_id)


async def test_stop_what_a_conversation_answers(two: tuple[Worker, Worker]):
    """The Stop of a page does not know on which worker its answer is written."""
    one, other = two
    run_id, reader = await speaking(one, other)
    conversation = (await other.store.answer("local", run_id)).conversation_id
    await other.runs.stop("local", "another conversation")
    assert one.runs.active_ids() == [run_id]
    await other.runs.stop("local", conversation)
    assert (await other.store.answer("local", run_id)).message.status == "stopped"
    await asyncio.wait_for(reader, 20)


async def test_stop_where_nobody_answers_is_an_error(two: tuple[Worker, Worker], monkeypatch):
    """The other worker hangs: stop says so within its time, and not that the answer was stopped."""
    monkeypatch.setattr(runs_module, "STOP_SECONDS", 0.3)
    monkeypatch.setattr(runs_module, "STOP_AGAIN_SECONDS", 0.1)
    one, other = two
    one.engine.feed.on_stop = lambda run_id: None
    run_id, reader = await speaking(one, other)
    with pytest.raises(StreamchatError, match="does not respond"):
        await other.runs.cancel("local", run_id)
    assert one.runs.active_ids() == [run_id]
    reader.cancel()


async def test_one_client_message_is_one_run_on_two_workers(two: tuple[Worker, Worker]):
    """A double click that reaches two workers at once: one run, one call of a provider, both are told its id."""
    begun = await asyncio.gather(*(which.start("same") for which in two * 5))
    assert len({b.run_id for b in begun}) == 1
    assert sum(b.created for b in begun) == 1
    await until(lambda: two[0].provider.requests or two[1].provider.requests)
    await asyncio.sleep(0.05)
    assert len(two[0].provider.requests) + len(two[1].provider.requests) == 1
    again = await two[0].start("same", to=begun[0].conversation_id)
    assert again.run_id == begun[0].run_id


async def test_one_answer_at_a_time_on_two_workers(two: tuple[Worker, Worker]):
    """A second message in a conversation that another worker is answering is refused with a sentence."""
    begun = await two[0].start()
    with pytest.raises(InvalidInput, match="still being written"):
        await two[1].start("c-2", to=begun.conversation_id)
    two[0].provider.say(Finished())
    await until(lambda: not two[0].runs.active_ids())
    assert (await two[1].start("c-2", to=begun.conversation_id)).created


async def test_a_worker_taken_for_dead_gives_up(two: tuple[Worker, Worker]):
    """Its heartbeat stopped though it lives: the run is ended elsewhere, its provider closed, no word written."""
    one, other = two
    run_id, reader = await speaking(one, other)
    await other.recovery.look()
    assert (await asyncio.wait_for(reader, 20))[-1].last
    one.provider.say(TextDelta("three "))
    await until(lambda: not one.runs.active_ids())
    assert one.provider.closed == 1
    stored = (await other.store.answer("local", run_id)).message
    assert (stored.status, stored.text) == ("interrupted", "one two ")
    await other.engine.log.publisher.sent(20)
    for which in two:
        assert await which.attached(run_id) == stored


async def test_a_worker_does_not_sweep_its_own_runs(two: tuple[Worker, Worker]):
    """However late its writer is: it knows its own runs."""
    one, _ = two
    begun = await one.start()
    one.writer.forget(begun.run_id)
    await asyncio.sleep(0.1)
    await one.recovery.look()
    assert (await one.store.answer("local", begun.run_id)).message.status == "streaming"


async def test_the_ending_comes_from_the_log_where_the_database_has_less(redis: RedisServer, tmp_path: Path):
    """A worker died before it stored its last words: they are in Redis, and then in the database."""
    database = f"sqlite:///{tmp_path / 'chat.db'}"
    async with worker("two", redis.url, database) as other:
        async with worker("one", redis.url, database) as one:
            run_id, reader = await speaking(one, other)
            await until(lambda: one.writer._owned[run_id].seq == one.engine.log.snapshot(run_id).seq)
            one.writer.forget(run_id)
            one.provider.say(TextDelta("three "))
            await until(lambda: one.engine.log.snapshot(run_id).message.text.endswith("three "))
            await one.engine.log.publisher.sent(20)
            await die(one, run_id)
            assert (await other.store.answer("local", run_id)).message.text == "one two "
            await other.recovery.look()
            stored = (await other.store.answer("local", run_id)).message
            assert (stored.status, stored.text) == ("interrupted", "one two three ")
            items = await asyncio.wait_for(reader, 20)
            assert (said(items[:-1]), items[-1].last) == ("one two three ", True)
            assert await other.attached(run_id) == stored


async def test_a_lost_log_ends_as_the_database_says(redis: RedisServer, tmp_path: Path, monkeypatch):
    """Redis was emptied and the worker is gone: the reader gets the stored ending and does not hang."""
    monkeypatch.setattr(recovery, "SILENT_SECONDS", 0.05)
    database = f"sqlite:///{tmp_path / 'chat.db'}"
    async with worker("two", redis.url, database) as other:
        async with worker("one", redis.url, database) as one:
            run_id, reader = await speaking(one, other)
            await die(one, run_id)
            redis.ask("FLUSHALL")
            await asyncio.sleep(0.2)
            await other.recovery.look()
            *_, last = await asyncio.wait_for(reader, 20)
            assert last.last
            stored = await other.store.answer("local", run_id)
            assert (stored.message.status, stored.message.text) == ("interrupted", "one two ")
            assert other.engine.log.snapshot(run_id) == Snapshot(stored.seq, stored.message)


async def test_closing_one_worker_tells_the_readers_of_the_other(redis: RedisServer, tmp_path: Path):
    """A clean shutdown ends its runs as *interrupted* everywhere before it is gone."""
    database = f"sqlite:///{tmp_path / 'chat.db'}"
    async with worker("two", redis.url, database) as other:
        async with worker("one", redis.url, database) as one:
            run_id, reader = await speaking(one, other)
        items = await asyncio.wait_for(reader, 20)
        assert items[-1].last
        assert (await other.store.answer("local", run_id)).message.status == "interrupted"
        assert await other.attached(run_id) == (await other.store.answer("local", run_id)).message


@pytest.mark.parametrize("redis_forgot", [False, True])
async def test_a_decision_on_another_worker(two: tuple[Worker, Worker], redis: RedisServer, redis_forgot: bool):
    """A run that waits belongs to nobody: whichever worker hears the decision goes on with it, and the readers of the
    other one see it. Also where Redis has forgotten the run meanwhile."""
    one, other = two
    begun = await one.start()
    one.provider.say(TextDelta("a "), ToolCallStarted("c", "send"), ToolCallReady("c", {"to": "Ada"}))
    one.provider.say(Finished("tool-calls"))
    while (await other.store.answer("local", begun.run_id)).message.status != "waiting":
        await asyncio.sleep(0.01)
    readers = [asyncio.create_task(told(one.engine.log, run_id=begun.run_id))]
    await one.engine.log.publisher.sent(20)
    if redis_forgot:
        redis.ask("DEL", f"streamchat:run:{begun.run_id}")
    else:
        readers.append(asyncio.create_task(told(other.engine.log, run_id=begun.run_id)))
        await until(lambda: other.engine.log._local.listened(begun.run_id))
    await other.runs.decide("local", begun.run_id, "c", Decision(True))
    other.provider.say(TextDelta("done"), Finished())
    for found in await asyncio.wait_for(asyncio.gather(*readers), 30):
        assert [item.seq for item in found] == list(range(1, len(found) + 1))
        assert found[-1].last
    stored = await one.store.answer("local", begun.run_id)
    assert (stored.message.status, stored.message.text) == ("finished", "a done")
    assert one.engine.log.snapshot(begun.run_id).message == stored.message


async def test_stop_on_another_worker_while_it_waits(two: tuple[Worker, Worker]):
    """Stopped from wherever; the readers of both are told."""
    one, other = two
    begun = await one.start()
    one.provider.say(ToolCallStarted("c", "send"), ToolCallReady("c", {"to": "Ada"}), Finished("tool-calls"))
    while (await other.store.answer("local", begun.run_id)).message.status != "waiting":
        await asyncio.sleep(0.01)
    await one.engine.log.publisher.sent(20)
    reader = asyncio.create_task(told(one.engine.log, run_id=begun.run_id))
    await other.runs.stop("local", begun.conversation_id)
    assert (await asyncio.wait_for(reader, 20))[-1].last
    assert (await one.store.answer("local", begun.run_id)).message.status == "stopped"
