"""The log on Redis where things go wrong: Redis away, emptied or slow, a worker gone, one that was taken for dead."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest

from devservers.redis import RedisServer, why_not
from streamchat.chat.events import Finished, Interrupted, Notice, ReasoningDelta, TextDelta
from streamchat.chat.messages import Message
from streamchat.errors import NotFound
from streamchat.runs.log import Snapshot
from streamchat.runs.redis import log as redis_log_module
from streamchat.runs.redis import replicas, stream
from streamchat.runs.redis.engine import RedisEngine, redis_engine
from streamchat.runs.redis.publisher import Publisher
from streamchat.runs.redis.run_publisher import Limits
from tests.integration.runs.two_workers import arrived, say, told, two_workers, until, words, write

Pair = tuple[RedisEngine, RedisEngine]
KEY = "streamchat:run:run"
GONE = Interrupted("The server is gone.", "process-gone")


@pytest.fixture
async def pair(redis: RedisServer) -> AsyncIterator[Pair]:
    async with two_workers(redis.url) as engines:
        yield engines


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A server that the test may stop."""
    if reason := why_not():
        pytest.skip(reason)
    server = RedisServer()
    server.start()
    yield server
    server.remove()


def number(reply: bytes) -> int:
    assert reply.startswith(b":"), reply
    return int(reply[1:])


def text(items: list) -> str:
    """What a reader has in the end, of entries and snapshots."""
    said = ""
    for item in items:
        if isinstance(item, Snapshot):
            said = item.message.text
        elif isinstance(item.event, TextDelta):
            said += item.event.text
    return said


async def test_a_restarted_and_empty_redis_gets_the_run_again(own_redis: RedisServer, caplog):
    """The answer goes on while Redis is away; when it is back, the remote reader gets every entry exactly once."""
    async with two_workers(own_redis.url) as (one, two):
        write(one.log, 20)
        await arrived(one.log, two.log)
        near, far = (asyncio.create_task(told(engine.log)) for engine in (one, two))
        own_redis.stop()
        for n in range(20, 60):
            say(one.log, n, n + 1)
            await asyncio.sleep(0.01)
        own_redis.start()
        await one.log.publisher.sent(20)
        say(one.log, 60, 80)
        one.log.append("run", Finished())
        near_items, far_items = await asyncio.wait_for(asyncio.gather(near, far), 20)
    assert text(near_items) == words(80)
    assert far_items == near_items
    # Each of the two workers says once that it is away; none says it each time it tries.
    assert sum("other workers see them when it is back" in record.message for record in caplog.records) == 2


async def test_readers_that_come_after_a_restart_find_a_run_that_says_nothing(own_redis: RedisServer):
    """A run that waits for its provider while Redis loses everything is there again without a new word."""
    async with two_workers(own_redis.url) as (one, two):
        write(one.log, 5)
        await one.log.publisher.sent(20)
        own_redis.stop()
        with pytest.raises(NotFound):
            await two.log.attach("run")
        own_redis.start()
        async with asyncio.timeout(20):
            while True:
                try:
                    await two.log.attach("run")
                    break
                except NotFound:
                    await asyncio.sleep(0.05)
        assert two.log.snapshot("run").message.text == words(5)


async def test_a_flushed_redis_loses_no_reader_a_word(pair: Pair, redis: RedisServer):
    """Everything in Redis is deleted in the middle, without a broken connection: the run is sent again as a whole."""
    one, two = pair
    write(one.log, 20)
    await arrived(one.log, two.log)
    reader = asyncio.create_task(told(two.log))
    redis.ask("FLUSHALL")
    say(one.log, 20, 40)
    await arrived(one.log, two.log)
    redis.ask("FLUSHALL")
    say(one.log, 40, 60)
    one.log.append("run", Finished())
    assert text(await asyncio.wait_for(reader, 20)) == words(60)
    assert number(redis.ask("XLEN", KEY)) == 62


async def test_an_older_copy_in_redis_is_completed(pair: Pair, redis: RedisServer):
    """Redis comes back with less than it had: what is missing is sent, not only what is new."""
    one, two = pair
    write(one.log, 10)
    await one.log.publisher.sent(20)
    redis.ask("XDEL", KEY, *[f"{n}-0" for n in range(5, 11)])
    redis.ask("XSETID", KEY, "4-0")
    redis.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    await until(lambda: number(redis.ask("XLEN", KEY)) == 11)
    assert text(await finished(one, two)) == words(10)


