"""streamchat as its wheel installs it: an environment of its own, used by a user who cannot write to it.

Rules: the wheel is installed by pip; what it declares, and nothing else, is taken from the environment of this
process instead of from an index, and pip is asked whether that is all.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterable, Mapping
from importlib.metadata import Distribution, distribution
from pathlib import Path
from shutil import copy2, rmtree, which

from packaging.requirements import Requirement

from devservers.app import Served, environment
from streamchat.build import ROOT

_UNPRIVILEGED = (which("setpriv") or "setpriv", "--bounding-set=-all", "--inh-caps=-all")


def build(folder: Path, target: str = "wheel", source: Path = ROOT) -> Path:
    """Build the ``wheel`` or ``sdist`` into a folder. The page must be built. Raises ``CalledProcessError``."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)]
    subprocess.run(command, cwd=source, check=True, capture_output=True, text=True, timeout=100)
    (built,) = folder.glob("*.whl" if target == "wheel" else "*.tar.gz")
    return built


class Installation:
    """One environment. ``folder``: everything of it, and room for its user's files, readable by everybody."""

    def __init__(self, wheel: Path, extras: Iterable[str] = ()) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="streamchat-installed-"))
        self.folder.chmod(0o755)
        self.environment = self.folder / "environment"
        venv.create(self.environment, with_pip=False)
        (self.packages,) = self.environment.glob("lib/python*/site-packages")
        self._pip("install", "--no-deps", "--no-index", "--quiet", str(wheel))
        for package in _needed("streamchat", extras, self.packages):
            _link(package, self.packages)
        self._pip("check")
        self._seal()

    @property
    def program(self) -> Path:
        return self.environment / "bin" / "streamchat"

    def files(self) -> dict[str, int]:
        """Everything in the environment, with the time of its last change."""
        return {str(path): path.lstat().st_mtime_ns for path in self.environment.rglob("*")}

    def new_folder(self, name: str) -> Path:
        """Make an empty folder that belongs to the user."""
        path = self.folder / name
        path.mkdir()
        return path

    def variables(self, home: Path, settings: Mapping[str, str]) -> dict[str, str]:
        """What the user's programs find in their environment: no checkout, no Node, no Bun, no index."""
        plain = environment(settings)
        for name in ("PYTHONPATH", "VIRTUAL_ENV", "XDG_DATA_HOME", "REFLEX_TELEMETRY_ENABLED"):
            plain.pop(name, None)
        nowhere = "http://127.0.0.1:9"
        proxies = {"HTTP_PROXY": nowhere, "HTTPS_PROXY": nowhere, "NO_PROXY": "127.0.0.1,localhost"}
        return {**plain, **proxies, "PATH": str(self.environment / "bin"), "HOME": str(home)} | dict(settings)

    def run(self, *arguments: str, cwd: Path, settings: Mapping[str, str] | None = None) -> Completed:
        """Run a program of the environment as the user, to its end."""
        return subprocess.run(
            as_user(self.environment / "bin" / arguments[0], *arguments[1:]),
            cwd=cwd,
            env=self.variables(cwd, settings or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
        )

    def remove(self) -> None:
        for folder in self._folders():
            folder.chmod(0o755)
        rmtree(self.folder)

    def _pip(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "pip", "--python", str(self.environment / "bin" / "python"), *arguments]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=100)
        if done.returncode:
            raise RuntimeError(f"pip {arguments[0]} failed:\n{done.stdout}{done.stderr}")

    def _seal(self) -> None:
        """The folders only: the files may be those of the environment they were taken from."""
        for folder in self._folders():
            folder.chmod(0o555)

    def _folders(self) -> list[Path]:
        return [self.packages, *(path for path in self.packages.rglob("*") if path.is_dir() and not path.is_symlink())]


Completed = subprocess.CompletedProcess[str]


class ServedInstallation(Served):
    """``streamchat run`` of an installation, in a folder of its user's."""

    def __init__(self, installation: Installation, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        super().__init__(folder / "data", settings)
        self.installation = installation
        self.folder = folder
        self.log_file = installation.folder / f"{folder.name}.log"

    def start(self) -> ServedInstallation:
        own = {"PORT": str(self.port)}
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                as_user(self.installation.program, "run"),
                cwd=self.folder,
                env=self.installation.variables(self.folder, own | self.settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            self.wait_ready()
        except BaseException:
            self.kill()
            raise
        return self


def as_user(*command: str | Path) -> list[str | Path]:
    """Return the command as somebody to whom permissions apply. Root without capabilities is such a one, and can still
    reach an interpreter in root's own home."""
    return [*_UNPRIVILEGED, *command] if os.geteuid() == 0 else [*command]


def _needed(name: str, extras: Iterable[str], packages: Path) -> list[Distribution]:
    """What this installed package declares, with these extras, and what that declares, and so on."""
    (first,) = Distribution.discover(name=name, path=[str(packages)])
    found: dict[str, Distribution] = {}
    seen: set[tuple[str, str]] = set()
    waiting = [(first, extra) for extra in ("", *extras)]
    while waiting:
        package, extra = waiting.pop()
        if (package.name, extra) in seen:
            continue
        seen.add((package.name, extra))
        for line in package.requires or ():
            needed = Requirement(line)
            if needed.marker is not None and not needed.marker.evaluate({"extra": extra}):
                continue
            other = first if needed.name == name else distribution(needed.name)
            found[other.name] = other
            waiting += [(other, more) for more in ("", *needed.extras)]
    found.pop(first.name, None)
    return list(found.values())


def _link(package: Distribution, packages: Path) -> None:
    """Put a package's files there, without copying them if that can be."""
    for file in package.files or ():
        if ".." in file.parts:  # its programs
            continue
        source, target = Path(str(package.locate_file(file))), packages / file
        if not source.exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, target)
        except FileExistsError:
            pass
        except OSError:
            copy2(source, target)
