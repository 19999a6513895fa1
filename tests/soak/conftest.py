"""What long and rough tests need beside what the end-to-end tests have."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, sync_playwright

from tests.e2e.conftest import ARGUMENTS, built, loop, vendor  # noqa: F401 fixtures
from tests.e2e.loop import LoopThread
from tests.e2e.simulated import Simulated
from tests.soak.server import Watched


@pytest.fixture
def simulated(loop: LoopThread) -> Iterator[Simulated]:  # noqa: F811
    """A simulator with an empty journal."""
    child = Simulated(loop)
    yield child
    child.close()


@pytest.fixture
def serve(built: None, tmp_path: Path) -> Iterator[Callable[..., Watched]]:  # noqa: F811
    """Servers of a test's own: ``serve(NAME="value", …)``, started."""
    servers: list[Watched] = []

    def start(data_dir: Path | None = None, **settings: str) -> Watched:
        server = Watched(data_dir or tmp_path / f"data{len(servers)}", settings)
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.kill()


@pytest.fixture
def browser() -> Iterator[Browser]:
    """No longer than one test: where Playwright runs, no async test could."""
    found = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        try:
            started = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        except Error as error:
            pytest.skip(f"no Chromium here (apt install chromium): {str(error).splitlines()[0]}")
        yield started
        started.close()
