"""Real proxies in front of a server: with the configurations that ship, and with ones that stand in the way."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from devservers.nginx import ported, written
from devservers.ports import free_port
from tests import ROOT

DEPLOY = ROOT / "deploy"
# What a person writes who knows of no streams; and what holds everything back.
PLAIN = "server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{server}; {more} }} }}"
NAMED = "proxy_http_version 1.1; proxy_set_header Host $http_host;"
IMPATIENT = NAMED + " proxy_read_timeout 14s;"
HOLDING = NAMED + (
    " proxy_ignore_headers X-Accel-Buffering; proxy_read_timeout 3s; gzip on; gzip_types text/event-stream;"
    " gzip_min_length 0;"
)


class Proxy:
    """``kind``: ``nginx`` or ``caddy`` as shipped; nginx as ``plain`` (its defaults), ``impatient`` (ends what is
    silent for 14 s) or ``holding`` (buffers, no sockets). ``second``: the port of a second worker, which only the
    shipped ones use."""

    def __init__(self, kind: str, server_port: int, port: int, second: int | None = None) -> None:
        program = "caddy" if kind == "caddy" else "nginx"
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._second = second or server_port
        self._folder = Path(tempfile.mkdtemp(prefix="streamchat-proxy-"))
        command = self._caddy(server_port) if program == "caddy" else self._nginx(kind, server_port)
        self._log = self._folder / "output.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | {"HOME": str(self._folder), "XDG_DATA_HOME": str(self._folder)},
            )
        self._wait()

    def _caddy(self, server_port: int) -> list[str]:
        file = self._folder / "Caddyfile"
        file.write_text(ported((DEPLOY / "Caddyfile").read_text(), self._ports(server_port)))
        return ["caddy", "run", "--config", str(file), "--adapter", "caddyfile"]

    def _nginx(self, kind: str, server_port: int) -> list[str]:
        more = {"holding": HOLDING, "impatient": IMPATIENT}.get(kind, NAMED)
        site = PLAIN.format(port=self.port, server=server_port, more=more)
        if kind == "nginx":
            site = ported((DEPLOY / "nginx.conf").read_text(), self._ports(server_port) | {8081: free_port()})
        return written(self._folder, site)

    def _ports(self, server_port: int) -> dict[int, int]:
        return {8080: self.port, 3001: server_port, 3002: self._second}

    def _wait(self) -> None:
        end = time.monotonic() + 20
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert self._process.poll() is None, self._log.read_text()
                time.sleep(0.02)
        raise AssertionError("the proxy does not listen")

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(10)
        shutil.rmtree(self._folder, ignore_errors=True)
