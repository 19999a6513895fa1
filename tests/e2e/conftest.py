"""A real Chromium against a real server: built once, one shared server, a fresh browser context per test."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Playwright, sync_playwright

from streamchat import build
from tests.e2e.chat_page import WATCH, ChatPage, Oddities
from tests.e2e.loop import LoopThread
from tests.e2e.relay import Relay
from tests.e2e.served import Served, free_port
from tests.e2e.simulated import Simulated
from tests.e2e.vendor import Vendor

HERE = Path(__file__).parent
ARGUMENTS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
MODELS = "openai:tour,simulator:tour,local:smollm2,anthropic:claude-test"
PLANTED = {
    "OPENAI_API_KEY": "sk-CANARY-openai-1234567890abcdef",
    "ANTHROPIC_API_KEY": "sk-ant-CANARY-1234567890abcdef",
}
OpenPage = Callable[..., ChatPage]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(180))


@pytest.fixture(scope="session")
def loop() -> Iterator[LoopThread]:
    thread = LoopThread()
    yield thread
    thread.close()


@pytest.fixture(scope="session")
def built() -> None:
    """The page, as it is in the checkout now."""
    if not build.is_current():
        build.build()


@pytest.fixture(scope="session")
def simulated(loop: LoopThread) -> Iterator[Simulated]:
    child = Simulated(loop)
    yield child
    child.close()


@pytest.fixture(scope="session")
def relay(served: Served, relay_port: int, loop: LoopThread) -> Iterator[Relay]:
    """In front of the shared server, which takes the relay's address for its public one."""
    between = Relay(loop, relay_port, served.port).start()
    yield between
    between.close()


@pytest.fixture(scope="session")
def relay_port() -> int:
    return free_port()


@pytest.fixture(scope="session")
def served(
    built: None, simulated: Simulated, relay_port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """The shared server. ``openai:<scene>`` is the simulator whose journal the tests read; the default is its tour."""
    settings = {
        **simulated.settings,
        "STREAMCHAT_MODELS": MODELS,
        "STREAMCHAT_PUBLIC_URL": f"http://127.0.0.1:{relay_port}",
    }
    server = Served(tmp_path_factory.mktemp("shared") / "data", settings).start()
    yield server
    server.stop()


@pytest.fixture
def serve(built: None, tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Servers of a test's own: ``serve(NAME="value", …)``."""
    servers: list[Served] = []

    def start(**settings: str) -> Served:
        servers.append(Served(tmp_path / f"data{len(servers)}", settings))
        return servers[-1].start()

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def vendor(loop: LoopThread) -> Iterator[Vendor]:
    """A model server that says what the test wants; the server ``planted`` asks it."""
    server = Vendor(loop).start()
    yield server
    server.close()


@pytest.fixture(scope="session")
def planted(built: None, vendor: Vendor, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with keys that must never be seen, whose vendors are ``vendor``."""
    settings = {
        **PLANTED,
        "OPENAI_BASE_URL": vendor.url,
        "ANTHROPIC_BASE_URL": vendor.url.removesuffix("/v1"),
        "STREAMCHAT_MODELS": "openai:one,anthropic:two,simulator:tour",
        "STREAMCHAT_RETRIES": "0",
    }
    server = Served(tmp_path_factory.mktemp("planted") / "data", settings).start()
    yield server
    server.stop()


@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    # Not longer than this package: while it runs, no other test of this thread could start an event loop.
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="package")
def browser(playwright: Playwright) -> Iterator[Browser]:
    found = os.environ.get("CHROMIUM") or next(
        (path for path in ("/usr/bin/chromium", shutil.which("chromium")) if path and Path(path).exists()), None
    )
    try:
        started = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
    except Error as error:
        pytest.skip(f"no Chromium here (apt install chromium): {str(error).splitlines()[0]}")
    yield started
    started.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(viewport={"width": 1280, "height": 800})
    made.add_init_script(WATCH)
    yield made
    made.close()


@pytest.fixture
def open_page(context: BrowserContext, served: Served) -> Iterator[OpenPage]:
    """``open_page(path, server=…, url=…)``: a new tab. The test fails on anything odd that a tab did."""
    oddities = Oddities(context)

    def opened(path: str | None = "/", server: Served = served, url: str = "") -> ChatPage:
        oddities.own(server.url, url or server.url)
        chat = ChatPage(context.new_page(), server, oddities, url or server.url)
        return chat.open(path) if path is not None else chat

    yield opened
    assert oddities.unexpected() == []


@pytest.fixture
def chat(open_page: OpenPage) -> ChatPage:
    """A new chat on the shared server."""
    return open_page("/")


@pytest.fixture
def mark() -> str:
    """A word that no other test says, to find this test's requests in the journal."""
    return f"test-{uuid.uuid4().hex[:12]}"
