"""The API on two workers: whoever writes an answer, it is followed, stopped and read from the other one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest

from devservers.cluster import Machine
from streamchat.chat.sse import SSEDecoder

MODEL = "simulator:tour"


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as made:
        yield made


async def start(client: httpx.AsyncClient, url: str, message: str) -> str:
    answer = await client.post(f"{url}/api/runs", json={"message": message, "model": MODEL})
    assert answer.status_code == 201, answer.text
    return answer.json()["run_id"]


async def test_a_run_is_followed_from_both_workers_and_the_proxy(machine: Machine, client: httpx.AsyncClient):
    """Through each worker, and through the proxy that stands before both: the same bytes, and a resume anywhere."""
    run_id = await start(client, machine.one.url, "n=150 rate=50 kind=numbered")
    urls = [f"{url}/api/runs/{run_id}/events" for url in (machine.one.url, machine.two.url, machine.url)]
    one, two, proxied = [answer.content for answer in await asyncio.gather(*map(client.get, urls))]
    assert one == two == proxied
    events = SSEDecoder().feed(one)
    text = "".join(json.loads(event.data)["text"] for event in events if event.event == "text-delta")
    assert text.split() == [f"w{n:06d}" for n in range(1, 151)]
    last = events[-1].id
    for url in urls:
        rest = await client.get(url, headers={"Last-Event-ID": "100"})
        missing = SSEDecoder().feed(rest.content.removeprefix(b"retry: 1000\n"))
        assert missing == events[100:]
        assert (await client.get(url, headers={"Last-Event-ID": last})).status_code == 204


async def test_a_run_is_stopped_from_the_other_worker(machine: Machine, client: httpx.AsyncClient):
    """``DELETE`` on one ends what the other writes; readers of both see the one ending."""
    run_id = await start(client, machine.one.url, "n=5000 rate=50 kind=numbered")
    reading = [
        asyncio.create_task(client.get(f"{worker.url}/api/runs/{run_id}/events"))
        for worker in (machine.one, machine.two)
    ]
    await asyncio.sleep(1)
    stopped = await client.delete(f"{machine.two.url}/api/runs/{run_id}")
    assert (stopped.status_code, stopped.json()["status"]) == (200, "stopped")
    one, two = [answer.content for answer in await asyncio.gather(*reading)]
    assert one == two
    assert one.count(b"event: stopped") == 1
