"""A real Chromium against a real server: one of each per process of tests.

Tests share a browser context, emptied between them, so that the page's code comes from the cache: half of the work of a
load. A test that names the fixture ``context``, and so may change it, gets a fresh one.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from inspect import signature
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext

from devservers.app import Served
from devservers.ports import free_port
from tests.support.chat_page import WATCH, ChatPage, Oddities
from tests.support.loop import LoopThread
from tests.support.relay import Relay
from tests.support.simulated import Simulated
from tests.support.vendor import Vendor
from tests.support.wire import Wire

MODELS = (
    "openai:tour,simulator:tour,local:smollm2,anthropic:claude-test,"
    "simulator:cut,simulator:reasoning,simulator:overloaded-after,simulator:slow"
)
PLANTED = {
    "OPENAI_API_KEY": "sk-CANARY-openai-1234567890abcdef",
    "ANTHROPIC_API_KEY": "sk-ant-CANARY-1234567890abcdef",
}
# What pages leave in a browser beside its cache.
STORED = "local_storage,indexeddb,cache_storage,service_workers"
OpenPage = Callable[..., ChatPage]


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


@pytest.fixture(scope="session")
def shared_context(browser: Browser) -> BrowserContext:
    """The context of all tests that do not change theirs. It is closed with the browser."""
    return new_context(browser)


@pytest.fixture
def context(
    request: pytest.FixtureRequest, browser: Browser, shared_context: BrowserContext
) -> Iterator[BrowserContext]:
    """The shared context without what other tests have left in it; a fresh one if the test itself names it."""
    if "context" in signature(request.function).parameters:
        made = new_context(browser)
        yield made
        made.close()
        return
    shared_context.clear_cookies()
    shared_context.clear_permissions()
    shared_context.set_offline(False)
    yield shared_context
    for page in shared_context.pages:
        page.close()


def new_context(browser: Browser) -> BrowserContext:
    made = browser.new_context(viewport={"width": 1280, "height": 800})
    made.add_init_script(WATCH)
    return made


@pytest.fixture
def open_page(context: BrowserContext, served: Served) -> Iterator[OpenPage]:
    """``open_page(path, server=…, url=…)``: a new tab. The test fails on anything odd that a tab did."""
    oddities = Oddities(context)
    emptied: set[str] = set()

    def opened(path: str | None = "/", server: Served = served, url: str = "") -> ChatPage:
        oddities.own(server.url, url or server.url)
        page = context.new_page()
        if (origin := url or server.url) not in emptied:
            emptied.add(origin)
            devtools = context.new_cdp_session(page)
            devtools.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": STORED})
            devtools.detach()
        chat = ChatPage(page, server, oddities, origin)
        return chat.open(path) if path is not None else chat

    yield opened
    oddities.close()
    assert oddities.unexpected() == []


@pytest.fixture
def tab(open_page: OpenPage) -> ChatPage:
    """A tab of the shared server that has not opened anything yet."""
    return open_page(None)


@pytest.fixture
def wire(tab: ChatPage) -> Wire:
    """The socket of ``tab``."""
    tab.oddities.allow("WebSocket")
    return Wire(tab.page)


@pytest.fixture
def phone(browser: Browser, served: Served) -> Iterator[ChatPage]:
    """As ``tab``, on a phone."""
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    oddities = Oddities(context)
    oddities.own(served.url)
    yield ChatPage(context.new_page(), served, oddities, served.url)
    context.close()
    assert oddities.unexpected() == []


@pytest.fixture
def chat(open_page: OpenPage) -> ChatPage:
    """A new chat on the shared server."""
    return open_page("/")


@pytest.fixture
def mark() -> str:
    """A word that no other test says, to find this test's requests in the journal."""
    return f"test-{uuid.uuid4().hex[:12]}"
