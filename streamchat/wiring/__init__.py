"""Composition root: the only package that names concrete classes and builds them from the settings.

This module builds the services of a process, and opens and closes them. ``build_models`` builds the catalog of models,
``build_tools`` the toolbox; ``recovery`` ends answers whose process is gone.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamchat.accounts.service import Accounts
from streamchat.encryption import Encryption
from streamchat.errors import StorageError
from streamchat.identity import Identify, identify_local
from streamchat.providers.catalog import Catalog
from streamchat.runs.completion_log import BackgroundWriter, CompletionLog, FileSink, RedisSink
from streamchat.runs.log import Log, MemoryLog
from streamchat.runs.notifications import Feed, MemoryFeed, Notification
from streamchat.runs.persistence import Writer
from streamchat.runs.queue import AnswerQueue
from streamchat.runs.service import RunService
from streamchat.runs.takeover import Budget
from streamchat.runs.titles import Titles
from streamchat.settings import Settings, load_settings
from streamchat.storage import Storage
from streamchat.tools.toolbox import Toolbox
from streamchat.watchdog import Watchdog
from streamchat.webhooks.attempt import Sender
from streamchat.webhooks.service import Webhooks
from streamchat.wiring.administration import Administration
from streamchat.wiring.build_accounts import build_accounts, hear_revocations
from streamchat.wiring.build_models import build_catalog, build_policy
from streamchat.wiring.build_tools import build_servers, build_toolbox
from streamchat.wiring.personal_keys import PersonalKeys
from streamchat.wiring.recovery import Recovery
from streamchat.wiring.retention import keep_retention
from streamchat.wiring.uploads import Uploads
from streamchat.wiring.usage import Usage
from streamchat.wiring.user_modules import NO_MODULES, UserModules, load_user_modules

if TYPE_CHECKING:
    from streamchat.runs.redis.engine import RedisEngine
    from streamchat.telemetry.export import Exporter
    from streamchat.telemetry.instruments import Telemetry

# For so long after its last change a temporary chat is there; pause between two looks.
TEMPORARY_SECONDS, DROP_SECONDS = 3600.0, 30.0
# The loop shares one lock with the threads of transactions and tools: who wants it while another computes waits for so
# long, a transaction at each statement. With Python's 5 ms the provider was asked 5 to 15 ms later.
SWITCH_SECONDS = 0.0005
# Prefix of a completion log that is a stream in Redis.
REDIS = "redis:"


def state_lost() -> tuple[type[Exception], ...]:
    """Return the exceptions that storing a tab's state raises while Redis, which stores it, is away."""
    errors = sys.modules.get("redis.exceptions")  # imported only if Redis is set up
    return (errors.RedisError, OSError) if errors else (OSError,)


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that pages and endpoints call.

    ``identify`` maps credentials to an identity; ``usage`` counts what callers use; ``administration``: what an admin
    decided; ``accounts``: ``None`` if nobody has to sign in; ``record``: the completion log, ``None`` if it is off.
    ``telemetry``: ``None`` if nobody measures. ``keys``: those of vendors that people bring; off if it is left out.
    ``uploads``: the way in for files.
    """

    settings: Settings
    models: Catalog
    store: Storage
    runs: RunService
    tools: Toolbox = field(default_factory=Toolbox)
    identify: Identify = identify_local
    watchdog: Watchdog = field(default_factory=Watchdog)
    accounts: Accounts | None = None
    record: CompletionLog | None = None
    telemetry: Telemetry | None = None
    keys: PersonalKeys = None  # pyrefly: ignore[bad-assignment] set below
    webhooks: Webhooks = None  # pyrefly: ignore[bad-assignment] set below
    administration: Administration = field(init=False)
    usage: Usage = field(init=False)
    uploads: Uploads = field(init=False)

    def __post_init__(self) -> None:
        administration = Administration(self.settings, self.store.usage, self.models, self.runs.feed)
        object.__setattr__(self, "administration", administration)
        if self.keys is None:
            keys = PersonalKeys(self.settings, self.store.provider_keys, self.models, self.runs.feed)
            object.__setattr__(self, "keys", keys)
        if self.webhooks is None:
            object.__setattr__(self, "webhooks", build_webhooks(self.settings, self.store))
        object.__setattr__(self, "usage", Usage(self.settings, administration))
        object.__setattr__(self, "uploads", Uploads(self.settings, self.store))


class ServiceHolder:
    """Late-bound reference to the services of a server: the app is assembled before they are open.

    ``services``: services that are open already, for tests. ``settings``: read when the server starts. ``modules``: the
    tools and models of the program that this server is a part of.
    """

    def __init__(
        self,
        services: Services | None = None,
        *,
        identify: Identify = identify_local,
        settings: Callable[[], Settings] = load_settings,
        modules: UserModules = NO_MODULES,
    ) -> None:
        self.identify = identify
        self._settings = settings
        self._modules = modules
        self._services = services

    @property
    def services(self) -> Services:
        """The services. Raises ``RuntimeError`` unless the server is running."""
        if self._services is None:
            raise RuntimeError("the services are not running")
        return self._services

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Open the services at the start of the server; end every run and close them at its end."""
        sys.setswitchinterval(SWITCH_SECONDS)
        async with running_services(self._settings(), self.identify, modules=self._modules) as built:
            self._services = built
            try:
                yield
            finally:
                self._services = None


