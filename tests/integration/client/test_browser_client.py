"""Runs the tests of the browser client with Bun, which comes with the Python packages."""

from __future__ import annotations

import subprocess
from pathlib import Path

from streamchat import bun
from tests import ROOT

HERE = Path(__file__).parent
CLIENT = ROOT / "assets" / "streamchat-client.js"


def test_browser_client() -> None:
    """The standard's parser, and every event once over connections that break."""
    command = [bun.path(), "test", "./streamchat-client.test.js"]
    # Its own folder: without the DOM that the page's tests have.
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]


def test_it_stays_one_small_module() -> None:
    """One file of at most 250 lines that imports nothing."""
    text = CLIENT.read_text()
    assert len(text.splitlines()) <= 250
    assert "import " not in text.replace("await import", "")
