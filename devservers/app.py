"""The app as a process of its own: ``python -m streamchat run``, forked from one that has its imports done.

Knows nothing of browsers. Rules: its environment holds no setting but those that the test names; it is stopped
by its own pid; where it does not come up, the end of its log is the error.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from devservers.ports import free_port
from devservers.preloaded import Child, Preloaded

ROOT = Path(__file__).resolve().parents[1]
OURS = ("OPENAI_", "ANTHROPIC_", "STREAMCHAT_", "REFLEX_", "__REFLEX", "PORT")
READY_SECONDS = 120
# Without a choice of models a server loads the embedded one at its start, which costs more than most tests.
# Answers end with their process: most tests that end one look at what is left of it. Takeovers have tests of their own.
PRELOADED = Preloaded(ROOT)
QUICK = {"STREAMCHAT_MODELS": "simulator:tour", "STREAMCHAT_CONTINUE": "0"}


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without any setting of ours, and with these."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    return plain | {"REFLEX_TELEMETRY_ENABLED": "false"} | dict(settings)


def completed(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run ``streamchat …`` with these settings and no others, to its end, forked as the servers are."""
    return PRELOADED.completed("streamchat", arguments, environment(settings))


class Served:
    """One server; ``settings`` are environment variables. ``start`` again after ``stop`` or ``kill`` restarts it.

    It offers the simulator's model only, unless the settings say otherwise: ``STREAMCHAT_MODELS=""`` is everything.
    """

    arguments: Sequence[str] = ("-m", "streamchat", "run")
    preloaded = True  # forked from a process that has imported what it needs

    def __init__(self, data_dir: Path, settings: Mapping[str, str] | None = None, port: int | None = None) -> None:
        self.data_dir = data_dir
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.settings = QUICK | dict(settings or {})
        self.log_file = data_dir.parent / f"{data_dir.name}.log"
        self._process: subprocess.Popen[bytes] | Child | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    @property
    def database(self) -> Path:
        return self.data_dir / "streamchat.db"

    def start(self) -> Served:
        own = {"PORT": str(self.port), "STREAMCHAT_DATA_DIR": str(self.data_dir)}
        env = environment(own | self.settings)
        # What the interpreter or the linker reads at its start needs a program that starts.
        if self.preloaded and not any(name.startswith(("PYTHON", "LD_")) for name in self.settings):
            self._process = PRELOADED.run(self.arguments[1], self.arguments[2:], env, self.log_file)
        else:
            with self.log_file.open("ab") as log:
                self._process = subprocess.Popen(
                    [sys.executable, *self.arguments],
                    cwd=ROOT,
                    env=env,
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

    def wait_ready(self) -> None:
        end = time.monotonic() + READY_SECONDS
        while time.monotonic() < end:
            assert self._process is not None
            if self._process.poll() is not None:
                raise AssertionError(f"the server ended with code {self._process.returncode}:\n{self.log[-4000:]}")
            if self.answers():
                return
            time.sleep(0.1)
        raise AssertionError(f"the server did not answer within {READY_SECONDS} s:\n{self.log[-4000:]}")

    def answers(self) -> bool:
        try:
            return self.get("/ping")[0] == 200
        except OSError:
            return False

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, dict[str, str], bytes]:
        """Status, headers (names in lower case) and body."""
        return self.request("GET", path, headers)

    def request(
        self, method: str, path: str, headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """As ``get``, with any method."""
        request = urllib.request.Request(self.url + path, headers=dict(headers or {}), method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, {k.lower(): v for k, v in error.headers.items()}, error.read()

    def stop(self, patience: float = 60) -> float:
        """SIGTERM; how many seconds the end took. Killed, and an error, where it outlasts ``patience``."""
        assert self._process is not None
        began = time.monotonic()
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(patience)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"SIGTERM did not end the server in {patience} s:\n{self.log[-4000:]}") from None
        return time.monotonic() - began

    def interrupt(self) -> int:
        """Ctrl-C; the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(15)

    def kill(self) -> None:
        """``kill -9``."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(10)
