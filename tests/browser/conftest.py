"""A real Chromium against a real server: one of each per process of tests.

Tests share a browser context, emptied between them, and its tabs, so that the page's code comes from the cache and is
compiled: a quarter of the work of a load. A test that names the fixture ``context``, and so may change it, gets a fresh
one.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext

from devservers.app import Served
from devservers.ports import Ports, free_port
from tests.support.chat_page import WATCH, ChatPage, Oddities
from tests.support.loop import LoopThread
from tests.support.relay import Relay
from tests.support.simulated import Simulated
from tests.support.tabs import Tabs
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
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
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


@pytest.fixture(scope="session")
def ports() -> Ports:
    return Ports()


@pytest.fixture
def serve(built: None, tmp_path: Path, ports: Ports) -> Iterator[Callable[..., Served]]:
    """Servers of a test's own: ``serve(NAME="value", …)``."""
    servers: list[Served] = []

    def start(**settings: str) -> Served:
        servers.append(Served(tmp_path / f"data{len(servers)}", settings, ports.take()))
        return servers[-1].start()

    yield start
    for server in servers:
        server.stop()
        ports.give_back(server.port)


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
def shared_tabs(browser: Browser) -> Tabs:
    """The tabs of all tests that do not change their context, which is closed with the browser."""
    return Tabs(new_context(browser))


@pytest.fixture
def tabs(request: pytest.FixtureRequest, browser: Browser, shared_tabs: Tabs) -> Iterator[Tabs]:
    """The shared tabs without what other tests have left in them; new ones if the test itself names ``context``."""
    if "context" in signature(request.function).parameters:
        made = new_context(browser)
        yield Tabs(made)
        made.close()
        return
    yield shared_tabs
    shared_tabs.give_back()


@pytest.fixture
def context(tabs: Tabs) -> BrowserContext:
    return tabs.context


def new_context(browser: Browser, **options: Any) -> BrowserContext:
    """Nothing moves by itself, as each frame of it costs: tests that are about what moves ask for it."""
    usual: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce"}
    made = browser.new_context(**usual | options)
    made.add_init_script(WATCH)
    return made


@pytest.fixture
def open_page(tabs: Tabs, served: Served) -> Iterator[OpenPage]:
    """``open_page(path, server=…, url=…)``: a new tab. The test fails on anything odd that a tab did."""
    oddities = Oddities(tabs.context)

    def opened(path: str | None = "/", server: Served = served, url: str = "", wired: bool = False) -> ChatPage:
        origin = url or server.url
        oddities.own(server.url, origin)
        chat = ChatPage(tabs.take(origin, wired), server, oddities, origin)
        return chat.open(path) if path is not None else chat

    yield opened
    oddities.close()
    assert oddities.unexpected() == []


@pytest.fixture
def tab(request: pytest.FixtureRequest, open_page: OpenPage) -> ChatPage:
    """A tab of the shared server that has not opened anything yet."""
    return open_page(None, wired="wire" in request.fixturenames)


@pytest.fixture
def wire(tab: ChatPage, tabs: Tabs) -> Wire:
    """The socket of ``tab``."""
    tab.oddities.allow("WebSocket")
    return tabs.wire(tab.page)


@pytest.fixture(scope="session")
def phone_tabs(browser: Browser) -> Tabs:
    """As ``shared_tabs``, on a phone."""
    return Tabs(new_context(browser, **PHONE))


@pytest.fixture
def phone(phone_tabs: Tabs, served: Served) -> Iterator[ChatPage]:
    """As ``tab``, on a phone."""
    oddities = Oddities(phone_tabs.context)
    oddities.own(served.url)
    yield ChatPage(phone_tabs.take(served.url), served, oddities, served.url)
    oddities.close()
    phone_tabs.give_back()
    assert oddities.unexpected() == []


@pytest.fixture
def chat(open_page: OpenPage) -> ChatPage:
    """A new chat on the shared server."""
    return open_page("/")


@pytest.fixture
def mark() -> str:
    """A word that no other test says, to find this test's requests in the journal."""
    return f"test-{uuid.uuid4().hex[:12]}"
