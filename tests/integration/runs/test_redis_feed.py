"""What workers tell each other: notes, requests to stop, and whether there is a Redis at all."""

from __future__ import annotations

import asyncio
import socket

import pytest

from devservers.redis import RedisServer, why_not
from streamchat.chat.events import Finished
from streamchat.errors import StreamchatError
from streamchat.runs.notifications import MISSED, Notification, Subscription
from streamchat.runs.redis.engine import check, redis_engine
from streamchat.runs.wakeup import Wakeup
from tests.integration.runs.two_workers import two_workers, until, write


async def heard(subscription: Subscription, count: int) -> list[Notification]:
    notes: list[Notification] = []
    async with asyncio.timeout(20):
        while len(notes) < count:
            notes += subscription.take()
            await asyncio.sleep(0.005)
    return notes


async def listening(redis: RedisServer, workers: int) -> None:
    """Until so many workers hear the others."""
    await until(lambda: redis.ask("PUBSUB", "NUMSUB", "streamchat:feed").endswith(b":%d\r\n" % workers))


async def test_a_note_reaches_every_worker_once(redis: RedisServer):
    """Readers of the owner hear it once on each worker, in order; another owner's readers do not."""
    async with two_workers(redis.url) as (one, two):
        await listening(redis, 2)
        near, far, foreign = (
            feed.subscribe(owner, Wakeup()) for feed, owner in ((one.feed, "ann"), (two.feed, "ann"), (two.feed, "bob"))
        )
        notes = [Notification("started", f"c{n}", f"r{n}") for n in range(20)]
        for note in notes:
            one.feed.publish("ann", note)
        assert near.take() == notes
        assert await heard(far, 20) == notes
        two.feed.publish("bob", Notification("changed", "c"))
        await asyncio.sleep(0.1)
        assert (near.take(), far.take()) == ([], [])
        assert foreign.take() == [Notification("changed", "c")]


async def test_who_hears_of_a_run_can_attach_it(redis: RedisServer):
    """The note comes after what was written before it: a worker that hears of a start or an end finds it in the log."""
    async with two_workers(redis.url) as (one, two):
        await listening(redis, 2)
        far = two.feed.subscribe("ann", Wakeup())
        for n in range(10):
            write(one.log, 300, run_id=f"r{n}")
            one.feed.publish("ann", Notification("started", "c", f"r{n}"))
            one.log.append(f"r{n}", Finished())
            one.feed.publish("ann", Notification("ended", "c", f"r{n}"))
        for note in await heard(far, 20):
            await two.log.attach(note.run_id)
            assert two.log.snapshot(note.run_id).message.ended or note.kind == "started"


async def test_whoever_missed_something_says_so():
    """After an interruption readers are told that anything may have changed; a flood of notes meanwhile is bounded."""
    if reason := why_not():
        pytest.skip(reason)
    server = RedisServer()
    server.start()
    try:
        async with two_workers(server.url) as (one, two):
            await listening(server, 2)
            far = two.feed.subscribe("ann", Wakeup())
            server.stop()
            for n in range(3000):
                one.feed.publish("ann", Notification("changed", f"c{n}"))
            server.start()
            async with asyncio.timeout(20):
                while MISSED not in far.take():
                    await asyncio.sleep(0.01)
            await listening(server, 2)
            await one.log.publisher.sent(20)
            one.feed.publish("ann", Notification("changed", "last"))
            async with asyncio.timeout(20):
                while Notification("changed", "last") not in far.take():
                    await asyncio.sleep(0.01)
    finally:
        server.remove()


async def test_a_request_to_stop_reaches_the_others(redis: RedisServer):
    """Also while garbage arrives on the same channels."""
    async with two_workers(redis.url) as (one, two):
        await listening(redis, 2)
        asked: list[str] = []
        one.feed.on_stop = asked.append
        for garbage in ("x", "[1,2]", "{}", "[[],[],[],[],[]]", "null"):
            redis.ask("PUBLISH", "streamchat:feed", garbage)
        two.feed.ask_stop("run")
        await until(lambda: asked == ["run"])
        far = one.feed.subscribe("ann", Wakeup())
        two.feed.publish("ann", Notification("changed", "c"))
        assert await heard(far, 1) == [Notification("changed", "c")]


async def test_silence_is_no_interruption(redis: RedisServer, monkeypatch, caplog):
    """A connection on which nothing is said for long is asked whether it lives, and stays."""
    monkeypatch.setattr("streamchat.runs.redis.notifications.PING_SECONDS", 0.05)
    async with redis_engine(redis.url, worker="one") as one:
        await listening(redis, 1)
        far = one.feed.subscribe("ann", Wakeup())
        await asyncio.sleep(0.5)
        assert far.take() == []
    assert caplog.records == []


async def test_a_redis_that_is_not_there_is_one_sentence():
    """With its address, and without a password."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(StreamchatError, match=f"127.0.0.1:{port}") as caught:
        await check(f"redis://user:CANARY@127.0.0.1:{port}/0")
    assert "CANARY" not in str(caught.value)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


async def test_a_server_that_is_no_redis_or_refuses_is_one_sentence():
    """A wrong password, and something else that listens there."""
    if reason := why_not():
        pytest.skip(reason)
    server = RedisServer("--requirepass", "right")

    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    other = await asyncio.start_server(shout, "127.0.0.1", 0)
    try:
        server.start(expect=b"-NOAUTH")
        with pytest.raises(StreamchatError, match="assword"):
            await check(server.url.replace("redis://", "redis://:CANARY@"))
        await check(server.url.replace("redis://", "redis://:right@"))
        with pytest.raises(StreamchatError, match="cannot be"):
            await check(f"redis://127.0.0.1:{other.sockets[0].getsockname()[1]}")
    finally:
        other.close()
        server.remove()


@pytest.mark.parametrize(
    "url", ["http://localhost:6379", "redis://localhost/0?db=x", "redis://localhost?nonsense=1", "x"]
)
async def test_an_address_that_cannot_be_one_is_named(url: str):
    """By the name of its setting."""
    with pytest.raises(StreamchatError, match="STREAMCHAT_REDIS_URL"):
        await check(url)
