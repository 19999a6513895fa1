"""The image of ``deploy/Containerfile`` without a container engine: its last stage, run in a root of its own.

Linux namespaces, as an engine uses them: the root is read-only and has the system's libraries and the installed
package, no checkout; the process is number 1 and an ordinary user without capabilities. Not the same: the packages come
from this environment, and the network is the machine's. Needs root.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from devservers.app import ROOT
from devservers.installation import Installation
from devservers.ports import free_port

FILE = ROOT / "deploy" / "Containerfile"
START_SECONDS = 60
# What an image has of a system; the rest is what the Containerfile puts there.
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc")


def why_not() -> str | None:
    """Return why no container can be run here, or ``None``."""
    if os.geteuid() != 0:
        return "only root can make a root of its own"
    missing = [program for program in ("unshare", "setpriv", "chroot", "mount", "nsenter") if not shutil.which(program)]
    if missing:
        return f"{', '.join(missing)} is not installed"
    allowed = subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], capture_output=True)
    return None if allowed.returncode == 0 else "namespaces are not allowed"


class Image:
    """The last stage of the Containerfile, as far as it says how to run."""

    def __init__(self, file: Path = FILE) -> None:
        text = re.sub(r"^#.*\n", "", file.read_text(), flags=re.MULTILINE)
        lines = re.sub(r"\\\n\s*", " ", text).splitlines()
        steps = [tuple(line.split(maxsplit=1)) for line in lines if line.strip()]
        last = max(index for index, step in enumerate(steps) if step[0] == "FROM")
        self.steps: list[tuple[str, str]] = [(step[0], step[1]) for step in steps]
        self.stage = self.steps[last:]
        self.environment = dict(pair.split("=", 1) for pair in shlex.split(" ".join(self._all("ENV"))))
        (self.user,) = self._all("USER")
        (self.folder,) = self._all("WORKDIR")
        (self.volume,) = self._all("VOLUME")
        self.command: list[str] = [*json.loads(self._all("ENTRYPOINT")[0]), *json.loads(self._all("CMD")[0])]
        self.health: list[str] = json.loads(self._all("HEALTHCHECK")[0].partition(" CMD ")[2])

    def _all(self, name: str) -> list[str]:
        return [rest for step, rest in self.stage if step == name]


class Container:
    """One run of the image with ``settings``; ``data`` is its volume."""

    def __init__(self, image: Image, installation: Installation, data: Path, settings: Mapping[str, str]) -> None:
        self.image = image
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {**image.environment, "PORT": str(self.port), **settings}
        self._root = Path(tempfile.mkdtemp(prefix="streamchat-root-"))
        self._installation = installation
        self._data = data
        self._log = self._root.with_suffix(".log")
        user, _, group = image.user.partition(":")
        os.chown(data, int(user), int(group))
        self._as_user = ["setpriv", "--reuid", user, "--regid", group, "--clear-groups", "--no-new-privs"]
        self._as_user += ["--bounding-set=-all", "--inh-caps=-all"]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def start(self) -> Container:
        """Start it, and wait until its own health check succeeds."""
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"]
                + ["sh", "-ec", self._script()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"PATH": os.environ["PATH"]},
            )
        until = time.monotonic() + START_SECONDS
        while self._process.poll() is None and time.monotonic() < until:
            # The check is a program that starts: not before there is something to find.
            if self._listens() and self.run(*self.image.health).returncode == 0:
                return self
            time.sleep(0.2)
        self.stop()
        raise AssertionError(f"the container did not become healthy:\n{self.log[-4000:]}")

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in it, as its user."""
        enter = ["nsenter", "--target", str(self.pid), "--mount", "--pid", "--root", f"--wdns={self.image.folder}"]
        variables = ["env", "-i", *(f"{name}={value}" for name, value in self.environment.items())]
        return subprocess.run(
            [*enter, *self._as_user, *variables, *command], capture_output=True, text=True, timeout=60
        )

    @property
    def pid(self) -> int:
        """The process with the number 1 in it, as the machine numbers it."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        return int((children.read_text().split() or ["0"])[0])

    def stop(self) -> int:
        """SIGTERM to its first process, as an engine does it. Returns the exit code."""
        assert self._process is not None
        if self._process.poll() is None and self.pid:
            os.kill(self.pid, signal.SIGTERM)
        try:
            return self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
            raise
        finally:
            shutil.rmtree(self._root, ignore_errors=True)

    def _script(self) -> str:
        root = shlex.quote(str(self._root))
        lines = [f"mount -t tmpfs -o mode=755 none {root}"]
        for path in SYSTEM:
            if os.path.islink(path):
                lines.append(f"ln -s {shlex.quote(os.readlink(path))} {root}{path}")
            elif os.path.isdir(path):
                lines.append(self._bind(path, path))
        interpreter = sys.base_prefix
        if not interpreter.startswith("/usr"):
            lines.append(self._bind(interpreter, interpreter))
        # The programs of an environment name its own path.
        installed = str(self._installation.folder)
        lines.append(self._bind(installed, installed))
        lines.append(f"mkdir -p {root}/opt {root}/proc {root}/dev {root}/tmp {root}{self.image.volume}")
        lines.append(f"ln -s {shlex.quote(str(self._installation.environment))} {root}/opt/streamchat")
        lines.append(f"mount --bind {shlex.quote(str(self._data))} {root}{self.image.volume}")
        lines.append(f"mount -t tmpfs -o mode=1777 none {root}/tmp")
        # The installation may lie in /tmp.
        if installed.startswith("/tmp/"):
            lines.append(self._bind(installed, installed))
        lines.append(f"mount -t proc none {root}/proc")
        lines.append(f"mount --rbind /dev {root}/dev")
        lines.append(f"mount -o remount,ro {root}")
        variables = " ".join(shlex.quote(f"{name}={value}") for name, value in self.environment.items())
        command = " ".join(map(shlex.quote, [*self._as_user, "sh", "-c", 'cd "$0" && exec "$@"', self.image.folder]))
        wanted = " ".join(map(shlex.quote, self.image.command))
        lines.append(f"exec env -i {variables} {shutil.which('chroot')} {root} {command} {wanted}")
        return "\n".join(lines)

    def _bind(self, source: str, target: str) -> str:
        place = shlex.quote(f"{self._root}{target}")
        return f"mkdir -p {place}\nmount --rbind {shlex.quote(source)} {place}\nmount -o remount,bind,ro {place}"
