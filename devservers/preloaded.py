"""A process that has imported what a server needs, and forks one for each test that wants one.

Importing is most of a server's start, 1.7 s of CPU, and the SDK is most of its first answer, another second, some
hundred times in a run of the tests.

Knows nothing of HTTP. Rules: one child, one server; no thread runs when it forks; nothing that reads settings is
imported before; its children end with it.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import runpy
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

# What a server imports until its first answer: third-party modules, and those of ours that read no settings.
# `streamchat.streamchat` makes the app: it comes after.
MODULES = (
    "alembic.command",
    "anyio._backends._asyncio",
    "fastapi",
    "openai.resources.chat.completions.completions",
    "openai.resources.responses.responses",
    "reflex",
    "reflex.app",
    "reflex.state",
    "simpleeval",
    "socketio",
    "sqlmodel",
    "uvicorn.lifespan.on",
    "uvicorn.loops.asyncio",
    "uvicorn.protocols.http.h11_impl",
    "uvicorn.protocols.websockets.websockets_sansio_impl",
    "streamchat.cli",
    "streamchat.wiring",
    "streamchat.web.app",
)
POLL_SECONDS = 0.01


class Child:
    """A forked process, with the part of ``subprocess.Popen`` that ``Served`` uses."""

    def __init__(self, parent: Preloaded, pid: int) -> None:
        self._parent = parent
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit code as ``Popen`` has it, ``None`` while it runs."""
        if self.returncode is None:
            self.returncode = self._parent.call({"poll": self.pid})
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end. Raises ``subprocess.TimeoutExpired``."""
        end = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if end is not None and time.monotonic() > end:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
            time.sleep(POLL_SECONDS)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """``kill -9``."""
        self.send_signal(signal.SIGKILL)


class Preloaded:
    """The process that forks. It starts with the first child, and ends with this process."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def run(
        self, module: str, arguments: Sequence[str], env: Mapping[str, str], log: Path, errors: Path | None = None
    ) -> Child:
        """Run ``python -m module …`` in a child whose output is appended to the file ``log``; that of stderr to
        ``errors``, if that is another file."""
        request = {"module": module, "arguments": list(arguments), "env": dict(env)}
        return Child(self, self.call(request | {"log": str(log), "errors": str(errors or log)}))

    def completed(
        self, module: str, arguments: Sequence[str], env: Mapping[str, str], timeout: float = 100
    ) -> subprocess.CompletedProcess[str]:
        """Run it to its end, as ``subprocess.run`` does. Raises ``subprocess.TimeoutExpired``."""
        with TemporaryDirectory() as folder:
            log, errors = Path(folder) / "log", Path(folder) / "errors"
            child = self.run(module, arguments, env, log, errors)
            try:
                code = child.wait(timeout)
            finally:
                child.kill()
            return subprocess.CompletedProcess([module, *arguments], code, log.read_text(), errors.read_text())

    def call(self, request: dict[str, Any]) -> Any:
        """Return what the process answers to one request."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._process = self._start()
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())

    def _start(self) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "devservers.preloaded"],
            cwd=self._root,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        atexit.register(self.close)
        return process

    def close(self) -> None:
        """End the process, and with it its children."""
        process, self._process = self._process, None
        if process is not None:
            process.communicate()


def _run(request: dict[str, Any]) -> NoReturn:
    """Become the server, as a program that was just started."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(request["env"])
    nothing = os.open(os.devnull, os.O_RDONLY)
    log, errors = (os.open(request[name], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644) for name in ("log", "errors"))
    for source, target in ((nothing, 0), (log, 1), (errors, 2)):
        os.dup2(source, target)
        os.close(source)
    sys.argv = [request["module"], *request["arguments"]]
    runpy.run_module(request["module"], run_name="__main__", alter_sys=True)
    sys.exit(0)


def _serve() -> None:
    requests, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # nothing that is imported writes between the answers
    children: set[int] = set()
    for name in MODULES:
        import_module(name)
    gc.freeze()  # the collector of a child does not touch, and so copy, what it shares with this process
    for line in requests:
        request = json.loads(line)
        if "module" in request:
            pid = os.fork()
            if pid == 0:
                requests.close()
                answers.close()
                _run(request)
            children.add(pid)
            answer = pid
        else:
            answer = _exit_code(children, request["poll"])
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    for pid in children:
        os.kill(pid, signal.SIGKILL)


def _exit_code(children: set[int], pid: int) -> int | None:
    ended, status = os.waitpid(pid, os.WNOHANG)
    if not ended:
        return None
    children.discard(pid)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in the terminal of the tests
    _serve()
