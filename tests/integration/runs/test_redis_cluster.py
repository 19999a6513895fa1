"""Several workers on a Redis Cluster: the runs are spread over its nodes, and nothing is different for readers.

What a log keeps is in ``test_log_contract.py``, also over a cluster.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from redis.crc import key_slot

from devservers.redis import RedisCluster, RedisServer, why_not
from streamchat.chat.events import Finished, TextDelta
from streamchat.chat.messages import Message
from streamchat.errors import NotFound, StreamchatError
from streamchat.runs.completion_log import RedisSink
from streamchat.runs.log import Snapshot
from streamchat.runs.notifications import Notification, Subscription
from streamchat.runs.redis.cluster import SHARDS, read_address
from streamchat.runs.redis.engine import check
from streamchat.runs.redis.stream import Keys
from streamchat.runs.wakeup import Wakeup
from tests.integration.runs.test_workers import Worker, die, said, speaking, worker
from tests.integration.runs.two_workers import arrived, say, told, two_workers, until, words, write

SECONDS = 90
KEYS = Keys(shards=SHARDS)


def run_in(shard: int) -> str:
    """The id of a run that is in this shard."""
    return next(run_id for n in range(10_000) if KEYS.shard_of(run_id := f"run{n}") == shard)


def listeners(cluster: RedisCluster, channel: str) -> int:
    return sum(int(node.ask("PUBSUB", "NUMSUB", channel).split(b":")[-1]) for node in cluster.nodes)


async def listening(cluster: RedisCluster, workers: int) -> None:
    """Until so many workers hear the others."""
    await until(lambda: listeners(cluster, "streamchat:stop") == workers, SECONDS)


@pytest.fixture
async def two(redis_cluster: RedisCluster, tmp_path: Path) -> AsyncIterator[tuple[Worker, Worker]]:
    database = f"sqlite:///{tmp_path / 'chat.db'}"
    async with AsyncExitStack() as stack:
        workers = [await stack.enter_async_context(worker(n, redis_cluster.url, database, 1)) for n in ("one", "two")]
        await listening(redis_cluster, 2)
        yield workers[0], workers[1]


def test_the_keys_of_a_shard_are_together_and_the_shards_are_spread():
    """One command may name all keys of a shard; each third of the slots, as three nodes have them, has its third."""
    thirds = [0, 0, 0]
    for shard in range(SHARDS):
        assert key_slot(KEYS.run(run_in(shard)).encode()) == key_slot(KEYS.shard(shard).encode())
        thirds[key_slot(KEYS.shard(shard).encode()) * 3 // 16384] += 1
    assert min(thirds) >= SHARDS // 3
    assert {KEYS.shard_of(f"run{n}") for n in range(1000)} == set(range(SHARDS))
    assert Keys().run("r") == "streamchat:run:r"


async def test_many_runs_are_spread_and_do_not_mix(redis_cluster: RedisCluster):
    """Runs of every shard at once, each read on the other worker: every reader gets its own, in order."""
    names = [run_in(shard) for shard in range(SHARDS)]
    async with two_workers(redis_cluster.url) as (one, two):
        for name in names:
            write(one.log, run_id=name)
        assert await one.log.publisher.sent(SECONDS)
        assert all(int(node.ask("DBSIZE")[1:]) > SHARDS // 4 for node in redis_cluster.nodes)
        readers = [asyncio.create_task(told(two.log, run_id=name)) for name in names]
        for n in range(50):
            for name in names:
                one.log.append(name, TextDelta(f"{name}.{n} "))
            await asyncio.sleep(0.001)
        for name in names:
            one.log.append(name, Finished())
        async with asyncio.timeout(SECONDS):
            for name, reader in zip(names, readers, strict=True):
                assert said(await reader) == "".join(f"{name}.{n} " for n in range(50))


async def test_no_worker_reads_what_commands_there_are(redis_cluster: RedisCluster):
    """It needs the places of the shards alone; the rest is large, and would be read anew after each lost connection."""
    for node in redis_cluster.nodes:
        node.ask("CONFIG", "RESETSTAT")
    async with two_workers(redis_cluster.url) as (one, two):
        write(one.log, 3, run_id="r")
        await arrived(one.log, two.log, "r")
    stats = b"".join(node.ask("INFO", "commandstats") for node in redis_cluster.nodes)
    assert b"cmdstat_cluster|" in stats
    assert b"cmdstat_command" not in stats


async def test_several_runs_of_one_shard(redis_cluster: RedisCluster):
    """They are read with one command, and erased with one."""
    names = [name for n in range(500) if KEYS.shard_of(name := f"same{n}") == 3][:5]
    async with two_workers(redis_cluster.url) as (one, two):
        for name in names:
            write(one.log, 3, run_id=name)
            await arrived(one.log, two.log, name)
        readers = [asyncio.create_task(told(two.log, run_id=name)) for name in names]
        for name in names:
            say(one.log, 3, 20, name)
            one.log.append(name, Finished())
        async with asyncio.timeout(SECONDS):
            assert [said(await reader) for reader in readers] == [words(20)] * len(names)
        await one.log.erase([*names, run_in(20)])
        assert sum(int(node.ask("DBSIZE")[1:]) for node in redis_cluster.nodes) == 0


async def test_who_hears_of_a_run_can_attach_it(redis_cluster: RedisCluster):
    """A note of any run reaches the other worker once, on whatever nodes the two listen, after the run's entries."""
    async with two_workers(redis_cluster.url) as (one, two):
        await listening(redis_cluster, 2)
        far = two.feed.subscribe("ann", Wakeup())
        foreign = two.feed.subscribe("bob", Wakeup())
        for n in range(SHARDS):
            name = run_in(n)
            write(one.log, 100, run_id=name)
            one.log.append(name, Finished())
            one.feed.publish("ann", Notification("ended", "c", name))
        for note in await heard(far, SHARDS):
            await two.log.attach(note.run_id)
            assert two.log.snapshot(note.run_id).message.ended
        one.feed.publish("ann", Notification("changed", "c"))
        assert await heard(far, 1) == [Notification("changed", "c")]
        assert foreign.take() == []


