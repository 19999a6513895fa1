"""A real nginx with the configuration that ships in ``deploy/``, on other ports, gone at the end."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from devservers.ports import free_port

SHIPPED = Path(__file__).resolve().parents[1] / "deploy" / "nginx.conf"
MAIN = """
{user}
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
worker_processes 1;
events {{ worker_connections 1024; }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""


def why_not() -> str | None:
    """Why no server can be started here, or ``None``."""
    return None if shutil.which("nginx") else "nginx is not installed"


def ported(text: str, ports: Mapping[int, int]) -> str:
    """A configuration that ships, on other ports; each of the shipped ones has to be in it once."""
    for shipped, own in ports.items():
        assert text.count(f"127.0.0.1:{shipped}") == 1, shipped
        text = text.replace(f"127.0.0.1:{shipped}", f"127.0.0.1:{own}")
    return text


def written(folder: Path, site: str) -> list[str]:
    """The command that runs an nginx of this folder with this site."""
    (folder / "site.conf").write_text(site)
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(MAIN.format(folder=folder, user=user))
    return ["nginx", "-e", str(folder / "error.log"), "-p", str(folder), "-c", str(folder / "nginx.conf")]


class Nginx:
    """``grpc``: where the workers' gRPC port is, if they have one; nginx serves it on ``grpc_port``."""

    def __init__(self, port: int, workers: Sequence[int], grpc: int = 1) -> None:
        self.port = port
        self.grpc_port = free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="streamchat-nginx-"))
        site = SHIPPED.read_text()
        ports = {8080: port, 3001: workers[0], 3002: workers[1], 8081: self.grpc_port, 50051: grpc}
        self._command = written(self._folder, ported(site, ports))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        log = self._folder / "error.log"
        self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, start_new_session=True)
        end = time.monotonic() + 10
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert self._process.poll() is None, log.read_text() if log.exists() else "nginx ended at once"
                time.sleep(0.02)
        raise AssertionError("nginx does not listen")

    def remove(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(10)
        shutil.rmtree(self._folder, ignore_errors=True)