async def finished(one: RedisEngine, two: RedisEngine) -> list:
    one.log.append("run", Finished())
    await one.log.publisher.sent(20)
    return await asyncio.wait_for(told(two.log), 20)


async def test_a_slow_redis_delays_no_append(pair: Pair, redis: RedisServer):
    """Redis stands still for six seconds: the writer and its readers do not, the remote reader catches up."""
    one, two = pair
    write(one.log, 1)
    await arrived(one.log, two.log)
    near, far = (asyncio.create_task(told(engine.log)) for engine in (one, two))
    await asyncio.sleep(0.05)
    redis.ask("CLIENT", "PAUSE", "6000", "ALL")
    loop = asyncio.get_running_loop()
    began = loop.time()
    for n in range(1, 100):
        say(one.log, n, n + 1)
        await asyncio.sleep(0)
    one.log.append("run", Finished())
    assert text(await near) == words(100)
    assert loop.time() - began < 5
    assert not far.done()
    assert text(await asyncio.wait_for(far, 60)) == words(100)


async def test_a_long_run_is_cut_and_stays_whole(redis: RedisServer):
    """Redis keeps the message and the newest entries; who was there misses nothing, who comes late gets a snapshot."""
    async with two_workers(redis.url, Limits(max_entries=50)) as (one, two):
        write(one.log, 1)
        await arrived(one.log, two.log)
        reader = asyncio.create_task(told(two.log))
        for n in range(1, 500):
            say(one.log, n, n + 1)
            if n % 10 == 0:
                await arrived(one.log, two.log)
        assert number(redis.ask("XLEN", KEY)) <= 60
        async with redis_engine(redis.url, worker="three") as three:
            late = asyncio.create_task(told(three.log, after=7))
            await until(lambda: three.log._local.listened("run"))
            one.log.append("run", Finished())
            first, *rest = await asyncio.wait_for(late, 20)
            assert isinstance(first, Snapshot)
            assert text([first, *rest]) == words(500)
        items = await asyncio.wait_for(reader, 20)
        assert [item.seq for item in items] == list(range(1, 502))
        assert text(items) == words(500)


async def test_a_long_run_that_redis_lost_is_sent_as_one_message(redis: RedisServer):
    """Not thousands of old entries: the message as it is, and what comes."""
    async with two_workers(redis.url, Limits(max_entries=50)) as (one, two):
        write(one.log, 30)
        await arrived(one.log, two.log)
        reader = asyncio.create_task(told(two.log))
        say(one.log, 30, 200)
        await one.log.publisher.sent(20)
        redis.ask("FLUSHALL")
        say(one.log, 200, 201)
        await one.log.publisher.sent(20)
        assert number(redis.ask("XLEN", KEY)) == 1
        assert text(await finished(one, two)) == words(201)
        assert text(await asyncio.wait_for(reader, 20)) == words(201)


def row(seq: int = 0) -> Snapshot:
    """An answer as its row has it: less than Redis."""
    return Snapshot(seq, Message("run", "assistant", status="streaming"))


async def test_what_a_worker_left_is_continued_by_another(redis: RedisServer):
    """The new owner has all that Redis has, goes on with the next number, and a reader of a third worker gets every
    entry of both, once."""
    async with redis_engine(redis.url, worker="dead") as dead:
        write(dead.log, 30)
    async with two_workers(redis.url) as (one, two):
        reader = asyncio.create_task(told(two.log))
        await until(lambda: two.log._local.listened("run"))
        start = await one.log.take_over(row(), 1)
        assert start
        assert (start.seq, start.message.text) == (30, words(30))
        one.log.resume(start, 1)
        say(one.log, 30, 35)
        one.log.append("run", GONE)
        items = await asyncio.wait_for(reader, 20)
        assert (text(items), items[-1].event) == (words(35), GONE)
        assert [item.seq for item in items] == list(range(1, 37))
        assert await one.log.take_over(Snapshot(0, replace(row().message, id="never there")), 1) is None


async def test_entries_that_come_before_the_claim_belong_to_the_answer(pair: Pair, monkeypatch):
    """The former owner still writes while another worker takes the run over: the claim is made with all of it."""
    one, two = pair
    write(one.log, 10)
    await one.log.publisher.sent(20)

    async def load_slowly(line, key):
        found = await stream.load(line, key)
        if one.log.snapshot("run").seq < 12:
            say(one.log, one.log.snapshot("run").seq, one.log.snapshot("run").seq + 1)
            await one.log.publisher.sent(20)
        return found

    monkeypatch.setattr(redis_log_module, "load", load_slowly)
    start = await two.log.take_over(row(), 1)
    assert start
    assert (start.seq, start.message.text) == (12, words(12))


