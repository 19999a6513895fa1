"""A project that has ``scripts/setup`` and locks of its own, and an index to install them from."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.once import made_once
from tests.system.setup.package_index import PackageIndex

ROOT = Path(__file__).resolve().parents[3]


class Project:
    """A folder with this project's ``scripts/setup``. ``environment`` is all that the script gets to see."""

    def __init__(self, folder: Path, index: PackageIndex) -> None:
        self.folder = folder
        self.index = index
        (folder / "scripts").mkdir(parents=True)
        (folder / "requirements").mkdir()
        shutil.copy2(ROOT / "scripts" / "setup", folder / "scripts" / "setup")
        for name in ("pip", "app", "dev", "local"):
            self.lock(name, "")
        self.environment = {
            "PATH": os.pathsep.join([str(Path(sys.base_prefix) / "bin"), "/usr/bin", "/bin"]),
            "HOME": str(folder),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_CACHE_DIR": "1",
            "PIP_RETRIES": "0",
            "PIP_INDEX_URL": index.url,
        }

    def lock(self, name: str, lines: str) -> None:
        (self.folder / "requirements" / f"{name}.txt").write_text(lines)

    def setup(self, *parts: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = ["scripts/setup", *parts]
        env = {**self.environment, **environment}
        return subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True)

    def succeeds(self, *parts: str, **environment: str) -> str:
        """What it says."""
        done = self.setup(*parts, **environment)
        assert (done.returncode, done.stderr) == (0, ""), (done.stdout, done.stderr)
        return done.stdout

    def refuses(self, *parts: str, **environment: str) -> str:
        """The one sentence that it says, which no message of another program's goes along with."""
        done = self.setup(*parts, **environment)
        assert done.returncode == 1, (done.stdout, done.stderr)
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert not {"ERROR", "Traceback", "WARNING"} & set((done.stdout + done.stderr).replace(":", " ").split())
        if "Details: " in done.stderr:
            assert (self.folder / done.stderr.strip().rpartition("Details: ")[2]).stat().st_size > 0
        return done.stderr.strip()

    @property
    def site(self) -> Path:
        (folder,) = (self.folder / ".venv" / "lib").glob("python*/site-packages")
        return folder

    def installed(self) -> dict[str, str]:
        """Version by name, of all but what a new environment has."""
        names = [path.name.removesuffix(".dist-info") for path in self.site.glob("*.dist-info")]
        versions = dict(name.split("-", 1) for name in names)
        return {name: version for name, version in versions.items() if name not in ("pip", "setuptools")}


def stub(project: Project, name: str, script: str) -> None:
    """A program of this name, before all others on the PATH."""
    folder = project.folder / "stubs"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)
    if not project.environment["PATH"].startswith(str(folder)):
        project.environment["PATH"] = f"{folder}:{project.environment['PATH']}"


@pytest.fixture
def index() -> Iterator[PackageIndex]:
    server = PackageIndex()
    yield server
    server.close()


@pytest.fixture
def bare(tmp_path: Path, index: PackageIndex) -> Project:
    """A fresh checkout."""
    return Project(tmp_path / "project", index)


# In the place of an environment's Python, which is beside it: pip is there already.
WITH_PIP = """#!/bin/sh
case "$*" in "-I -m ensurepip "*) exit 0;; esac
exec "${0%/*}/python-itself" "$@"
"""


def make_empty(folder: Path, python: str) -> None:
    """Make an environment as ``scripts/setup`` leaves it before it installs a part, to be copied: with the pip that
    requirements/pip.txt locks, which is that of the checkout, and with the empty lock of it that a ``Project`` has."""
    subprocess.run([python, "-m", "venv", "--without-pip", folder], check=True)
    here = Path(sysconfig.get_path("purelib"))
    (site,) = folder.glob("lib/python*/site-packages")
    for package in (here / "pip", *here.glob("pip-*.dist-info")):
        shutil.copytree(package, site / package.name)
    own = folder / "bin" / "python"
    own.rename(own.with_name("python-itself"))
    own.write_text(WITH_PIP)
    own.chmod(0o755)
    (folder / ".pip").touch()


def copying(venv: Path, python: str) -> str:
    """The script of a Python whose environments are copies of that one: to unpack and to compile pip takes 4 s of CPU.
    They share its files where they can, which nothing writes to: pip replaces what it changes."""
    shared = f'cp -al {venv}/. "$4" 2>/dev/null || exec cp -a {venv}/. "$4"; exit'
    return f'case "$*" in "-m venv --without-pip "*) {shared};; esac\nexec {python} "$@"'


@pytest.fixture(scope="session")
def empty_venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(tmp_path_factory, "empty-venv", lambda folder: make_empty(folder, sys.executable))


@pytest.fixture
def quick(empty_venv: Path) -> str:
    """The script of a Python for tests in which an environment is made, but not how."""
    return copying(empty_venv, sys.executable)


@pytest.fixture
def project(bare: Project, quick: str) -> Project:
    """A checkout whose environment is there and empty."""
    stub(bare, "python3", quick)
    command = ["python3", "-m", "venv", "--without-pip", ".venv"]
    subprocess.run(command, cwd=bare.folder, env=bare.environment, check=True)
    return bare
