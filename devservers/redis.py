"""A real Redis for tests: its own port, nothing on the disk, gone at the end."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from devservers.ports import free_port


def why_not() -> str | None:
    """Why no server can be started here, or ``None``."""
    return None if shutil.which("redis-server") else "redis-server is not installed"


class RedisServer:
    """``start`` and ``stop`` may be called again and again; it begins empty each time. ``remove`` ends it for good."""

    def __init__(self, *options: str) -> None:
        self._options = options
        self._folder = Path(tempfile.mkdtemp(prefix="streamchat-redis-"))
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def start(self, expect: bytes = b"+PONG") -> None:
        self._process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
             "--daemonize", "no", "--loglevel", "warning", *self._options],
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        end = time.monotonic() + 20
        while time.monotonic() < end:
            try:
                if self.ask("PING").startswith(expect):
                    return
            except OSError:
                assert self._process.poll() is None, "redis-server ended at once"
            time.sleep(0.02)
        raise AssertionError("redis-server does not answer")

    def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(20)
            self._process = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def ask(self, *words: str) -> bytes:
        """One command, over a connection of its own, as Redis answers it."""
        with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
            connection.sendall(" ".join(words).encode() + b"\r\n")
            return connection.recv(65536)
