"""``kill -9`` of a worker whose provider generates in the background: the other worker reads the response on."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing

import httpx
import pytest

from tests.support.stored_responses import StoredResponses, message, reasoning
from tests.system.takeover.conftest import PATIENCE, Reader, StartPair, Worker

WORDS = [f"w{number:03} " for number in range(120)]


@pytest.fixture
async def provider() -> AsyncIterator[StoredResponses]:
    async with StoredResponses([(reasoning("I ", "think."), message(*WORDS))], room=40) as server:
        yield server


async def ask(worker: Worker) -> str:
    body = {"message": "Tell me.", "model": "openai-responses:m"}
    async with httpx.AsyncClient(base_url=worker.url, timeout=PATIENCE, trust_env=False) as client:
        response = await client.post("/api/runs", json=body)
    assert response.status_code == 201, response.text
    return response.json()["run_id"]


def has_checkpoint(worker: Worker, run_id: str) -> bool:
    """Whether the run's row has a checkpoint: it is stored beside the stream, which does not wait for it."""
    file = worker.settings["STREAMCHAT_DATABASE_URL"].removeprefix("sqlite:///")
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        return connection.execute("select upstream from message where id = ?", (run_id,)).fetchone()[0] is not None


@pytest.mark.parametrize("start_pair", ["sqlite"], indirect=True)
async def test_a_killed_worker_s_response_is_read_on(start_pair: StartPair, provider: StoredResponses):
    """The same run, the next number, every word once, no seam, and one request; then SIGTERM passes it on once more."""
    pair = await start_pair(
        OPENAI_BASE_URL=provider.url, STREAMCHAT_MODELS="openai-responses:m", STREAMCHAT_OPENAI_BACKGROUND="1"
    )
    run_id = await ask(pair.one)
    reader = Reader(pair.two, run_id).start()
    await reader.until(lambda: len(reader.text) > 100 and has_checkpoint(pair.one, run_id))
    pair.one.kill()
    await provider.go(40)
    words = len(reader.text)
    await reader.until(lambda: len(reader.text) > words + 100)
    await asyncio.to_thread(pair.one.start)
    await asyncio.to_thread(pair.two.stop)
    await provider.go()
    back = Reader(pair.one, run_id, reader.events[:]).start()
    await back.ended()
    assert back.names[-1] == "finished"
    assert back.text == "".join(WORDS)
    assert back.numbers_follow()
    assert "notice" not in back.names
    assert (len(provider.asked), provider.cancelled) == (1, [])
    assert [read["starting_after"] for read in provider.read if read["id"] == "resp_1"] == ["0", "0"]
