"""The one place that names concrete classes and builds them from the settings.

Here: the services of a process and their life. ``models``: which models are on offer, and who answers for each.
``tools``: which tools there are. ``recovery``: answers whose process is gone.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from redis.exceptions import RedisError

from streamchat.providers.catalog import Catalog
from streamchat.runs.feed import Feed, MemoryFeed, Note
from streamchat.runs.log import MemoryLog
from streamchat.runs.redis_engine import RedisEngine, redis_engine
from streamchat.runs.redis_sending import Limits
from streamchat.runs.runs import Runs
from streamchat.runs.writer import Writer
from streamchat.settings import Settings, load_settings
from streamchat.storage import Storage
from streamchat.tools.toolbox import Toolbox
from streamchat.wiring.models import build_catalog, build_policy
from streamchat.wiring.recording import build_record
from streamchat.wiring.recovery import Recovery
from streamchat.wiring.tools import build_servers, build_toolbox

LOCAL_OWNER = "local"
# What keeping a tab's state raises while the Redis that it is kept in is away.
STATE_LOST = (RedisError, OSError)


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that pages and endpoints call."""

    settings: Settings
    models: Catalog
    store: Storage
    runs: Runs
    tools: Toolbox = field(default_factory=Toolbox)


_services: Services | None = None


def services() -> Services:
    """The services of this process. Only while it serves: raises ``RuntimeError`` otherwise."""
    if _services is None:
        raise RuntimeError("the services are not running")
    return _services


@asynccontextmanager
async def lifespan() -> AsyncIterator[None]:
    """Open everything at the start of the server, and end every run before its end."""
    global _services
    async with running_services(load_settings()) as built:
        _services = built
        try:
            yield
        finally:
            _services = None


@asynccontextmanager
async def running_services(settings: Settings) -> AsyncIterator[Services]:
    """Services with an open database, and what is done behind them. Raises ``StorageError``."""
    servers = build_servers(settings)
    tools = build_toolbox(settings, servers)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    store = Storage(settings.database)
    await store.open()
    models = build_catalog(settings)
    try:
        async with _engine(settings, worker := f"{socket.gethostname()}:{os.getpid()}") as engine:
            log = engine.log if engine else MemoryLog(settings.run_keep)
            feed = engine.feed if engine else MemoryFeed()
            writer = Writer(log, store)
            runs = Runs(
                log=log,
                feed=feed,
                store=store,
                models=models,
                writer=writer,
                policy=build_policy(settings, models),
                worker=worker,
                toolbox=tools,
                tool_services=store,
                ask_stop=engine.feed.ask_stop if engine else None,
            )
            if engine:
                engine.feed.on_stop = runs.stop_here
                engine.log.on_superseded = runs.give_up
            recovery = Recovery(LOCAL_OWNER, store, runs, feed, engine.log if engine else None)
            record = build_record(settings, runs, LOCAL_OWNER)
            writer.start()
            servers.start()
            if record:
                record.start()
            try:
                async with _behind(recovery.work(), _discover(models, feed), models.warm_up()):
                    yield Services(settings, models, store, runs, tools)
            finally:
                await runs.close()
                await writer.close()
                if record:
                    await record.close()
                await servers.close()
    finally:
        await models.close()
        await store.close()


@asynccontextmanager
async def _behind(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do this beside what is within."""
    tasks = [asyncio.create_task(one, name=one.__qualname__) for one in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def _engine(settings: Settings, worker: str) -> AsyncIterator[RedisEngine | None]:
    """What is shared with other workers; ``None`` where this is the only one."""
    if settings.redis_url is None:
        yield None
        return
    limits = Limits(settings.run_keep, settings.run_entries)
    async with redis_engine(settings.redis_url, worker=worker, limits=limits) as engine:
        yield engine


async def _discover(models: Catalog, feed: Feed) -> None:
    """Ask the servers for their models, behind the start, and tell the pages."""
    if await models.discover():
        feed.publish(LOCAL_OWNER, Note("models", ""))
