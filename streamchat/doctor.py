"""``streamchat doctor``: checks the installation and the settings, for the user or a bug report.

The checks are real: the database is written, Redis and the MCP servers are connected, models are asked. Rules:

* No key, password or value of a secret setting is shown. Of environment variables only the names are shown.
* Every check has a time limit. An exception is the result of its check; the other checks continue.
* An optional part that is not set up is not a failure.
"""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import shutil
from collections.abc import Coroutine
from contextlib import aclosing
from importlib.metadata import PackageNotFoundError, version
from urllib.parse import urlsplit

from streamchat import __version__, build, extras, protos
from streamchat.chat.messages import Message, TextPart
from streamchat.chat.request import Options, Request
from streamchat.errors import SettingsError, StreamchatError
from streamchat.findings import Finding, print_findings
from streamchat.providers.base import Provider
from streamchat.settings import Settings, load_settings

PACKAGES = ("reflex", "openai", "anthropic", "sqlalchemy", "uvicorn")
PREFIXES = ("STREAMCHAT_", "OPENAI_", "ANTHROPIC_", "REFLEX_")
# Time limit of a check; a model on this machine may have to load first.
CHECK_SECONDS = 20.0
MODEL_SECONDS = 60.0
MAX_MODELS = 12
QUESTION = "Answer with one word: hello"


def main(*, as_json: bool = False) -> int:
    """Print the findings. Returns the exit code: 1 if something that is set up does not work."""
    logging.disable()  # the findings say it
    return print_findings(asyncio.run(_examine()), as_json=as_json)


async def _examine() -> list[Finding]:
    findings = [*_installation(), _page(), *_extras()]
    try:
        settings = load_settings()
    except SettingsError as error:
        return [*findings, Finding("settings", "failed", error.user_message)]
    findings.append(Finding("settings", "ok", _settings()))
    checks = [_check("database", _database(settings))]
    if settings.redis_url is not None:
        checks.append(_check("Redis", _redis(settings.redis_url)))
    for check in checks:
        findings.append(await check)
    findings += await _servers(settings)
    return findings + await _models(settings)


def _installation() -> list[Finding]:
    kind = "a checkout" if build.is_checkout() else "installed"
    python = f"{platform.python_version()} on {platform.system()} {platform.release()}, {platform.machine()}"
    return [
        Finding("streamchat", "ok", f"{__version__}, {kind} in {build.PACKAGE.parent}"),
        Finding("Python", "ok", python),
        Finding("packages", "ok", ", ".join(f"{name} {_version(name)}" for name in PACKAGES)),
    ]


def _page() -> Finding:
    if not build.is_checkout():
        return Finding("page", "ok", "built, part of the package")
    if build.is_current():
        return Finding("page", "ok", "built from the current sources")
    return Finding("page", "off", "not built from the current sources; `streamchat run` builds it")


def _extras() -> list[Finding]:
    findings = []
    for extra, modules in extras.MODULES.items():
        if extras.is_installed(extra):
            findings.append(Finding(f"extra {extra}", "ok", "installed"))
        else:
            findings.append(Finding(f"extra {extra}", "off", f"not installed ({', '.join(modules)})"))
    if build.is_checkout() and extras.is_installed("grpc") and not protos.is_current():
        text = "not generated from the current protocol; `streamchat run` generates it"
        findings.append(Finding("gRPC code", "off", text))
    return findings


def _settings() -> str:
    names = sorted(name for name in os.environ if name == "PORT" or name.startswith(PREFIXES))
    return f"set: {', '.join(names)}" if names else "all have their defaults"


async def _database(settings: Settings) -> str:
    from streamchat.storage import Storage

    if settings.database_url is None:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    store = Storage(settings.database)
    await store.open()  # takes the write lock, and writes
    await store.close()
    if settings.database_url is not None:
        return f"{store.shown} is writable"
    free = shutil.disk_usage(settings.data_dir).free / 2**20
    return f"{store.shown} is writable, {free:,.0f} MB are free"


async def _redis(url: str) -> str:
    from streamchat.runs.redis.engine import check

    await check(url)
    return f"{urlsplit(url).hostname or 'the socket'} is reachable and usable"


async def _servers(settings: Settings) -> list[Finding]:
    """Start the MCP servers, and wait until each has connected or failed."""
    if not settings.mcp:
        return []
    from streamchat.wiring.build_tools import build_servers

    changed = asyncio.Event()
    loop = asyncio.get_running_loop()
    servers = build_servers(settings, changed=lambda: loop.call_soon_threadsafe(changed.set))
    servers.start()
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            while any(state.state == "connecting" for state in servers.states()):
                await changed.wait()
                changed.clear()
    except TimeoutError:
        pass
    states = servers.states()
    await servers.close()
    return [
        Finding(f"MCP server {state.name}", "ok", f"{len(state.tools)} tools")
        if state.state == "ready"
        else Finding(f"MCP server {state.name}", "failed", state.sentence or "it does not answer")
        for state in states
    ]


async def _models(settings: Settings) -> list[Finding]:
    """Ask the models of ``STREAMCHAT_MODELS``, or else the first model of each provider that is set up."""
    from streamchat.wiring.build_models import build_catalog

    try:
        catalog = build_catalog(settings)
    except StreamchatError as error:
        return [Finding("models", "failed", error.user_message)]
    try:
        await catalog.discover()
        offered = list(catalog.offered.values())
        first = {model.provider: model for model in reversed(offered)}
        models = offered if settings.models else list(reversed(first.values()))
        findings = [
            Finding(source.name, "failed", "the server lists no models, or does not respond")
            for source in catalog.sources
            if source.list_models and not source.models
        ]
        for model in models[:MAX_MODELS]:
            if model.unavailable is None:
                findings.append(await _check(model.id, _ask(catalog.provider(model.id), model.name), MODEL_SECONDS))
            else:
                state = "failed" if settings.models or (model.provider == "local" and settings.local_gguf) else "off"
                findings.append(Finding(model.id, state, model.unavailable))
        return findings
    finally:
        await catalog.close()


async def _ask(provider: Provider, name: str) -> str:
    message = Message(id="doctor", role="user", parts=(TextPart(QUESTION),))
    async with aclosing(provider.stream(Request(name, (message,), options=Options(max_tokens=64)))) as events:
        async for _ in events:
            return "answers"
    return "answers"


async def _check(topic: str, check: Coroutine[object, object, str], seconds: float = CHECK_SECONDS) -> Finding:
    try:
        async with asyncio.timeout(seconds):
            return Finding(topic, "ok", await check)
    except StreamchatError as error:
        return Finding(topic, "failed", error.user_message)
    except TimeoutError:
        return Finding(topic, "failed", f"no response within {seconds:.0f} seconds")
    except OSError as error:
        return Finding(topic, "failed", error.strerror or type(error).__name__)
    except Exception as error:
        return Finding(topic, "failed", f"unexpected: {type(error).__name__}")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"
