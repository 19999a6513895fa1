"""Two workers without a page, on one Redis and one database, and a client of their HTTP API."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest
from httpx_sse import aconnect_sse

from devservers.app import Served
from devservers.postgres import PostgresServer
from devservers.redis import RedisServer
from tests.support import prepared

MODEL = "simulator:tour"
PATIENCE = 90
ENDINGS = ("finished", "stopped", "failed", "interrupted")


class Worker(Served):
    """One worker, which can stand still."""

    arguments = ("-m", "tests.support.api_app")

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    async def ask(self, message: str, model: str = MODEL) -> str:
        """Start an answer. Returns its run id."""
        body = {"message": message, "model": model}
        async with httpx.AsyncClient(base_url=self.url, timeout=PATIENCE, trust_env=False) as client:
            response = await client.post("/api/runs", json=body)
        assert response.status_code == 201, response.text
        return response.json()["run_id"]

    async def run(self, run_id: str) -> dict[str, Any]:
        async with httpx.AsyncClient(base_url=self.url, timeout=PATIENCE, trust_env=False) as client:
            response = await client.get(f"/api/runs/{run_id}")
        assert response.status_code == 200, response.text
        return response.json()

    async def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        async with httpx.AsyncClient(base_url=self.url, timeout=PATIENCE, trust_env=False) as client:
            return await client.request(method, path, **more)


class HasUrl(Protocol):
    url: str


@dataclass
class Reader:
    """Follows a run on one worker, or through a proxy; what is lost is asked for again, as a browser does."""

    worker: HasUrl
    run_id: str
    events: list[tuple[int, str, dict[str, Any]]] = field(default_factory=list)
    task: asyncio.Task[None] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def start(self) -> Reader:
        self.task = asyncio.create_task(self._read())
        return self

    async def ended(self) -> None:
        assert self.task
        await asyncio.wait_for(self.task, PATIENCE)

    async def until(self, true: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not true():
                assert self.task
                if self.task.done():
                    self.task.result()
                    assert true(), self.events[-3:]
                await asyncio.sleep(0.02)

    @property
    def names(self) -> list[str]:
        return [name for _, name, _ in self.events]

    @property
    def text(self) -> str:
        """The text of the answer as a client makes it of what it gets."""
        text = ""
        for _, name, data in self.events:
            if name == "snapshot":
                parts = data["message"]["parts"]
                text = "".join(part["text"] for part in parts if part["type"] == "text")
            elif name == "text-delta":
                text += data["text"]
        return text

    def numbers_follow(self) -> bool:
        """Whether every number is the next one, but for a snapshot, which may go anywhere."""
        last = 0
        for number, name, _ in self.events:
            if name in ENDINGS and number == last:
                continue  # of a snapshot
            if name != "snapshot" and number != last + 1:
                return False
            last = number
        return True

    async def _read(self) -> None:
        path = f"{self.worker.url}/api/runs/{self.run_id}/events"
        async with httpx.AsyncClient(timeout=httpx.Timeout(PATIENCE, connect=2), trust_env=False) as client:
            while not (self.names and self.names[-1] in ENDINGS):
                last = {"Last-Event-ID": str(self.events[-1][0])} if self.events else {}
                try:
                    async with aconnect_sse(client, "GET", path, headers={**self.headers, **last}) as source:
                        async for event in source.aiter_sse():
                            if event.data != "[DONE]":
                                self.events.append((int(event.id), event.event, json.loads(event.data)))
                except httpx.HTTPError:
                    await asyncio.sleep(0.1)


@dataclass
class Pair:
    one: Worker
    two: Worker
    redis: RedisServer
    calls: Path

    def ran(self) -> list[str]:
        """The calls of tools that began: name and process id."""
        return self.calls.read_text().splitlines() if self.calls.exists() else []


class StartPair(Protocol):
    """Starts two workers; ``settings`` are for both, ``second`` for the second one."""

    async def __call__(self, second: Mapping[str, str] | None = None, **settings: str) -> Pair: ...


@pytest.fixture(params=["sqlite", "postgresql"])
async def start_pair(request: pytest.FixtureRequest, tmp_path: Path, redis: RedisServer) -> AsyncIterator[StartPair]:
    workers: list[Worker] = []
    server: PostgresServer | None = None if request.param == "sqlite" else request.getfixturevalue("postgres")
    if server is None:
        await asyncio.to_thread(prepared.sqlite_file, tmp_path / "chat.db")
        database = f"sqlite:///{tmp_path / 'chat.db'}"
    else:
        database = await asyncio.to_thread(prepared.postgres_database, server)

    async def start(second: Mapping[str, str] | None = None, **settings: str) -> Pair:
        calls = tmp_path / "calls"
        shared = {
            "STREAMCHAT_REDIS_URL": redis.url,
            "STREAMCHAT_DATABASE_URL": database,
            "STREAMCHAT_CONTINUE": "1",
            "STREAMCHAT_TOOLS": "tests.support.counting_tools",
            "CALLS": str(calls),
        } | settings
        workers.append(Worker(tmp_path / "one", shared))
        workers.append(Worker(tmp_path / "two", shared | dict(second or {})))
        for worker in workers:
            await asyncio.to_thread(worker.start)
        return Pair(workers[0], workers[1], redis, calls)

    yield start
    for worker in workers:
        worker.kill()
    if server is not None:
        await asyncio.to_thread(prepared.give_back, server, database)