async def heard(subscription: Subscription, count: int) -> list[Notification]:
    notes: list[Notification] = []
    async with asyncio.timeout(SECONDS):
        while len(notes) < count:
            notes += subscription.take()
            await asyncio.sleep(0.005)
    return notes


async def test_stop_reaches_the_worker_that_answers(two: tuple[Worker, Worker]):
    """Stop where the answer is not written: it ends as *stopped*, for a reader on either worker."""
    run_id, reader = await speaking(*two)
    await asyncio.wait_for(two[1].runs.cancel("local", run_id), SECONDS)
    assert said(await asyncio.wait_for(reader, SECONDS)) == "one two "
    assert (await two[1].store.answer("local", run_id)).message.status == "stopped"


async def test_a_dead_worker_s_answer_is_continued(two: tuple[Worker, Worker]):
    """Another worker takes it over with all that the cluster has, and goes on in the same log, with the next number."""
    run_id, reader = await speaking(*two)
    await die(two[0], run_id)
    await two[1].recovery.look()
    two[1].provider.say(TextDelta("three"), Finished())
    items = await asyncio.wait_for(reader, SECONDS)
    entries = [item for item in items if not isinstance(item, Snapshot)]
    assert said(items).startswith("one two ")
    assert said(items).endswith("three")
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    assert isinstance(entries[-1].event, Finished)
    message = (await two[1].store.answer("local", run_id)).message
    assert (message.status, message.text) == ("finished", two[1].engine.log.snapshot(run_id).message.text)


async def test_a_former_owner_is_refused(redis_cluster: RedisCluster):
    """A worker that was only slow finds its run taken over, and writes nothing more to it."""
    async with two_workers(redis_cluster.url) as (one, two):
        given_up: list[str] = []
        one.log.on_superseded = given_up.append
        write(one.log, 10)
        await arrived(one.log, two.log)
        start = await two.log.take_over(two.log.snapshot("run"), 1)
        assert start
        two.log.resume(start, 1)
        say(one.log, 10, 300)
        await until(lambda: given_up == ["run"], SECONDS)
        one.log.drop("run")
        two.log.append("run", TextDelta("theirs"))
        two.log.append("run", Finished())
        assert await two.log.publisher.sent(SECONDS)
        assert said(await told(one.log)) == words(10) + "theirs"


async def test_a_shard_moves_to_another_node(own_cluster: RedisCluster):
    """An operator moves slots while an answer is written and read: both find the new node, and nothing is lost."""
    source, target, _ = own_cluster.nodes
    name = run_in(0)
    async with two_workers(own_cluster.url) as (one, two):
        write(one.log, 50, run_id=name)
        await arrived(one.log, two.log, name)
        reader = asyncio.create_task(told(two.log, run_id=name))
        moving = asyncio.create_task(asyncio.to_thread(own_cluster.move, 600, source, target))
        said_so_far = 50
        while not moving.done():
            say(one.log, said_so_far, said_so_far + 1, name)
            said_so_far += 1
            await asyncio.sleep(0.01)
        await moving
        assert int(target.ask("EXISTS", KEYS.run(name))[1:]) == 1
        say(one.log, said_so_far, said_so_far + 20, name)
        one.log.append(name, Finished())
        assert said(await asyncio.wait_for(reader, SECONDS)) == words(said_so_far + 20)
        stored = Snapshot(0, one.log.snapshot(name).message)
        start = await two.log.take_over(stored, 1)
        assert start
        assert start.message.text == words(said_so_far + 20)


async def test_a_node_goes_away_and_comes_back(own_cluster: RedisCluster):
    """The answers whose log it has go on for the readers of their worker, and reach the others when it is back."""
    *_, node = own_cluster.nodes
    name = run_in(SHARDS - 1)
    async with two_workers(own_cluster.url) as (one, two):
        write(one.log, 10, run_id=name)
        await arrived(one.log, two.log, name)
        near, far = (asyncio.create_task(told(log, run_id=name)) for log in (one.log, two.log))
        node.stop()
        say(one.log, 10, 30, name)
        one.log.append(name, Finished())
        assert said(await asyncio.wait_for(near, SECONDS)) == words(30)
        node.start()
        assert said(await asyncio.wait_for(far, SECONDS)) == words(30)


