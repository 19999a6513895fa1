"""The one place that names concrete classes and builds them from the settings.

Here: the services of a process and their life. ``models``: which models are on offer, and who answers for each.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from streamchat.errors import StorageError
from streamchat.providers.catalog import Catalog
from streamchat.runs.feed import MemoryFeed, Note
from streamchat.runs.log import MemoryLog
from streamchat.runs.runs import Runs
from streamchat.runs.writer import Writer
from streamchat.settings import Settings, load_settings
from streamchat.storage import Storage
from streamchat.wiring.models import build_catalog, build_policy

LOCAL_OWNER = "local"
# The writer beats every half second, so six seconds of silence are a dead process, not a busy one.
HEARTBEAT_STALE = timedelta(seconds=6)
SWEEP_SECONDS = 2.0
CUT_OFF = "The server stopped while it answered. What had arrived is kept."
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that pages and endpoints call."""

    settings: Settings
    models: Catalog
    store: Storage
    runs: Runs


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
    """Services with an open database, running writer and sweeper. Raises ``StorageError``."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    store = Storage(settings.database)
    await store.open()
    models = build_catalog(settings)
    log, feed = MemoryLog(), MemoryFeed()
    writer = Writer(log, store)
    worker = f"{socket.gethostname()}:{os.getpid()}"
    policy = build_policy(settings, models)
    runs = Runs(log=log, feed=feed, store=store, models=models, writer=writer, policy=policy, worker=worker)
    writer.start()
    sweeper = asyncio.create_task(_sweep(store, feed), name="sweeper")
    discovery = asyncio.create_task(_discover(models, feed), name="discovery")
    try:
        yield Services(settings, models, store, runs)
    finally:
        for task in (sweeper, discovery):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await runs.close()
        await writer.close()
        await models.close()
        await store.close()


async def _sweep(store: Storage, feed: MemoryFeed) -> None:
    """Mark answers whose process is gone, now and from time to time, and tell the pages."""
    while True:
        try:
            for run_id, conversation_id in await store.sweep(datetime.now(UTC) - HEARTBEAT_STALE, CUT_OFF):
                feed.publish(LOCAL_OWNER, Note("ended", conversation_id, run_id))
        except StorageError as error:
            logger.warning("no sweep: %s", error)
        await asyncio.sleep(SWEEP_SECONDS)


async def _discover(models: Catalog, feed: MemoryFeed) -> None:
    """Ask the servers for their models, behind the start, and tell the pages."""
    if await models.discover():
        feed.publish(LOCAL_OWNER, Note("models", ""))