@asynccontextmanager
async def running_services(
    settings: Settings,
    identify: Identify = identify_local,
    worker: str = "",
    *,
    modules: UserModules = NO_MODULES,
) -> AsyncIterator[Services]:
    """Open the services and their background tasks. Raises ``StorageError``, ``SettingsError``.

    ``worker``: the name of this worker among all; by default that of its process. ``modules``: tools and models beside
    those of the settings.
    """
    worker = worker or f"{socket.gethostname()}:{os.getpid()}"
    servers = build_servers(settings)
    modules = modules.and_those_of(load_user_modules(settings))
    tools = build_toolbox(settings, servers, modules)
    if settings.database_url is None:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    store = Storage(settings.database, temporary=settings.redis_url is None, has_accounts=settings.requires_identity)
    await store.open()
    models = build_catalog(settings, modules)
    try:
        async with _engine(settings, worker) as engine:
            log = engine.log if engine else MemoryLog(settings.run_keep, settings.run_bytes)
            feed = engine.feed if engine else MemoryFeed()
            writer = Writer(log, store)
            keys = PersonalKeys(settings, store.provider_keys, models, feed)
            runs = RunService(
                log=log,
                feed=feed,
                store=store,
                models=models,
                writer=writer,
                policy=build_policy(settings),
                worker=worker,
                toolbox=tools,
                tool_services=store,
                ask_stop=engine.feed.ask_stop if engine else None,
                budget=Budget(settings.continue_tries),
                models_of=keys.models_of,
                queue=AnswerQueue(settings.max_answers),
                store_pictures=Uploads(settings, store).stored_result,
            )
            if engine:
                engine.feed.on_stop = runs.stop_local
                engine.log.on_superseded = runs.abandon
                engine.log.publisher.doubtful = lambda: writer.doubtful
            titles = build_titles(settings, models, log, store, feed, keys.models_of)
            if titles:
                runs.on_ended = titles.offer
            recovery = Recovery(store, runs, feed, engine.log if engine else None)
            record = _completion_log(settings, runs)
            watchdog = Watchdog()
            exporter = _exporter(settings, runs, writer, store, watchdog)
            watchdog.start()
            writer.start()
            servers.start()
            if record:
                record.start()
            try:
                async with AsyncExitStack() as behind:
                    work = [
                        recovery.work(),
                        keep_retention(store, feed, settings.retention_days, settings.audit_days),
                        _drop_temporary(store, feed),
                        _discover(models, feed),
                        models.warm_up(),
                        keys.work(),
                    ]
                    behind.push_async_callback(keys.flush)
                    work += [titles.work()] if titles else []
                    if accounts := build_accounts(settings, store, feed):
                        identify = accounts.sessions.identify if identify is identify_local else identify
                        work += [accounts.sessions.work(), hear_revocations(feed, accounts.sessions)]
                        behind.push_async_callback(accounts.close)
                    telemetry = exporter.telemetry if exporter else None
                    services = Services(
                        settings, models, store, runs, tools, identify, watchdog, accounts, record, telemetry, keys
                    )
                    await services.administration.reload()
                    work += [services.administration.work(), services.webhooks.work()]
                    await behind.enter_async_context(_behind(*work))
                    yield services
            finally:
                watchdog.close()
                await runs.close()
                await writer.close()
                if record:
                    await record.close()
                if exporter:
                    await exporter.close()
                await servers.close()
    finally:
        await models.close()
        await store.close()


