"""The gRPC code is made from ``proto/`` where it runs, and only when that has changed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from devservers.app import ROOT
from streamchat import protos

SOURCE = Path("proto/streamchat/v1/runs.proto")
MADE = {"__init__.py", "fingerprint", "runs_pb2.py", "runs_pb2.pyi", "runs_pb2_grpc.py"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / SOURCE).parent.mkdir(parents=True)
    (tmp_path / "streamchat").mkdir()
    shutil.copy(ROOT / SOURCE, tmp_path / SOURCE)
    return tmp_path


def made(root: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (root / "streamchat" / "v1").iterdir()}


def test_it_is_made_once_and_again_when_the_protocol_changes(root: Path):
    """The second time nothing is touched; a changed protocol is compiled anew; nothing else is left behind."""
    assert protos.generate(root)
    first = made(root)
    assert set(first) == MADE
    assert not protos.generate(root)
    assert made(root) == first
    with (root / SOURCE).open("a") as source:
        source.write("message More {}\n")
    assert protos.generate(root)
    assert "More" in (root / "streamchat" / "v1" / "runs_pb2.pyi").read_text()
    assert {path.name for path in root.iterdir()} == {"proto", "streamchat"}


def test_a_protocol_that_does_not_compile_is_said_and_what_was_made_stays(root: Path):
    """An error of our own, and the old code is still there."""
    protos.generate(root)
    before = made(root)
    (root / SOURCE).write_text("syntax = 'proto3'; message {")
    with pytest.raises(protos.ProtoError, match=r"runs\.proto"):
        protos.generate(root)
    assert made(root) == before


def test_a_place_that_cannot_be_written_is_said(root: Path):
    """One sentence that names it; nothing is left behind."""
    (root / "streamchat").rmdir()
    (root / "streamchat").write_text("no folder")
    with pytest.raises(protos.ProtoError, match="cannot be written"):
        protos.generate(root)
    assert {path.name for path in root.iterdir()} == {"proto", "streamchat"}


def test_several_may_make_it_at_once(root: Path):
    """Workers and tests that start together get whole files."""
    program = f"from pathlib import Path; from streamchat import protos; protos.generate(Path({str(root)!r}))"

    def run(_: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=50)

    with ThreadPoolExecutor(4) as pool:
        assert [done.stderr for done in pool.map(run, range(4))] == [""] * 4
    assert set(made(root)) == MADE


def test_it_is_in_no_repository():
    """Made code is nobody's source."""
    command = ["git", "ls-files", "streamchat/v1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20)
    if done.returncode:
        pytest.skip("not a git checkout")
    assert done.stdout == ""
