"""One real server with the simulator's model, the examples' pages on another origin, and a real Chromium."""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from devservers.app import ROOT, Served
from devservers.ports import free_port
from streamchat import bun
from tests.support.loop import LoopThread
from tests.support.relay import Relay

EXAMPLES = ROOT / "examples"


@dataclass(frozen=True)
class Pages:
    """A web server of its own, as ``python -m http.server`` is: what is on it is foreign to the app."""

    url: str
    folder: Path


@pytest.fixture(scope="package")
def pages(built: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    folder = tmp_path_factory.mktemp("pages")
    shutil.copytree(EXAMPLES, folder / "examples")
    shutil.copytree(ROOT / "assets", folder / "assets")
    _bundle(folder)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield Pages(f"http://127.0.0.1:{server.server_port}", folder)
    server.shutdown()
    server.server_close()
    thread.join(10)


def _bundle(folder: Path) -> None:
    """``hook.html`` bundled as a person would, with the React that the page's own build has installed."""
    (folder / "node_modules").symlink_to(ROOT / ".web" / "node_modules")
    command = [bun.path(), "build", "examples/hook.html", "--outdir", "bundled"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, env=os.environ)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="package")
def grpc_port() -> int:
    return free_port()


@pytest.fixture(scope="package")
def relay_port() -> int:
    return free_port()


@pytest.fixture(scope="package")
def relay(relay_port: int, served: Served, loop: LoopThread) -> Iterator[Relay]:
    """In front of the server: it can cut connections."""
    between = Relay(loop, relay_port, served.port).start()
    yield between
    between.close()


@pytest.fixture(scope="package")
def served(pages: Pages, grpc_port: int, relay_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    settings = {
        "STREAMCHAT_MODELS": "simulator:tour",
        "STREAMCHAT_CORS_ORIGINS": pages.url,
        "STREAMCHAT_GRPC_PORT": str(grpc_port),
        "STREAMCHAT_PUBLIC_URL": f"http://127.0.0.1:{relay_port}",
    }
    server = Served(tmp_path_factory.mktemp("examples") / "data", settings).start()
    yield server
    server.stop()
