"""The Python client as a distribution of its own: small, without the server, and the same client."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from streamchat import __version__
from tests import ROOT
from tests.integration.protocols.conftest import FAST, Api
from tests.system.clients.conftest import installed

SOURCE = ROOT / "packaging" / "client"
ASK = """
import asyncio, json, sys
from streamchat.client import AsyncClient, Client
from streamchat.client.cli_ask import AskOptions
url, text = sys.argv[1:]
with Client(url) as client:
    run = client.start(text, model="simulator:tour")
    told = "".join(run.text())
    status = run.final().status
async def again():
    async with AsyncClient(url) as client:
        return [piece async for piece in (await client.start(text, model="simulator:tour")).text()]
print(json.dumps([told, status, "".join(asyncio.run(again())), "reflex" in sys.modules]))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=SOURCE, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    (made,) = folder.glob("*.whl")
    return made


def test_what_is_in_it(wheel: Path):
    """The client, what it imports, and nothing of the server; its version is that of the server."""
    names = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("streamchat/")}
    assert {Path(name).parts[1] for name in names} == {"__init__.py", "backoff.py", "chat", "client", "errors.py"}
    assert f"-{__version__}-" in wheel.name
    assert wheel.stat().st_size < 200_000
    needs = tomllib.loads((SOURCE / "pyproject.toml").read_text())["project"]["dependencies"]
    assert set(needs) <= set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"])


def test_it_works_alone(wheel: Path, api: Api, tmp_path: Path):
    """Synchronous and asynchronous, in an environment with a handful of packages."""
    python = installed(tmp_path / "alone", [wheel])
    if isinstance(python, str):
        pytest.skip(python)
    command = [python, "-c", ASK, api.url, f"n=3 {FAST}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    words = "w000001 w000002 w000003"
    assert json.loads(done.stdout) == [words, "finished", words, False]
    packages = {path.name.partition("-")[0] for path in (tmp_path / "alone").rglob("*.dist-info")}
    assert "reflex" not in packages
    assert len(packages) < 12