async def test_a_replica_takes_the_place_of_a_node(replicated: RedisCluster):
    """A node is killed while an answer is written, with entries that its replica does not have yet: the answer is whole
    and in order for readers that were there and for one that comes later, and it can be taken over with all of it."""
    name = run_in(0)
    async with two_workers(replicated.url) as (one, two):
        write(one.log, 50, run_id=name)
        await arrived(one.log, two.log, name)
        readers = [asyncio.create_task(told(log, run_id=name)) for log in (one.log, two.log)]
        master = await asyncio.to_thread(replicated.master_of, KEYS.run(name))
        assert master
        replica = await asyncio.to_thread(replicated.replica_of, master)
        # From now on the replica gets nothing, as over a network that is slower than its node dies.
        replica.send(signal.SIGSTOP)
        master.ask("CLIENT", "KILL", "TYPE", "replica")
        say(one.log, 50, 60, name)
        await arrived(one.log, two.log, name)
        master.stop()
        replica.send(signal.SIGCONT)
        now = 60
        while replica is not await asyncio.to_thread(replicated.master_of, KEYS.run(name)):
            say(one.log, now, now + 1, name)
            now += 1
            await asyncio.sleep(0.02)
        say(one.log, now, now + 20, name)
        one.log.append(name, Finished())
        async with asyncio.timeout(SECONDS):
            for reader in readers:
                items = await reader
                seqs = [item.seq for item in items if not isinstance(item, Snapshot)]
                assert said(items) == words(now + 20)
                assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
            assert await one.log.publisher.sent(SECONDS)
    # Workers that begin while that node is away: the other one of their address tells them of the rest.
    assert replicated.nodes[0] is not replica
    replicated.nodes[0].stop()
    await check(both := f"{replicated.url},127.0.0.1:{replica.port}")
    async with two_workers(both) as (late, taking):
        await asyncio.wait_for(late.log.attach(name), SECONDS)
        assert said(await asyncio.wait_for(told(late.log, run_id=name), SECONDS)) == words(now + 20)
        start = await taking.log.take_over(Snapshot(0, Message(name, "assistant", status="streaming")), 1)
        assert start
        assert start.message.text == words(now + 20)


@pytest.fixture
def replicated():
    """A cluster in which each node has a replica, which takes its place after a second."""
    if reason := why_not():
        pytest.skip(reason)
    cluster = RedisCluster(replicas=1, timeout=1000)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.remove()


@pytest.fixture
def own_cluster():
    """A cluster for one test, which changes it."""
    if reason := why_not():
        pytest.skip(reason)
    cluster = RedisCluster()
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.remove()


async def test_a_run_that_is_nowhere_is_not_found(redis_cluster: RedisCluster):
    """Not a wait."""
    async with two_workers(redis_cluster.url) as (one, _):
        with pytest.raises(NotFound):
            await one.log.attach("never there")


async def test_the_completion_log_goes_to_a_stream(redis_cluster: RedisCluster):
    """Into the node that has it, whichever is asked first."""
    sink = RedisSink(redis_cluster.url, "answers")
    sink.write([b'{"run":"a"}', b'{"run":"b"}'])
    sink.erase([b"a"])
    assert sum(int(node.ask("EXISTS", "answers")[1:2] == b"1") for node in redis_cluster.nodes) == 1


async def test_the_address_says_which_kind(redis_cluster: RedisCluster, redis: RedisServer):
    """A cluster that is given as one server, and the other way round, is named at the start."""
    await check(redis_cluster.url)
    for node in redis_cluster.nodes:
        with pytest.raises(StreamchatError, match=r"redis\+cluster://"):
            await check(f"redis://127.0.0.1:{node.port}/0")
    with pytest.raises(
        StreamchatError, match=f"Redis Cluster at 127.0.0.1:{redis.port} cannot be reached.*not enabled"
    ):
        await check(redis.url.replace("redis://", "redis+cluster://"))


def test_an_address_may_name_several_nodes():
    """The first one's has the user, the password and the options of all."""
    assert read_address("redis+cluster://u:p@one:1,two:2,[::1]:3/0?x=y") == (
        "redis://u:p@one:1/0?x=y",
        [("two", 2), ("::1", 3)],
    )
    assert read_address("rediss+cluster://one") == ("rediss://one", [])


@pytest.mark.parametrize("end", ["/5", "/0?db=x", "?nonsense=1", ",two:port"])
async def test_an_address_that_cannot_be_a_cluster_s_is_named(end: str):
    """By the name of its setting, without a password."""
    with pytest.raises(StreamchatError, match="STREAMCHAT_REDIS_URL") as caught:
        await check(f"redis+cluster://user:CANARY@localhost:6379{end}")
    assert "CANARY" not in str(caught.value)
