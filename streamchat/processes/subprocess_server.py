"""A subprocess that serves HTTP on loopback: started on first use, ends when its parent ends.

Knows nothing of what is served. Rules:

* The child reads its random key from the first line of stdin (never from argv or the environment). It reports
  ``{"port": …}`` as one JSON line on stdout, or ``{"error": "message"}`` before it exits.
* stdin stays open as long as the parent lives. End of file on stdin ends the child, however the parent died. So does a
  changed parent pid, in case the pipe's write end leaked into a third process.
* The child's environment is that of ``child_environment``: no keys, tokens or settings. Its output is redacted before
  it is shown.
* Independent of any event loop: two threads per child drain its pipes, so the child never blocks on a full pipe.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from streamchat.environment import child_environment
from streamchat.errors import ProviderError

_ROOT = Path(__file__).resolve().parents[2]

_SECRET_TEXT = re.compile(r"\bsk-[\w*.-]+|(?<=Bearer )\S+")
_EXIT_GRACE = 2.0


@dataclass(frozen=True, slots=True)
class Address:
    """Base URL of a child, e.g. ``http://127.0.0.1:4711``, and the API key that it requires."""

    url: str
    api_key: str = field(repr=False)


class _Process:
    """One start of a child: the process, and two futures that its pipe-reading threads resolve."""

    def __init__(self, name: str, argv: Sequence[str], timeout: float) -> None:
        self.name = name
        self.deadline = time.monotonic() + timeout
        self.api_key = f"sk-{secrets.token_urlsafe(32)}"
        self.lines: deque[str] = deque(maxlen=20)
        self.ready: Future[Address] = Future()
        self.gone: Future[int] = Future()
        for future in (self.ready, self.gone):
            future.set_running_or_notify_cancel()  # cancelling one waiter must not cancel it for the others
        self.popen = subprocess.Popen(
            [sys.executable, "-P", "-m", *argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(),
            start_new_session=True,  # Ctrl-C goes to the parent only, which then stops the child
        )
        self._reports, errors = (
            threading.Thread(target=target, name=f"{name}-{target.__name__}", daemon=True)
            for target in (self._read_stdout, self._read_stderr)
        )
        self._reports.start()
        errors.start()
        assert self.popen.stdin is not None
        with suppress(OSError):  # exited already: _read_stderr reports the reason
            self.popen.stdin.write(self.api_key.encode() + b"\n")
            self.popen.stdin.flush()

    @property
    def alive(self) -> bool:
        """True if the process runs and has not reported an error."""
        return self.popen.poll() is None and not (self.ready.done() and self.ready.exception())

    def hang_up(self) -> None:
        """Close stdin, which tells the child to exit."""
        assert self.popen.stdin is not None
        with suppress(OSError):
            self.popen.stdin.close()

    def _read_stdout(self) -> None:
        assert self.popen.stdout is not None
        with self.popen.stdout as stdout:
            for line in stdout:
                if not self.ready.done():
                    self._take_report(line)

    def _take_report(self, line: bytes) -> None:
        try:
            report = json.loads(line)
        except ValueError:
            return  # output of a library that prints to stdout
        if not isinstance(report, dict):
            return
        if isinstance(report.get("port"), int):
            self._settle(Address(f"http://127.0.0.1:{report['port']}", self.api_key))
        elif isinstance(report.get("error"), str):
            self._settle(ProviderError(self._redact(report["error"]), kind="unavailable"))

    def _read_stderr(self) -> None:
        assert self.popen.stderr is not None
        with self.popen.stderr as stderr:
            for line in stderr:
                if text := line.decode(errors="replace").strip():
                    self.lines.append(self._redact(text)[:300])
        while (code := self.popen.poll()) is None:  # not wait(): it holds a lock under which poll() returns None
            time.sleep(0.01)
        self._reports.join(_EXIT_GRACE)  # what it reported goes first; its own child may have the pipe still
        last = f": {self.lines[-1]}" if self.lines else "."
        text = f"The {self.name} ended before it was ready (exit code {code}){last}"
        self._settle(ProviderError(text, kind="unavailable", retryable=True))
        self.gone.set_result(code)

    def _settle(self, outcome: Address | ProviderError) -> None:
        with suppress(Exception):  # the other thread has already resolved it
            if isinstance(outcome, Address):
                self.ready.set_result(outcome)
            else:
                self.ready.set_exception(outcome)

    def _redact(self, text: str) -> str:
        return _SECRET_TEXT.sub("[redacted]", text.replace(self.api_key, "[redacted]"))


class SubprocessServer:
    """Manages a child that runs ``python -m <module> <args>``; at most one runs at a time."""

    def __init__(self, name: str, module: str, *args: str, timeout: float = 30.0) -> None:
        """Set up without starting. ``name`` appears in error messages; ``timeout``: seconds until it must be ready."""
        self._name = name
        self._argv = (module, *args)
        self._timeout = timeout
        self._guard = threading.Lock()
        self._process: _Process | None = None

    @property
    def pid(self) -> int | None:
        """The process id, or ``None`` if the child is not running."""
        process = self._process
        return process.popen.pid if process is not None and process.alive else None

    @property
    def last_lines(self) -> tuple[str, ...]:
        """The last lines of the child's stderr, at most 20, redacted. For logs, not for users."""
        return tuple(self._process.lines) if self._process is not None else ()

    async def start(self) -> Address:
        """Return the address once the child serves; start the child if it is not running. Safe to call concurrently.

        Raises ``ProviderError`` if the child exits, reports an error or is not ready within the timeout.
        """
        with self._guard:
            if self._process is None or not self._process.alive:
                if self._process is not None:
                    self._process.hang_up()
                self._process = _Process(self._name, self._argv, self._timeout)
            process = self._process
        try:
            left = max(0.0, process.deadline - time.monotonic())
            return await asyncio.wait_for(asyncio.wrap_future(process.ready), None if process.ready.done() else left)
        except TimeoutError:
            process.popen.kill()
            text = f"The {self._name} was not ready within {self._timeout:g} seconds."
            raise ProviderError(text, kind="unavailable", retryable=True) from None

    async def close(self) -> None:
        """Stop the child: close its stdin, and kill it if it still runs after two seconds.

        May be called twice. A later ``start`` starts a new child.
        """
        with self._guard:
            process, self._process = self._process, None
        if process is None:
            return
        process.hang_up()
        try:
            await asyncio.wait_for(asyncio.wrap_future(process.gone), _EXIT_GRACE)
        except (TimeoutError, asyncio.CancelledError) as error:
            process.popen.kill()
            if isinstance(error, asyncio.CancelledError):
                raise
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.wrap_future(process.gone), _EXIT_GRACE)


