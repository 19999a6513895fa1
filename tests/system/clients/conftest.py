"""One server with the simulator's models, for clients that are installed for themselves; and how they are installed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from streamchat.processes.subprocess_server import Address
from streamchat.providers.catalog import Catalog, Source
from streamchat.simulator.provider import MODELS, Simulator
from tests.integration.protocols.conftest import Api, serving_api, simulated
from tests.support.loop import LoopThread

__all__ = ["simulated"]
UV = Path(sys.executable).with_name("uv")


def installed(folder: Path, packages: Sequence[str | Path]) -> Path | str:
    """Install packages into an environment of their own. Return its Python, or why there is none."""
    python = folder / "bin" / "python"
    commands = ([UV, "venv", "--python", sys.executable, folder],
                [UV, "pip", "install", "--python", python, *packages])  # fmt: skip
    for command in commands:
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=200)
        except subprocess.TimeoutExpired:
            return "the package index does not answer in time"
        if done.returncode:
            return f"the package index does not give {', '.join(map(str, packages))}: {done.stderr[-500:]}"
    return python


@pytest.fixture(scope="module")
def api(loop: LoopThread, simulated: Address, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    async def build() -> Catalog:
        return Catalog([Source("simulator", Simulator(address=simulated), MODELS)])

    serving = serving_api(tmp_path_factory.mktemp("served"), loop.run(build()), loop, [])
    api = loop.run(serving.__aenter__())
    yield api
    for client in api.open:
        client.close()
    loop.run(serving.__aexit__(None, None, None))
