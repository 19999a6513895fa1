"""The one place that names concrete classes and builds them from the settings."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from streamchat.errors import StorageError
from streamchat.providers import local, simulator
from streamchat.providers.anthropic import Anthropic
from streamchat.providers.base import ModelInfo
from streamchat.providers.catalog import Catalog, Source
from streamchat.providers.openai_chat import OpenAIChat
from streamchat.runs.attempts import Policy, Target
from streamchat.runs.feed import MemoryFeed, Note
from streamchat.runs.intake import Deadlines
from streamchat.runs.log import MemoryLog
from streamchat.runs.runs import Runs
from streamchat.runs.writer import Writer
from streamchat.settings import Settings, load_settings
from streamchat.storage import Storage

LOCAL_OWNER = "local"
# The writer beats every half second, so six seconds of silence are a dead process, not a busy one.
HEARTBEAT_STALE = timedelta(seconds=6)
SWEEP_SECONDS = 2.0
CUT_OFF = "The server stopped while it answered. What had arrived is kept."
OPENAI_MODELS = ("gpt-6.2-sol", "gpt-6-luna", "gpt-5.4-mini")
ANTHROPIC_MODELS = ("claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5")
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
    try:
        yield Services(settings, models, store, runs)
    finally:
        sweeper.cancel()
        with suppress(asyncio.CancelledError):
            await sweeper
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


def build_policy(settings: Settings, models: Catalog) -> Policy:
    """Retries, deadlines, and who continues an answer that broke."""
    deadlines = Deadlines(settings.first_token_timeout, settings.idle_timeout, settings.total_timeout)

    def rescue(target: Target) -> Target:
        if settings.fallback_model is None:
            return target
        info = models.info(settings.fallback_model)
        return Target(models.provider(info.id), info.name, info.label)

    return Policy(settings.retries, rescue if settings.rescue else None, deadlines)


def build_catalog(settings: Settings) -> Catalog:
    """The models on offer: vendors whose key is set, the embedded model, the simulator, then the rest."""
    vendors = [_openai(settings), _anthropic(settings)]
    return Catalog([*vendors, _local(settings), _simulator(settings)], settings.models)


def _openai(settings: Settings) -> Source:
    provider = OpenAIChat(
        api_key=_secret(settings.openai_api_key),
        base_url=settings.openai_base_url,
        connect_timeout=settings.connect_timeout,
    )
    return _vendor("openai", "OPENAI", provider, bool(settings.openai_api_key), settings.openai_base_url, OPENAI_MODELS)


def _anthropic(settings: Settings) -> Source:
    provider = Anthropic(
        api_key=_secret(settings.anthropic_api_key),
        base_url=settings.anthropic_base_url,
        connect_timeout=settings.connect_timeout,
    )
    key, url = bool(settings.anthropic_api_key), settings.anthropic_base_url
    return _vendor("anthropic", "ANTHROPIC", provider, key, url, ANTHROPIC_MODELS)


def _vendor(
    name: str,
    variable: str,
    provider: OpenAIChat | Anthropic,
    has_key: bool,
    base_url: str | None,
    names: Sequence[str],
) -> Source:
    missing = None if has_key or base_url else f"set {variable}_API_KEY and start again."
    infos = [ModelInfo(f"{name}:{model}", model, unavailable=missing) for model in names]
    return Source(name, provider, infos, open_ended=True, unavailable=missing)


def _local(settings: Settings) -> Source:
    provider = local.Local(settings.local_gguf)
    return Source("local", provider, provider.models)


def _simulator(settings: Settings) -> Source:
    return Source("simulator", simulator.Simulator(), simulator.MODELS)


def _secret(value) -> str | None:
    return value.get_secret_value() if value is not None else None