def build_webhooks(settings: Settings, store: Storage) -> Webhooks:
    """Return the webhooks of everybody."""
    secrets = [secret.get_secret_value() for secret in settings.secret_key]
    encryption = Encryption(secrets) if secrets else None
    return Webhooks(store.webhooks, Sender(private=settings.webhook_private), encryption)


def build_titles(
    settings: Settings,
    models: Catalog,
    log: Log,
    store: Storage,
    feed: Feed,
    models_of: Callable[[str], Awaitable[Catalog]],
) -> Titles | None:
    """Return the maker of titles; ``None`` if it is off. ``models_of``: the models of an owner.

    By default a model file of one's own makes them. Those of the small model that is installed with the app are worse
    than the first words of the question.
    """
    model = settings.titles
    if model is None:
        usable = (info.id for info in models.offered.values() if info.unavailable is None)
        local = next((name for name in usable if name.startswith("local:")), None)
        model = local if local and settings.local_gguf else "off"
    return None if model == "off" else Titles(model, models_of=models_of, log=log, store=store, feed=feed)


def _exporter(
    settings: Settings, runs: RunService, writer: Writer, store: Storage, watchdog: Watchdog
) -> Exporter | None:
    """Return where measurements go; ``None`` if nobody wants them: then none of their libraries is imported."""
    if settings.metrics is None and not (settings.exports_metrics or settings.exports_traces):
        return None
    from streamchat.telemetry.export import Exporter
    from streamchat.telemetry.instruments import Process

    exporter = Exporter(
        metrics=settings.metrics_address,
        otlp_metrics=settings.exports_metrics,
        otlp_traces=settings.exports_traces,
        service="streamchat",
    )
    exporter.telemetry.observe(
        Process(
            running=lambda: runs.active_count,
            queued=lambda: runs.queue.waiting,
            readers=lambda: runs.log.readers,
            pending_writes=lambda: writer.pending,
            pauses=lambda: (watchdog.pauses.count, watchdog.pauses.total),
            database_errors=lambda: store.errors,
            takeovers=lambda: runs.takeovers,
        )
    )
    runs.measure = exporter.telemetry.ended
    return exporter


def _completion_log(settings: Settings, runs: RunService) -> CompletionLog | None:
    """Return the completion log; ``None`` if it is off."""
    target = settings.completion_log
    if target is None:
        return None
    if target.startswith(REDIS):
        assert settings.redis_url is not None
        sink = RedisSink(settings.redis_url, target.removeprefix(REDIS))
    else:
        sink = FileSink(Path(target))
    return CompletionLog(runs, BackgroundWriter(sink))


async def _drop_temporary(store: Storage, feed: Feed) -> None:
    """Delete the temporary chats without a change for ``TEMPORARY_SECONDS``, and tell the pages that show them."""
    while True:
        await asyncio.sleep(DROP_SECONDS)
        with suppress(StorageError):
            for owner, conversation_id in await store.drop_temporary(
                datetime.now(UTC) - timedelta(seconds=TEMPORARY_SECONDS)
            ):
                feed.publish(owner, Notification("changed", conversation_id))


@asynccontextmanager
async def _behind(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run these in the background while the context is open."""
    tasks = [asyncio.create_task(one, name=getattr(one, "__qualname__", None)) for one in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def _engine(settings: Settings, worker: str) -> AsyncIterator[RedisEngine | None]:
    """Open the part that is shared with other workers; ``None`` without Redis."""
    if settings.redis_url is None:
        yield None
        return
    from streamchat.runs.redis.engine import redis_engine
    from streamchat.runs.redis.run_publisher import Limits

    limits = Limits(settings.run_keep, settings.run_entries, settings.run_bytes)
    async with redis_engine(settings.redis_url, worker=worker, limits=limits) as engine:
        yield engine


async def _discover(models: Catalog, feed: Feed) -> None:
    """Ask the servers for their models in the background, and notify the pages."""
    if await models.discover():
        feed.publish_to_all(Notification("models", ""))
