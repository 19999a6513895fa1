"""The program under test, started as a person starts it; or a floor, or another server, in its place.

It answers from the benchmark's simulator, which it takes for a compatible server of OpenAI's dialect.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from bench.load import SCENE, Simulator
from bench.measure import free_port
from streamchat.build import ROOT

MODEL = f"openai:{SCENE}"
SHIPPED = ("-m", "streamchat", "run")
FLOOR = ("-m", "bench.floor")
_PATIENCE = 90.0


@dataclass(frozen=True, slots=True)
class App:
    """``pid``: of the server itself. ``ready``: seconds from the start of the process until it served the page."""

    pid: int
    port: int
    ready: float

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def app(
    simulator: Simulator,
    *,
    server: Sequence[str] = SHIPPED,
    data: Path | None = None,
    bytecode: Path | None = None,
    public_url: str = "",
    settings: Mapping[str, str] | None = None,
    checkout: Path = ROOT,
) -> AsyncIterator[App]:
    """Serve on a free port until the block ends.

    ``data``: the data directory (a new one). ``bytecode``: where modules are kept compiled (where they always
    are). ``public_url``: another address that the page is loaded from, as behind a proxy. ``settings``: further ones.
    ``checkout``: where the program is, with its page built.
    """
    with tempfile.TemporaryDirectory(prefix="streamchat-bench-") as empty:
        environment = os.environ | {
            "PORT": str(free_port()),
            "PYTHONPATH": str(checkout),
            "STREAMCHAT_DATA_DIR": str(data or empty),
            "STREAMCHAT_PUBLIC_URL": public_url,
            "STREAMCHAT_MODELS": MODEL,
            "OPENAI_BASE_URL": simulator.base_url,
            "OPENAI_API_KEY": simulator.address.api_key,
        }
        environment |= settings or {}
        if bytecode:
            environment = {**environment, "PYTHONPYCACHEPREFIX": str(bytecode), "PYTHONDONTWRITEBYTECODE": ""}
        async with _serving([sys.executable, *server], environment, checkout) as running:
            yield running


@asynccontextmanager
async def _serving(command: Sequence[str], environment: dict[str, str], folder: Path) -> AsyncIterator[App]:
    port = int(environment["PORT"])
    started = time.monotonic()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT)  # noqa: ASYNC220 it returns at once
        try:
            if not await _served(f"http://127.0.0.1:{port}/", process):
                output.seek(0)
                raise RuntimeError(f"the server did not start:\n{output.read().decode(errors='replace')[-2000:]}")
            yield App(process.pid, port, time.monotonic() - started)
        finally:
            await _end(process)


async def _served(url: str, process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + _PATIENCE
    async with httpx2.AsyncClient() as client:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                if (await client.get(url)).status_code in (200, 303, 401):  # the page, or that one has to sign in
                    return True
            except httpx2.TransportError:
                await asyncio.sleep(0.02)
    return False


async def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        await asyncio.to_thread(process.wait, 10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
