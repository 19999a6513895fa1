"""Runs on the real log, writer and SQLite, answered by a provider that says what a test hands it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

from streamchat.chat.events import Event, Finished
from streamchat.chat.request import NewRun, Request, RunOptions
from streamchat.providers.base import ModelInfo
from streamchat.providers.catalog import Catalog, Source
from streamchat.runs.log import MemoryLog
from streamchat.runs.notifications import MemoryFeed
from streamchat.runs.persistence import Writer
from streamchat.runs.queue import AnswerQueue
from streamchat.runs.retries import Policy
from streamchat.runs.service import RunService
from streamchat.runs.takeover import Budget
from streamchat.settings import Settings
from streamchat.storage import Storage
from streamchat.tools.definition import Tool
from streamchat.tools.toolbox import Toolbox
from streamchat.wiring.uploads import Uploads


class QueueProvider:
    """Says what is put into ``queue``: events, exceptions to raise, or ``None`` for an end without an end."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Event | BaseException | None] = asyncio.Queue()
        self.requests: list[Request] = []
        self.closed = 0

    async def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        self.requests.append(request)
        try:
            while (event := await self.queue.get()) is not None:
                if isinstance(event, BaseException):
                    raise event
                yield event
                if isinstance(event, Finished):
                    return
        finally:
            self.closed += 1

    async def close(self) -> None: ...

    def say(self, *events: Event | BaseException | None) -> None:
        for event in events:
            self.queue.put_nowait(event)


@dataclass
class World:
    runs: RunService
    store: Storage
    log: MemoryLog
    feed: MemoryFeed
    writer: Writer
    provider: QueueProvider
    catalog: Catalog
    model: str = "fake:one"
    prefix: str = ""
    """Of the client message ids, if several processes share the database."""
    _n: int = field(default=0)

    async def start(
        self,
        text: str = "hello",
        *,
        client_id: str | None = None,
        conversation_id: str | None = None,
        options: RunOptions | None = None,
    ):
        from streamchat.chat.messages import TextPart

        self._n += 1
        return await self.runs.start(
            "local",
            NewRun(
                conversation_id=conversation_id,
                client_message_id=client_id or f"{self.prefix}client-{self._n}",
                parts=(TextPart(text),),
                model=self.model,
                options=options or RunOptions(),
            ),
        )

    async def ended(self, run_id: str):
        """The message once its run has ended, as the log has it."""
        while not self.log.snapshot(run_id).message.ended:
            await asyncio.sleep(0.005)
        return self.log.snapshot(run_id).message

    async def reached(self, run_id: str, status: str):
        """The message once the database has it with this status."""
        while (message := await self.stored(run_id)).status != status:
            await asyncio.sleep(0.005)
        return message

    async def stored(self, run_id: str):
        return (await self.store.answer("local", run_id)).message


@cache
def _default_settings() -> Settings:
    return Settings.model_validate({})


_tables = b""


async def new_store(file: Path) -> Storage:
    """Open a SQLite database. A new one is a copy of one whose tables were made before, once per process."""
    global _tables
    if not _tables:
        store = Storage(f"sqlite:///{file.with_name('tables.db')}")
        await store.open()
        await store.close()
        _tables = await asyncio.to_thread(file.with_name("tables.db").read_bytes)
    await asyncio.to_thread(_copy_tables, file)
    store = Storage(f"sqlite:///{file}")
    await store.open()
    return store


def _copy_tables(file: Path) -> None:
    if not file.exists():
        file.write_bytes(_tables)


@asynccontextmanager
async def make_world(
    path: Path,
    policy: Policy | None = None,
    catalog: Catalog | None = None,
    tools: Sequence[Tool] = (),
    queue: AnswerQueue | None = None,
    *,
    worker: str = "test",
    budget: Budget | None = None,
    settings: Settings | None = None,
) -> AsyncIterator[World]:
    store = await new_store(path / "chat.db")
    provider, log, feed = QueueProvider(), MemoryLog(), MemoryFeed()
    catalog = catalog or Catalog([Source("fake", provider, [ModelInfo("fake:one", "Fake")])])
    writer = Writer(log, store, interval=0.05)
    runs = RunService(
        log=log,
        feed=feed,
        store=store,
        models=catalog,
        writer=writer,
        policy=policy or Policy(),
        worker=worker,
        toolbox=Toolbox(tools),
        queue=queue,
        budget=budget or Budget(),
        store_pictures=Uploads(settings or _default_settings(), store).stored_result,
    )
    writer.start()
    try:
        yield World(runs, store, log, feed, writer, provider, catalog)
    finally:
        await runs.close()
        await writer.close()
        await catalog.close()
        await store.close()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with make_world(tmp_path) as made:
        yield made
