"""A real Redis for tests, alone or as a cluster: its own ports, nothing of it on the disk, gone at the end."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
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

    @property
    def is_running(self) -> bool:
        return self._process is not None

    def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(20)
            self._process = None

    def send(self, signal_: signal.Signals) -> None:
        """``SIGSTOP`` holds it, ``SIGCONT`` lets it go on."""
        assert self._process is not None
        self._process.send_signal(signal_)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def ask(self, *words: str) -> bytes:
        """One command, over a connection of its own, as Redis answers it."""
        with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
            connection.sendall(" ".join(words).encode() + b"\r\n")
            return connection.recv(65536)


class RedisCluster:
    """Three servers that share the slots, each with so many replicas. ``nodes[0]`` is the one that ``url`` names.

    A replica takes the place of a server that has been silent for ``timeout`` ms.
    """

    def __init__(self, replicas: int = 0, timeout: int = 5000) -> None:
        self._replicas = replicas
        # The second port, of which the nodes talk, would by default be ten thousand higher.
        self._ports = [free_port() for _ in range(3 * (1 + replicas))]
        self.nodes = [
            RedisServer("--cluster-enabled", "yes", "--cluster-port", str(port), "--cluster-node-timeout", str(timeout))
            for port in self._ports
        ]
        self.url = f"redis+cluster://127.0.0.1:{self.nodes[0].port}"

    def start(self) -> None:
        for node in self.nodes:
            node.start()
        addresses = [f"127.0.0.1:{node.port}@{port}" for node, port in zip(self.nodes, self._ports, strict=True)]
        self._operate("create", *addresses, "--cluster-replicas", str(self._replicas))
        _until(lambda: all(b"cluster_state:ok" in node.ask("CLUSTER", "INFO") for node in self.nodes))
        roles = (b"role:master", b"master_link_status:up")
        _until(lambda: all(any(role in node.ask("INFO", "replication") for role in roles) for node in self.nodes))

    def master_of(self, key: str) -> RedisServer | None:
        """The server that answers for this key, if one does now."""
        running = (node for node in self.nodes if node.is_running)
        return next((node for node in running if node.ask("EXISTS", key).startswith(b":")), None)

    def replica_of(self, master: RedisServer) -> RedisServer:
        """The server that would take its place."""
        port = f"master_port:{master.port}\r".encode()
        return next(node for node in self.nodes if port in node.ask("INFO", "replication"))

    def move(self, slots: int, source: RedisServer, target: RedisServer) -> None:
        """Move the first slots of a node with their keys to another one, while they are used."""
        names = [node.ask("CLUSTER", "MYID").decode().split()[1] for node in (source, target)]
        options = ("--cluster-from", names[0], "--cluster-to", names[1], "--cluster-slots", str(slots))
        self._operate("reshard", f"127.0.0.1:{source.port}", *options)

    def _operate(self, *what: str) -> None:
        command = ["redis-cli", "--cluster", *what, "--cluster-yes"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr

    def empty(self) -> None:
        """No keys, and no listeners that a test before left behind."""
        for node in self.nodes:
            node.ask("CLIENT", "KILL", "TYPE", "pubsub")
            node.ask("FLUSHALL")

    def remove(self) -> None:
        for node in self.nodes:
            node.remove()


def _until(true: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "the cluster does not get ready"
        time.sleep(0.05)
