"""What an answer costs a worker, Redis and PostgreSQL if there are many: the figures that a plan is made of.

Tabs with an answer each, all at once, through one server; then entries of fifty answers to Redis, and what the writer
stores of fifty answers in PostgreSQL. All are processes of their own, whose CPU is read from outside: a busy machine
changes it less than a delay.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import uuid4

from redis import Redis

from bench.app import App, app
from bench.fencing import RUNS, TOKENS, begun, write_pass
from bench.idle import SETTINGS
from bench.load import simulator
from bench.log import WORD
from bench.measure import cpu_seconds, resident_bytes, tree_cpu_seconds
from bench.tab import Tab, tab
from bench.tables import number, show
from devservers import postgres, redis
from streamchat.chat.events import TextDelta
from streamchat.chat.messages import Message
from streamchat.runs.log import Snapshot
from streamchat.runs.redis.engine import redis_engine
from streamchat.storage import Storage

MODEL = "openai:tour"
RATE = 30
COUNTS = (1, 20, 50)


async def run(quick: bool) -> None:
    await _tabs(quick)
    rows = []
    if redis.why_not() is None:
        seconds = 5 if quick else 20
        for name, server in (("Redis", redis.RedisServer()), ("Redis Cluster of three", redis.RedisCluster())):
            server.start()
            try:
                rows += await _redis(name, server, seconds)
            finally:
                server.remove()
    if postgres.why_not() is None:
        rows += await _postgres(50 if quick else 200)
    show("What is behind the workers", ["", "each"], rows)


async def _tabs(quick: bool) -> None:
    words = 300 if quick else 900
    rows = []
    settings = SETTINGS | {"STREAMCHAT_ACCOUNTS": "", "STREAMCHAT_TOOLS": ""}
    async with simulator() as provider:
        for count in COUNTS:
            async with app(provider, settings=settings) as running:
                rows.append([f"{count}", *await _cost(running, count, words)])
    note = (
        f"{words} words at {RATE}/s each. Answers per worker: how many keep one core busy for 60 % of the time. "
        f"Load at the end: {os.getloadavg()[0]:.1f}."
    )
    head = ["tabs with an answer each", "CPU ms/word", "KB/tab", "answers per worker"]
    show("Many tabs, an answer in each", head, rows, note)


async def _cost(running: App, count: int, words: int) -> list[str]:
    async with tab(running.port) as first:
        await _answer(first, 20)  # what is done for the first time
    memory = resident_bytes(running.pid)
    async with AsyncExitStack() as stack:
        tabs = [await stack.enter_async_context(tab(running.port)) for _ in range(count)]
        used = cpu_seconds(running.pid)
        await asyncio.gather(*(_answer(one, words) for one in tabs))
        each = (cpu_seconds(running.pid) - used) / count / words
        grown = (resident_bytes(running.pid) - memory) / count / 1024
    return [number(each * 1000, 2), number(grown, 0), number(0.6 / each / RATE, 0)]


async def _answer(one: Tab, words: int) -> None:
    await one.ask(f"kind=numbered n={words} rate={RATE} ttft=0", MODEL)
    await one.read()


async def _redis(name: str, server: redis.RedisServer | redis.RedisCluster, seconds: int) -> Sequence[Sequence[str]]:
    """Fifty answers at ``RATE``, each entry at a moment of its own."""
    nodes = server.nodes if isinstance(server, redis.RedisCluster) else [server]
    run_ids = [uuid4().hex for _ in range(RUNS)]
    async with redis_engine(server.url, worker="bench") as engine:
        for run_id in run_ids:
            engine.log.resume(Snapshot(0, Message(run_id, "assistant", status="streaming")), 1)
        assert await engine.log.publisher.sent(60)
        used, own, started = sum(map(_cpu_of, nodes)), time.process_time(), time.monotonic()
        entries = seconds * RATE * RUNS
        for n in range(1, entries + 1):
            engine.log.append(run_ids[n % RUNS], TextDelta(WORD))
            if (early := started + n / RATE / RUNS - time.monotonic()) > 0:
                await asyncio.sleep(early)
        assert await engine.log.publisher.sent(60)
        each = [(sum(map(_cpu_of, nodes)) - used) / entries, (time.process_time() - own) / entries]
    return [
        [f"{name}: CPU of an entry, µs", number(each[0] * 1e6)],
        ["the same: CPU of the worker, µs", number(each[1] * 1e6)],
    ]


def _cpu_of(node: redis.RedisServer) -> float:
    with Redis(port=node.port) as client:
        information = client.info("cpu")
    assert isinstance(information, dict)
    return information["used_cpu_user"] + information["used_cpu_sys"]


async def _postgres(times: int) -> Sequence[Sequence[str]]:
    """What half a second of fifty answers adds, as the writer stores it: in one transaction."""
    server = postgres.PostgresServer()
    server.start()
    try:
        process = int((Path(server._data) / "postmaster.pid").read_text().split()[0])
        store = Storage(server.new_database())
        await store.open()
        runs, seq = await begun(store), 0
        for _ in range(5):
            _, seq = await write_pass(store, runs, seq)
        used, own = tree_cpu_seconds(process), time.process_time()
        for _ in range(times):
            _, seq = await write_pass(store, runs, seq)
        each = [(tree_cpu_seconds(process) - used) / times / RUNS, (time.process_time() - own) / times / RUNS]
        await store.close()
    finally:
        server.remove()
    return [
        [f"PostgreSQL: CPU of a write of {TOKENS} tokens of an answer, ms", number(each[0] * 1000, 3)],
        ["the same: CPU of the worker, ms", number(each[1] * 1000, 3)],
    ]
