"""What long and rough tests need beside what the end-to-end tests have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.browser.conftest import vendor
from tests.support.loop import LoopThread
from tests.support.simulated import Simulated
from tests.system.soak.server import Watched

__all__ = ["vendor"]


@pytest.fixture
def simulated(loop: LoopThread) -> Iterator[Simulated]:
    """A simulator with an empty journal."""
    child = Simulated(loop)
    yield child
    child.close()


@pytest.fixture
def serve(built: None, tmp_path: Path) -> Iterator[Callable[..., Watched]]:
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
