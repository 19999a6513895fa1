"""Two workers as two processes on a Redis Cluster: their pages, of which Reflex keeps the states in memory there."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from devservers.app import Served
from devservers.redis import RedisCluster
from tests.support.reader import Reader, tab

MODEL = "simulator:tour"


def numbered(count: int) -> str:
    return " ".join(f"w{n:06}" for n in range(1, count + 1))


async def asked(writer: Reader, words: str) -> None:
    await writer.ask(f"kind=numbered {words}", MODEL)
    await writer.until(lambda: writer.path != "/" and writer.messages and writer.answer.text)


@pytest.fixture
def workers(redis_cluster: RedisCluster, built: None, tmp_path: Path) -> Iterator[list[Served]]:
    shared = {
        "STREAMCHAT_REDIS_URL": redis_cluster.url,
        "STREAMCHAT_DATABASE_URL": f"sqlite:///{tmp_path / 'chat.db'}",
        "STREAMCHAT_CONTINUE": "1",
    }
    pair = [Served(tmp_path / name, shared) for name in ("one", "two")]
    try:
        pair[0].start()  # makes the tables
        pair[1].start()
        yield pair
    finally:
        for worker in pair:
            worker.kill()


async def test_pages_of_two_workers(workers: list[Served]):
    """An answer is shown on the other worker while it is written, and stopped there; a tab goes to the other worker
    with the token that it had; when a worker is killed, the answer is continued for the tab of the other one."""
    one, two = workers
    token = str(uuid.uuid4())
    async with tab(one.port) as writer:
        await asked(writer, "n=100 rate=50")
        async with tab(two.port, writer.path, token=token) as reader:
            for page in (reader, writer):
                await page.until(lambda p=page: p.answer.status == "finished")
                assert (page.answer.text.strip(), page.gaps) == (numbered(100), [])
            await reader.ask("kind=numbered n=5000 rate=50", MODEL)
            await writer.until(lambda: len(writer.messages) == 4 and len(writer.answer.text) > 100)
            await writer.call("stop")
            await reader.until(lambda: reader.answer.status == "stopped")
        async with tab(one.port, writer.path, token=token) as again:
            assert again.answer.status == "stopped"
            await again.ask("kind=numbered n=300 rate=30", MODEL)
            async with tab(two.port, writer.path) as far:
                await far.until(lambda: len(far.messages) == 6 and len(far.answer.text) > 100)
                await asyncio.to_thread(one.kill)
                await far.until(lambda: far.answer.status == "finished", 120)
                assert far.answer.text.count("w000300") == 1
                assert far.gaps == []
