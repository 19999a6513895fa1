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

from tests.e2e.served import free_port

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
_NGINX = """
{user}
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
worker_processes 1;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""
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
    silent for 14 s) or ``holding`` (buffers, no sockets)."""

    def __init__(self, kind: str, server_port: int, port: int) -> None:
        program = "caddy" if kind == "caddy" else "nginx"
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
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
        file.write_text(self._ported((DEPLOY / "Caddyfile").read_text(), server_port))
        return ["caddy", "run", "--config", str(file), "--adapter", "caddyfile"]

    def _nginx(self, kind: str, server_port: int) -> list[str]:
        more = {"holding": HOLDING, "impatient": IMPATIENT}.get(kind, NAMED)
        site = PLAIN.format(port=self.port, server=server_port, more=more)
        if kind == "nginx":
            site = self._ported((DEPLOY / "nginx.conf").read_text(), server_port)
            site = site.replace("127.0.0.1:8081", f"127.0.0.1:{free_port()}")
        (self._folder / "site.conf").write_text(site)
        user = "user root;" if os.geteuid() == 0 else ""
        main = self._folder / "nginx.conf"
        main.write_text(_NGINX.format(folder=self._folder, user=user))
        return ["nginx", "-e", str(self._folder / "error.log"), "-p", str(self._folder), "-c", str(main)]

    def _ported(self, text: str, server_port: int) -> str:
        for shipped, own in ((8080, self.port), (3001, server_port), (3002, server_port)):
            assert text.count(f"127.0.0.1:{shipped}") == 1, shipped
            text = text.replace(f"127.0.0.1:{shipped}", f"127.0.0.1:{own}")
        return text

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