async def test_a_fenced_worker_writes_nothing(pair: Pair, redis: RedisServer):
    """A worker that was only slow finds its run taken over: whatever it says, with whatever number, is refused."""
    one, two = pair
    given_up: list[str] = []
    one.log.on_superseded = given_up.append
    write(one.log, 10)
    await arrived(one.log, two.log)
    start = await two.log.take_over(row(), 1)
    assert start
    two.log.resume(start, 1)
    say(one.log, 10, 500)
    await until(lambda: given_up == ["run"])
    one.log.drop("run")
    two.log.append("run", TextDelta("theirs"))
    two.log.append("run", Finished())
    await two.log.publisher.sent(20)
    assert text(await told(one.log)) == words(10) + "theirs"
    assert number(redis.ask("XLEN", KEY)) == 14  # 1 + 10 entries, the message of the new owner, 2 entries


async def test_a_late_reply_to_a_former_owner(pair: Pair, redis: RedisServer):
    """The worker gets the run back while a reply to its former ownership is on its way. Whatever that says, the worker
    stays the owner, and Redis has all of the answer."""
    one, two = pair
    given_up: list[str] = []
    one.log.on_superseded = given_up.append
    write(one.log, 10)
    await arrived(one.log, two.log)
    start = await two.log.take_over(row(), 1)
    assert start
    two.log.resume(start, 1)
    two.log.append("run", TextDelta("theirs "))
    await two.log.publisher.sent(20)
    whole = two.log.snapshot("run")
    two.log.drop("run")
    redis.ask("CLIENT", "PAUSE", "60000", "WRITE")
    say(one.log, 10, 11)
    await asyncio.sleep(0)
    assert isinstance(one.log.publisher, Publisher)
    while one.log.publisher._dirty:  # the command is on its way
        await asyncio.sleep(0.005)
    one.log.resume(whole, 2)
    redis.ask("CLIENT", "UNPAUSE")
    one.log.append("run", TextDelta("ours"))
    one.log.append("run", Finished())
    await one.log.publisher.sent(20)
    assert given_up == []
    assert text(await asyncio.wait_for(told(two.log), 20)) == whole.message.text + "ours"


async def test_a_worker_that_may_have_lost_its_runs_begins_no_stream(pair: Pair, redis: RedisServer):
    """It stood still for so long that its stream expired: another one may own the run, so the stream stays away until
    the database has said whose it is. Then all of it is there again."""
    one, _ = pair
    write(one.log, 3)
    await one.log.publisher.sent(20)
    one.log.publisher.doubtful = lambda: True
    redis.ask("DEL", KEY)
    say(one.log, 3, 5)
    looks: list[str] = []
    one.log.publisher.doubtful = lambda: looks.append("look") or True
    await until(lambda: len(looks) >= 2)
    assert number(redis.ask("EXISTS", KEY)) == 0
    one.log.publisher.doubtful = lambda: False
    await one.log.publisher.sent(20)
    assert number(redis.ask("XLEN", KEY)) == 6


async def test_an_ended_run_expires_and_a_running_one_does_not_soon(redis: RedisServer):
    """Redis forgets an answer some time after its end, and even one whose workers are all gone."""
    async with two_workers(redis.url, Limits(keep_seconds=100)) as (one, _):
        write(one.log, 3)
        await one.log.publisher.sent(20)
        assert 3600 < number(redis.ask("TTL", KEY)) <= 7200
        one.log.append("run", Finished())
        await one.log.publisher.sent(20)
        assert 90 < number(redis.ask("TTL", KEY)) <= 100


async def test_what_the_provider_wants_back_survives(pair: Pair):
    """Signatures, NUL and half a surrogate pair arrive as they were sent."""
    one, two = pair
    write(
        one.log, 0, ReasoningDelta("hm", {"signature": "s=="}), TextDelta("a\x00\ud83d"), Finished("stop", {"id": "r1"})
    )
    await arrived(one.log, two.log)
    assert two.log.snapshot("run") == one.log.snapshot("run")
    assert two.log.entries_after("run", 0) == one.log.entries_after("run", 0)


async def test_an_event_of_a_newer_version_has_its_number(pair: Pair, redis: RedisServer):
    """A worker that is older than the writer says that something is missing, and shows the rest."""
    one, two = pair
    write(one.log, 1)
    await one.log.publisher.sent(20)
    redis.ask("XADD", KEY, "2-0", "e", json.dumps({"type": "hologram"}).replace(" ", "").replace('"', '\\"').join('""'))
    redis.ask("XADD", KEY, "3-0", "e", '"{\\"type\\":\\"finished\\"}"')
    items = await asyncio.wait_for(told(two.log), 20)
    assert isinstance(items[1].event, Notice)
    assert [item.seq for item in items] == [1, 2, 3]