def _environment() -> dict[str, str]:
    return child_environment() | import_path() | {"PYTHONUNBUFFERED": "1"}


def import_path() -> dict[str, str]:
    """Return the environment in which ``python -P -m streamchat.…`` finds this package, wherever it is started.

    (``-P``: the working directory is not looked at, where anybody's ``streamchat.py`` may lie.)
    """
    if _ROOT.name in ("site-packages", "dist-packages"):
        return {}
    paths = [str(_ROOT), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {"PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}


# Called in the child.


def take_key() -> str:
    """Child side: read and return the key from the first line of stdin.

    Starts the threads that end this process on end of file on stdin or when its parent changes.
    """
    parent = os.getppid()
    key = sys.stdin.buffer.readline().strip().decode()
    if not key:
        os._exit(1)
    threading.Thread(target=_end_with_stdin, name="stdin", daemon=True).start()
    threading.Thread(target=_end_with_parent, args=(parent,), name="parent", daemon=True).start()
    return key


def report(**values: int | str) -> None:
    """Child side: report ``port=…`` or ``error="message"`` to the parent, then redirect stdout to stderr."""
    os.write(1, json.dumps(values).encode() + b"\n")
    os.dup2(2, 1)


def _end_with_stdin() -> None:
    with suppress(OSError):
        while os.read(0, 4096):
            pass
    os._exit(0)


def _end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(0)
