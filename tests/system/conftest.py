"""What all of them share beside the servers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT
from tests.support import shared_tls
from tests.support.once import made_once

shared_tls.share()
FRAMEWORKS = ("pydantic-ai-slim[ag-ui]", "langgraph", "ag-ui-langgraph", "openai-agents", "fastapi", "uvicorn")


@pytest.fixture(scope="session")
def frameworks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the libraries from PyPI that examples and agents use, and what we depend on, as one environment
    that a person installs. None of them is a part of our own."""

    def install(folder: Path) -> None:
        command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", sys.executable]
        command += ["--target", str(folder), "-r", str(ROOT / "pyproject.toml"), *FRAMEWORKS]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=200)
        except subprocess.TimeoutExpired:
            (folder / "why-not").write_text("the package index does not answer in time")
            return
        if done.returncode:
            (folder / "why-not").write_text(f"the package index does not give the frameworks: {done.stderr[-500:]}")

    folder = made_once(tmp_path_factory, "frameworks", install)
    if (folder / "why-not").exists():
        pytest.skip((folder / "why-not").read_text())
    return folder
