"""A helper process that serves HTTP on loopback: started when first needed, gone when we are gone.

Knows nothing of what is served. Rules:

* The child gets its random key as the first line of stdin (never argv, never the environment) and reports
  ``{"port": …}`` as one JSON line on stdout, or ``{"error": "a sentence"}`` and ends.
* stdin stays open for as long as the parent lives. Its end, which comes however the parent died, ends the
  child; so does a changed parent pid, for a pipe end that leaked into a third process.
* Keys, tokens and our own settings are not handed to the child. Nothing it prints is shown unredacted.
* Bound to no event loop: two threads per child drain its pipes, so that it never blocks on a full one.
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

from streamchat.errors import ProviderError

_ROOT = Path(__file__).resolve().parents[2]
_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL|^OPENAI_|^ANTHROPIC_|^STREAMCHAT_", re.IGNORECASE)
_SECRET_TEXT = re.compile(r"\bsk-[\w*.-]+|(?<=Bearer )\S+")
_EXIT_GRACE = 2.0


@dataclass(frozen=True, slots=True)
class Address:
    """Where a child listens, e.g. ``http://127.0.0.1:4711``, and the key that it asks for."""

    url: str
    api_key: str = field(repr=False)


class _Process:
    """One life of a child: the process, and two futures that its pipe threads resolve."""

    def __init__(self, name: str, argv: Sequence[str], timeout: float) -> None:
        self.name = name
        self.deadline = time.monotonic() + timeout
        self.api_key = f"sk-{secrets.token_urlsafe(32)}"
        self.lines: deque[str] = deque(maxlen=20)
        self.ready: Future[Address] = Future()
        self.gone: Future[int] = Future()
        for future in (self.ready, self.gone):
            future.set_running_or_notify_cancel()  # a waiter that is cancelled must not cancel it for the others
        self.popen = subprocess.Popen(
            [sys.executable, "-P", "-m", *argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(),
            start_new_session=True,  # Ctrl-C in the terminal is the parent's; it then ends the child in order
        )
        for target in (self._read_stdout, self._read_stderr):
            threading.Thread(target=target, name=f"{name}-{target.__name__}", daemon=True).start()
        assert self.popen.stdin is not None
        with suppress(OSError):  # died at once: _read_stderr tells why
            self.popen.stdin.write(self.api_key.encode() + b"\n")
            self.popen.stdin.flush()

    @property
    def alive(self) -> bool:
        return self.popen.poll() is None and not (self.ready.done() and self.ready.exception())

    def hang_up(self) -> None:
        """Close stdin, which asks the child to end."""
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
            return  # a library that prints to stdout
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
        while (code := self.popen.poll()) is None:  # not wait(): it holds a lock that makes `alive` say yes
            time.sleep(0.01)
        last = f": {self.lines[-1]}" if self.lines else "."
        text = f"The {self.name} ended before it was ready (exit code {code}){last}"
        self._settle(ProviderError(text, kind="unavailable", retryable=True))
        self.gone.set_result(code)

    def _settle(self, outcome: Address | ProviderError) -> None:
        with suppress(Exception):  # the other thread was first
            if isinstance(outcome, Address):
                self.ready.set_result(outcome)
            else:
                self.ready.set_exception(outcome)

    def _redact(self, text: str) -> str:
        return _SECRET_TEXT.sub("[redacted]", text.replace(self.api_key, "[redacted]"))


class Child:
    """A child that runs ``python -m <module> <args>``, at most one at a time."""

    def __init__(self, name: str, module: str, *args: str, timeout: float = 30.0) -> None:
        """``name`` is used in sentences ("The <name> did not start"); ``timeout``: seconds until it must be ready."""
        self._name = name
        self._argv = (module, *args)
        self._timeout = timeout
        self._guard = threading.Lock()
        self._process: _Process | None = None

    @property
    def pid(self) -> int | None:
        """The process id while it lives."""
        process = self._process
        return process.popen.pid if process is not None and process.alive else None

    @property
    def last_lines(self) -> tuple[str, ...]:
        """The last lines of the child's stderr, redacted: for logs, not for readers."""
        return tuple(self._process.lines) if self._process is not None else ()

    async def start(self) -> Address:
        """The endpoint, once it serves; starts the child where it does not run. Any number may call at once.

        Raises ``ProviderError``: it died, said why it cannot run, or was not ready in time.
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
        """End the child: asked, and after two seconds killed. May be called twice; ``start`` starts it anew."""
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
    env = {name: value for name, value in os.environ.items() if not _SECRET_NAME.search(name)}
    paths = [str(_ROOT), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return env | {"PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)), "PYTHONUNBUFFERED": "1"}


# What the child itself calls.


def take_key() -> str:
    """In the child: the key from the first line of stdin. From here on the end of stdin ends the process."""
    parent = os.getppid()
    key = sys.stdin.buffer.readline().strip().decode()
    if not key:
        os._exit(1)
    threading.Thread(target=_end_with_stdin, name="stdin", daemon=True).start()
    threading.Thread(target=_end_with_parent, args=(parent,), name="parent", daemon=True).start()
    return key


def report(**values: int | str) -> None:
    """In the child: tell the parent ``port=…`` or ``error="a sentence"``. stdout is stderr afterwards."""
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
