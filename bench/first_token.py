"""From nothing to the first painted token: how long a newcomer waits, by the way in which they start.

Everything is really done: a clone, an installation from the index (or pip's cache of it), a start, a question in a real
browser. The model is the simulator, which answers at once.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
from playwright.async_api import Browser

from bench.browser import chromium
from bench.tables import number, show
from devservers import installation
from devservers.app import environment
from devservers.ports import free_port
from streamchat.build import ROOT

PATIENCE = 600.0
QUESTION = "n=50 rate=50"
_PAINTED = "document.querySelector('[data-testid=\"answer\"]')?.textContent.length > 0"


async def run(quick: bool) -> None:
    rows: list[list[str]] = []
    with tempfile.TemporaryDirectory(prefix="streamchat-bench-") as name:
        folder = Path(name)
        async with chromium() as browser:
            rows += await _from_wheel(browser, folder)
            if not quick:
                rows += await _from_clone(browser, folder)
    show(
        "From nothing to the first painted token, in seconds",
        ["", "installed", "serving", "first token painted"],
        rows,
        "Each once. The last two columns are counted from the command: of the first `make run` the installation and "
        "the page's build are a part. Packages come from pip's and Bun's caches if those have them.",
    )


async def _from_wheel(browser: Browser, folder: Path) -> list[list[str]]:
    wheel = installation.build(folder / "dist")
    started = time.monotonic()
    await _finish([sys.executable, "-m", "venv", str(folder / "installed")])
    await _finish([str(folder / "installed/bin/pip"), "install", "--quiet", str(wheel)])
    installed = time.monotonic() - started
    here = folder / "here"
    here.mkdir()
    rows = []
    for name in ("wheel: `pip install`, `streamchat run`", "wheel: `streamchat run` again"):
        command = [str(folder / "installed/bin/streamchat"), "run"]
        serving, painted = await _first_token(browser, command, here, folder / "data")
        rows.append([name, number(installed, 1) if not rows else "", number(serving, 1), number(painted, 1)])
    return rows


async def _from_clone(browser: Browser, folder: Path) -> list[list[str]]:
    clone = folder / "clone"
    await _finish(["git", "clone", "--quiet", str(ROOT), str(clone)])
    reflex = str(clone / ".venv/bin/reflex")
    ways: Mapping[str, Sequence[str]] = {
        "clean clone: `make run`": ["make", "--no-print-directory", "run"],
        "clone: `make run` again": ["make", "--no-print-directory", "run"],
        "clone: `reflex run`": [reflex, "run"],
        "clone: `reflex run --env prod`": [reflex, "run", "--env", "prod"],
    }
    rows = []
    for name, command in ways.items():
        port = ["--backend-port", str(free_port())] if command[-1] == "run" and command[0] == reflex else []
        serving, painted = await _first_token(browser, [*command, *port], clone, folder / "data")
        rows.append([name, "", number(serving, 1), number(painted, 1)])
    return rows


async def _first_token(browser: Browser, command: Sequence[str], where: Path, data: Path) -> tuple[float, float]:
    """Seconds from the command until the page is served, and until a person who asks at once sees something."""
    port = free_port()
    settings = {"PORT": str(port), "STREAMCHAT_DATA_DIR": str(data), "STREAMCHAT_MODELS": "simulator:tour"}
    url = f"http://127.0.0.1:{port}"
    started = time.monotonic()
    async with _running(command, where, settings) as process:
        await _served(url, process)
        serving = time.monotonic() - started
        context = await browser.new_context(bypass_csp=True)  # _PAINTED is evaluated in the page
        try:
            page = await context.new_page()
            page.set_default_timeout(PATIENCE * 1000)
            await page.goto(url)
            await page.wait_for_selector('[data-testid="model-picker"] option:not([disabled])', state="attached")
            await page.fill('[data-testid="composer"]', QUESTION)
            await page.click('[data-testid="send"]')
            await page.wait_for_function(_PAINTED)
            return serving, time.monotonic() - started
        finally:
            await context.close()


@asynccontextmanager
async def _running(
    command: Sequence[str], where: Path, settings: Mapping[str, str]
) -> AsyncIterator[subprocess.Popen[bytes]]:
    """All processes of the command end with it: they are a session of their own."""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(  # noqa: ASYNC220 it returns at once
            command,
            cwd=where,
            env=environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process
        except Exception as error:
            output.seek(0)
            raise RuntimeError(f"{' '.join(command)}:\n{output.read().decode(errors='replace')[-2000:]}") from error
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                await asyncio.to_thread(process.wait, 15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


async def _served(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    async with httpx2.AsyncClient() as client:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                if (await client.get(url)).status_code == 200:
                    return
            except httpx2.HTTPError:
                pass
            await asyncio.sleep(0.05)
    raise RuntimeError("the server did not start")


async def _finish(command: Sequence[str]) -> None:
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{(done.stdout + done.stderr)[-2000:]}")
