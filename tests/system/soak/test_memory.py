"""Many answers, and memory that stays where it was."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Callable

import httpx2
import pytest
from websockets.asyncio.client import connect

from tests.support.reader import MODEL
from tests.support.simulated import Simulated
from tests.system.soak import LONG
from tests.system.soak.server import Watched

Serve = Callable[..., Watched]
ANSWERS, CLIENTS, ROUND = (2000, 8, 200) if LONG else (400, 8, 50)
# Until then caches fill and the allocator finds its size; and a fifth of all is too little to measure by.
WARM = 600 if LONG else 150
QUESTION_BYTES = 16_000
# Bytes that an answer may leave. A request that stays is its question and 12 kB; so nothing of that size does.
MAX_SLOPE = 2000.0 if LONG else 8000.0


@pytest.mark.timeout(600)
async def test_memory_stays_flat(serve: Serve, simulated: Simulated, capsys: pytest.CaptureFixture[str]):
    """However many questions are answered: what the server holds does not grow with them, though the logs of answers
    that have ended are kept for ten minutes, up to their budget. Nor do its open files and threads."""
    unlimited = dict.fromkeys(("STREAMCHAT_STARTS_PER_CLIENT", "STREAMCHAT_STARTS_PER_OWNER"), "100000")
    # Reached before it is measured, so that what is kept grows no more.
    served = serve(**simulated.settings, **unlimited, STREAMCHAT_RUN_BYTES="100000")
    counts: list[int] = []
    sizes: list[int] = []
    async with httpx2.AsyncClient(base_url=served.url, timeout=240) as client:
        await answers(client, ROUND, 0)
        before = after = await asyncio.to_thread(served.report)
        for done in range(ROUND, ANSWERS, ROUND):
            await answers(client, ROUND, done)
            after = await asyncio.to_thread(served.report)
            if done + ROUND >= WARM:
                counts.append(done + ROUND)
                sizes.append(after["resident"])
    slope, _ = statistics.linear_regression(counts, sizes)
    with capsys.disabled():
        text = " ".join(f"{size / 1e6:.1f}" for size in sizes)
        print(f"\n{ANSWERS} answers: {slope:.0f} bytes each; MB: {text}")  # noqa: T201 the figure is the point
    assert slope < MAX_SLOPE, sizes
    assert after["files"] <= before["files"] + CLIENTS
    assert after["threads"] <= before["threads"] + CLIENTS


async def answers(client: httpx2.AsyncClient, number: int, first: int) -> None:
    """So many, some at a time, each read to its end."""
    left = iter(range(first, first + number))

    async def work() -> None:
        for n in left:
            question = f"n=5 rate=0 ttft=0 kind=numbered question{n} {'x' * QUESTION_BYTES}"
            begun = await client.post("/api/runs", json={"message": question, "model": MODEL})
            events = await client.get(begun.raise_for_status().json()["events_url"] + "?buffer=1")
            assert events.raise_for_status().json()["status"] == "finished"

    await asyncio.gather(*(work() for _ in range(CLIENTS)))


READERS, ROUNDS = (30, 8) if LONG else (15, 4)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("how", ["events", "socket"])
async def test_readers_that_go_leave_nothing(serve: Serve, simulated: Simulated, how: str):
    """Readers of an answer under way that close their connection without a word: no task, no open file is left of
    them, and the answer goes on."""
    served = serve(**simulated.settings)
    kinds = await asyncio.to_thread(served.kinds)
    async with httpx2.AsyncClient(base_url=served.url, timeout=60) as client:
        question = {"message": "n=100000 rate=30 ttft=0 kind=numbered", "model": MODEL}
        run = (await client.post("/api/runs", json=question)).raise_for_status().json()
        files = []
        for _ in range(ROUNDS):
            await asyncio.gather(*((_events if how == "events" else _socket)(served, run) for _ in range(READERS)))
            files.append((await asyncio.to_thread(served.report))["files"])
        assert (await client.get(f"/api/runs/{run['run_id']}")).json()["status"] == "streaming"
        await client.delete(f"/api/runs/{run['run_id']}")
    report = await asyncio.to_thread(served.at_rest, kinds)
    assert report["files"] <= files[0]
    assert report["threads"] <= 40


async def _events(served: Watched, run: dict[str, str]) -> None:
    async with (
        httpx2.AsyncClient(base_url=served.url, timeout=60) as client,
        client.stream("GET", run["events_url"]) as response,
    ):
        async for line in response.aiter_lines():
            if line.startswith("data:"):
                return


async def _socket(served: Watched, run: dict[str, str]) -> None:
    url = f"{served.url.replace('http', 'ws', 1)}/api/runs/{run['run_id']}/ws"
    async with connect(url, origin=served.url) as socket:  # pyrefly: ignore[bad-argument-type] any text
        await socket.recv()
        socket.transport.abort()