async def test_entries_of_an_older_version_can_be_read(pair: Pair, redis: RedisServer):
    """While workers are updated one by one: entries that do not say when they came have the time at which they are
    read, and those that do say it, the time that they say."""
    one, two = pair
    write(one.log, 1)
    await one.log.publisher.sent(20)
    redis.ask("XADD", KEY, "2-0", "e", '"{\\"type\\":\\"text-delta\\",\\"text\\":\\"old, \\\\\\"at\\\\\\":5}\\"}"')
    redis.ask(
        "XADD",
        KEY,
        "3-0",
        "e",
        '"{\\"type\\":\\"notice\\",\\"kind\\":\\"k\\",\\"text\\":\\"t\\",\\"data\\":{\\"at\\":5}}"',
    )
    redis.ask("XADD", KEY, "4-0", "e", '"{\\"type\\":\\"finished\\"}"')
    items = await asyncio.wait_for(told(two.log), 20)
    assert [item.event for item in items[1:]] == [
        TextDelta('old, "at":5}'),
        Notice("k", "t", {"at": 5}),
        Finished(),
    ]
    (first,) = one.log.entries_after("run", 0)  # pyrefly: ignore[not-iterable]
    assert items[0] == first
    assert first.at < items[1].at <= items[2].at <= items[3].at


async def test_a_copy_that_nobody_reads_is_dropped(pair: Pair, monkeypatch):
    """Memory and questions to Redis do not grow with what was once looked at; the next reader gets all of it."""
    monkeypatch.setattr(replicas, "GRACE_SECONDS", 0.1)
    one, two = pair
    write(one.log, 10)
    await arrived(one.log, two.log)
    await until(lambda: not two.log._local.has("run"))
    assert two.log.replicas.silent(0) == []
    say(one.log, 10, 20)
    await arrived(one.log, two.log)
    assert two.log.snapshot("run").message.text == words(20)


async def test_an_ending_that_only_the_database_has_reaches_readers(redis: RedisServer):
    """Redis lost the run and its worker is gone: a copy hears nothing more, until it is told how the answer ended."""
    async with redis_engine(redis.url, worker="dead") as dead:
        write(dead.log, 30)
    async with redis_engine(redis.url, worker="two") as two:
        reader = asyncio.create_task(told(two.log))
        await until(lambda: two.log._local.listened("run"))
        redis.ask("FLUSHALL")
        await until(lambda: two.log.replicas.silent(0.2) == ["run"])
        whole = two.log.snapshot("run")
        stored = Snapshot(12, type(whole.message)("run", "assistant", whole.message.parts, "interrupted"))
        two.log.replicas.end(stored)
        *_, last = await asyncio.wait_for(reader, 20)
        assert last.message == stored.message
        assert two.log.replicas.silent(0) == []


async def test_many_runs_do_not_mix(pair: Pair):
    """Forty runs at once, each read on the other worker: every reader gets its own, in order."""
    one, two = pair
    names = [f"run{n}" for n in range(40)]
    for name in names:
        write(one.log, run_id=name)
    await one.log.publisher.sent(20)
    readers = [asyncio.create_task(told(two.log, run_id=name)) for name in names]
    for n in range(50):
        for name in names:
            one.log.append(name, TextDelta(f"{name}.{n} "))
        await asyncio.sleep(0.001)
    for name in names:
        one.log.append(name, Finished())
    async with asyncio.timeout(20):
        for name, reader in zip(names, readers, strict=True):
            assert text(await reader) == "".join(f"{name}.{n} " for n in range(50))


async def test_nothing_is_left_over(redis: RedisServer, caplog):
    """A worker that ends leaves no task and no connection, and what was written last is in Redis."""
    before = asyncio.all_tasks()
    with caplog.at_level(logging.WARNING):
        async with two_workers(redis.url) as (one, two):
            write(one.log, 3)
            await arrived(one.log, two.log)
            one.log.append("run", Finished())
    assert asyncio.all_tasks() == before
    assert number(redis.ask("XLEN", KEY)) == 5
    assert caplog.records == []
    await asyncio.sleep(0.05)
    assert redis.ask("CLIENT", "LIST", "TYPE", "normal").count(b"id=") == 1
