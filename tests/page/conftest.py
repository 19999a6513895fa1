"""A served app and a browser for all tests of the page."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.e2e.served import Served
from tests.page.chat import Chat, Wire

MODELS = ("tour", "cut", "reasoning", "overloaded-after", "slow")
ARGUMENTS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    models = ",".join(f"simulator:{name}" for name in MODELS)
    served = Served(tmp_path_factory.mktemp("page") / "data", {"STREAMCHAT_MODELS": models})
    served.start()
    yield served
    served.stop()


@pytest.fixture(scope="package")  # Its event loop must end before tests that have their own.
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("no chromium here")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS.split())
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    yield context.new_page()
    context.close()


@pytest.fixture
def chat(app: Served, page: Page) -> Chat:
    return Chat(page, app.url)


@pytest.fixture
def wire(page: Page) -> Wire:
    return Wire(page)
