"""The app under ``reflex run``, started as a person starts it who works on it.

Rules: it runs in a copy of the checkout, because that command builds into its folder; what it prints says where it
serves; its processes and what they listen on are read from ``/proc``.
"""

from __future__ import annotations

import http.client
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from urllib.parse import urlsplit

from devservers.app import ROOT, Served, environment

_LEFT_OUT = {".git", ".venv", "data", "node_modules"}
_LISTEN = "0A"


def copy_checkout(target: Path) -> Path:
    """All that the app is made of, the page's packages too. The data directory is there, as after an earlier start."""
    shutil.copytree(ROOT, target, symlinks=True, ignore=lambda folder, _: _LEFT_OUT if folder == str(ROOT) else set())
    (target / "data").mkdir()
    return target


class ReflexRun(Served):
    """One server. ``url`` is the address of the page, ``backend`` that of everything else: the same in prod mode."""

    def __init__(self, checkout: Path, arguments: Sequence[str], settings: Mapping[str, str]) -> None:
        super().__init__(checkout / "data", settings)
        self.checkout = checkout
        self.arguments = arguments
        self.backend = ""

    def start(self) -> ReflexRun:
        self.log_file.unlink(missing_ok=True)
        with self.log_file.open("wb") as log:
            self._process = subprocess.Popen(
                [Path(sys.executable).with_name("reflex"), "run", *self.arguments],
                cwd=self.checkout,
                env=environment(self.settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # as a terminal does: Ctrl-C is for all of its processes
            )
        try:
            self.wait_ready()
        except BaseException:
            self.kill()
            raise
        return self

    def answers(self) -> bool:
        """Whether both have said where they are, and answer there."""
        page = re.search(r"App running at: (http://\S+?)/?\s", self.log)
        backend = page if "prod" in self.arguments else re.search(r"Backend running at: (http://\S+)", self.log)
        if not page or not backend:
            return False
        self.url, self.backend = page[1], backend[1]
        try:
            with (
                urllib.request.urlopen(self.url, timeout=10) as home,
                urllib.request.urlopen(f"{self.backend}/ping", timeout=10) as ping,
            ):
                return home.status == ping.status == 200
        except OSError:
            return False

    def status(self, path: str, **headers: str) -> int:
        """What the backend answers with: the first number, also that of a socket that opens."""
        address = urlsplit(self.backend)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
        try:
            connection.request("GET", path, headers=headers)
            return connection.getresponse().status
        finally:
            connection.close()

    def press_ctrl_c(self) -> None:
        """SIGINT to all processes of the terminal."""
        os.killpg(self.pid, signal.SIGINT)

    def terminate(self) -> None:
        """SIGTERM to the one that was started."""
        os.kill(self.pid, signal.SIGTERM)

    def wait_end(self, patience: float = 30) -> None:
        """Until it has ended."""
        assert self._process is not None
        self._process.wait(patience)

    def kill(self) -> None:
        """``kill -9``, with everything that it started."""
        if self._process is not None:
            for pid in self.processes():
                os.kill(pid, signal.SIGKILL)
            super().kill()

    def processes(self) -> list[int]:
        """It and all that descend from it, their sessions being their own or not."""
        parents: dict[int, int] = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                # Behind the name, which may hold anything: state, parent.
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue  # it has just ended
        family = {self.pid} & parents.keys()
        while more := {pid for pid, parent in parents.items() if parent in family} - family:
            family |= more
        return sorted(family)

    def listening(self) -> dict[tuple[IPv4Address | IPv6Address, int], set[int]]:
        """Addresses and ports that its processes listen on, each with the ids of those that do."""
        holders: dict[str, set[int]] = {}
        for pid in self.processes():
            for file in Path(f"/proc/{pid}/fd").glob("*"):
                with suppress(OSError):  # it has just been closed
                    holders.setdefault(os.readlink(file), set()).add(pid)
        sockets = {}
        for table in ("tcp", "tcp6"):
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN and (pids := holders.get(f"socket:[{fields[9]}]")):
                    address, port = fields[1].split(":")
                    sockets[_address(address), int(port, 16)] = pids
        return sockets


def _address(words: str) -> IPv4Address | IPv6Address:
    """An address as the kernel writes it: words of four bytes, each in the machine's order."""
    parts = [bytes.fromhex(words[i : i + 8]) for i in range(0, len(words), 8)]
    address = ip_address(b"".join(part[::-1] if sys.byteorder == "little" else part for part in parts))
    return getattr(address, "ipv4_mapped", None) or address


def wait_gone(pids: Sequence[int], patience: float = 20) -> list[int]:
    """Until none of these is there; those that still are after ``patience`` seconds."""
    end = time.monotonic() + patience
    while left := [pid for pid in pids if Path(f"/proc/{pid}").exists()]:
        if time.monotonic() > end:
            break
        time.sleep(0.1)
    return left
