"""What the tiers share: servers, one of each per process of tests, and the order in which several processes work."""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import signal
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from devservers import postgres, redis
from devservers.postgres import PostgresServer
from devservers.redis import RedisCluster, RedisServer
from tests import ROOT
from tests.support.long import examples
from tests.support.loop import LoopThread

if TYPE_CHECKING:  # importing it takes a second, which the unit tier does not need
    from playwright.sync_api import Browser, Playwright

TESTS = Path(__file__).parent
# What takes longest begins first, so that no process is left alone with it at the end; short tests fill the rest.
ORDER = (
    "system/soak/test_soak.py",
    "system/soak/test_many.py",
    "browser/test_reflex_run.py",
    "system/cluster/",
    "browser/test_proxies.py",
    "system/soak/",
    "browser/test_survive.py",
    "system/",
    "browser/",
    "integration/",
    "unit/",
)
# Tests that go to whichever process is free. Those of another file stay together: they share servers.
SPREAD = ("system/soak/", "system/setup/", "browser/")
TOGETHER = (
    "system/cluster/",
    "system/package/",
    "browser/test_reflex_run.py",
    "browser/test_cost.py",
    "browser/test_firefox.py",
    "browser/test_proxies.py",
    "browser/test_safety_socket.py",
)

# The background job of a shell ignores SIGINT, and whatever it starts inherits that: servers that a test ends with
# Ctrl-C would not hear it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# How long an example takes says how busy the machine is.
settings.register_profile(
    "untimed", max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("untimed")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the garbage collector away from what collecting makes, a million objects that stay: it would walk through
    them again and again, which is half of the CPU time of collecting and a tenth of that of many tests."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
        # Without that million all objects would be looked at hundreds of times as often, and what a test left would
        # be found in the midst of any other.
        gc.set_threshold(700, 10, 1000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: _place(item.path.relative_to(TESTS).as_posix()))


def _place(path: str) -> int:
    return next((place for place, beginning in enumerate(ORDER) if path.startswith(beginning)), len(ORDER))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return how many processes ``-n auto`` is: one for each core for the unit tier, more for tests that also wait."""
    cores = os.cpu_count() or 1
    only_unit = all(Path(argument).resolve().is_relative_to(TESTS / "unit") for argument in config.args)
    return cores if only_unit else 5 * cores // 2


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Hand out tests in their order, by the file, by the folder or one by one."""
    from xdist.scheduler.loadscope import LoadScopeScheduling

    class InOrder(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.partition("::")[0].removeprefix("tests/")
            together = next((beginning for beginning in TOGETHER if path.startswith(beginning)), None)
            return together or (nodeid if path.startswith(SPREAD) else path)

    config.option.loadscopereorder = False  # it would put files of few tests last
    return InOrder(config, log)  # pyrefly: ignore[bad-argument-type]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config, specs: list[object]) -> None:
    """Have the processes begin with all tests imported."""
    from tests.support.forked import fork_processes

    fork_processes(config, specs)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Hide Playwright's loop from tests without a browser: its synchronous interface leaves it marked as this thread's
    running one between its calls, and a test with a loop of its own could not start."""
    playwright = asyncio._get_running_loop()
    if playwright is None or "browser" in getattr(item, "fixturenames", ()):
        return (yield)
    asyncio._set_running_loop(None)
    try:
        return (yield)
    finally:
        if not playwright.is_closed():
            asyncio._set_running_loop(playwright)


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        loop = asyncio._get_running_loop()
        yield started
        asyncio._set_running_loop(loop)


# A page of a test lives for two seconds: what V8 optimises in them it does not run long enough to gain by it, and what
# it would collect is gone with the page. A fifth of the renderer's CPU time.
SHORT_LIVED = "--js-flags=--no-maglev --no-turbofan --min-semi-space-size=32"


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """One Chromium; each test takes contexts of its own."""
    started = launch(playwright, SHORT_LIVED)
    yield started
    started.close()


def launch(playwright: Playwright, *more: str) -> Browser:
    """Start Chromium, without a window if there is one that has none. ``more``: further arguments."""
    from playwright.sync_api import Error

    program = os.environ.get("CHROMIUM") or shutil.which("chromium-headless-shell") or shutil.which("chromium")
    arguments = (
        "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
        "--disable-component-update --disable-sync"
    )
    try:
        return playwright.chromium.launch(executable_path=program, args=[*arguments.split(), *more])
    except Error as error:
        pytest.skip(f"no Chromium here (apt install chromium): {str(error).splitlines()[0]}")


@pytest.fixture(scope="session")
def loop() -> Iterator[LoopThread]:
    """A loop for servers that run beside synchronous tests."""
    thread = LoopThread()
    yield thread
    thread.close()


@pytest.fixture(scope="session")
def redis_session() -> Iterator[RedisServer]:
    """One server for the session."""
    if reason := redis.why_not():
        pytest.skip(reason)
    server = RedisServer()
    server.start()
    yield server
    server.remove()


@pytest.fixture(name="redis")
def empty_redis(redis_session: RedisServer) -> RedisServer:
    """That server, empty."""
    redis_session.ask("FLUSHALL")
    return redis_session


@pytest.fixture(scope="session")
def redis_cluster_session() -> Iterator[RedisCluster]:
    """One cluster for the session."""
    if reason := redis.why_not():
        pytest.skip(reason)
    cluster = RedisCluster()
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.remove()


@pytest.fixture
def redis_cluster(redis_cluster_session: RedisCluster) -> RedisCluster:
    """That cluster, empty."""
    redis_cluster_session.empty()
    return redis_cluster_session


@pytest.fixture(scope="session", name="postgres")
def postgres_session() -> Iterator[PostgresServer]:
    """One server for the session; each test takes a database of its own."""
    if reason := postgres.why_not():
        pytest.skip(reason)
    server = PostgresServer()
    server.start()
    yield server
    server.remove()


@pytest.fixture
def postgres_database(postgres: PostgresServer) -> Iterator[str]:
    """The URL of an empty database on that server, which is gone after the test."""
    url = postgres.new_database()
    yield url
    postgres.drop(url)


@pytest.fixture(scope="session")
def built() -> None:
    """The page, as it is in the checkout now; several processes of tests build it once."""
    import fcntl

    from streamchat import build

    (ROOT / ".web").mkdir(exist_ok=True)
    with (ROOT / ".web" / "tests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not build.is_current():
            build.build()
