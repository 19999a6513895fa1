"""The example's Reflex app, in its own folder, with streamchat from its wheel, started by its own ``reflex run``."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from devservers.installation import Installation
from devservers.ports import free_port
from streamchat import bun
from tests import ROOT

SECONDS = 200


def responds(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status == 200
    except (urllib.error.URLError, OSError):
        return False


@pytest.fixture
def app(core: Installation, tmp_path: Path) -> Iterator[str]:
    """The address of the app's page. Its packages come from the registry, or from Bun's cache."""
    folder = tmp_path / "app"
    shutil.copytree(ROOT / "examples" / "reflex_app", folder)
    page, backend = free_port(), free_port()
    program = Path(bun.path())
    settings = {
        "HOME": os.environ["HOME"],
        "PATH": f"{core.environment / 'bin'}:{program.parent}:{os.environ['PATH']}",
        "REFLEX_BUN_PATH": str(program),
        "REFLEX_TELEMETRY_ENABLED": "false",
        "STREAMCHAT_DATA_DIR": str(tmp_path / "data"),
        **{name: os.environ.get(name, "") for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")},
    }
    ports = ["--frontend-port", str(page), "--backend-port", str(backend)]
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [core.environment / "bin" / "python", "-m", "reflex", "run", *ports],
            cwd=folder,
            env=core.variables(tmp_path, settings),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    url, until = f"http://localhost:{page}/", time.monotonic() + SECONDS
    try:
        while not (responds(url) and responds(f"http://localhost:{backend}/streamchat/healthz")):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.2)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_the_chat_answers_in_somebodys_app(app: str, browser: Browser):
    """The app's own model answers, word by word, and the conversation is there after a reload of the element."""
    context = browser.new_context()
    try:
        page = context.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(app, timeout=120_000)
        box = page.get_by_role("textbox", name="Message")
        expect(box).to_be_visible(timeout=120_000)
        expect(page.get_by_role("heading", name="My app")).to_be_visible()
        box.fill("hello my friend")
        box.press("Enter")
        answer = page.get_by_role("article", name="Answer")
        expect(page.get_by_role("status")).to_have_text("Complete", timeout=60_000)
        expect(answer).to_have_text("hello my friend")
        page.get_by_role("button", name="New chat").click()
        expect(answer).to_have_count(0)
        page.get_by_role("navigation").get_by_role("button", name="hello my friend").click()
        expect(answer).to_have_text("hello my friend")
        assert errors == []
    finally:
        context.close()
