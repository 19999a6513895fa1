"""``streamchat deploy check``: what stands in the way of a deployment is found from outside, and named."""

from __future__ import annotations

import http.server
import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import which

import pytest

from devservers.app import Served
from devservers.ports import free_port
from streamchat import cli
from tests.browser.proxies import Proxy

Check = Callable[..., tuple[int, dict[str, tuple[str, str]]]]


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str]) -> Check:
    """``check(url)``: the exit code, and the state and the text of each finding."""

    def run(url: str, *arguments: str) -> tuple[int, dict[str, tuple[str, str]]]:
        code = cli.main(["deploy", "check", url, "--json", *arguments])
        findings = json.loads(capsys.readouterr().out)["findings"]
        return code, {finding["topic"]: (finding["state"], finding["text"]) for finding in findings}

    return run


def failed(findings: dict[str, tuple[str, str]]) -> set[str]:
    return {topic for topic, (state, _) in findings.items() if state == "failed"}


@pytest.fixture(scope="module")
def behind(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Proxy]]:
    """``behind(kind)``: a proxy of this kind before a server whose public address it is, or is not."""
    started: list[Proxy | Served] = []

    def start(kind: str, *, known: bool = True) -> Proxy:
        port = free_port()
        settings = {"STREAMCHAT_MODELS": "simulator:tour"}
        if known:
            settings["STREAMCHAT_PUBLIC_URL"] = f"http://127.0.0.1:{port}"
        server = Served(tmp_path_factory.mktemp(kind) / "data", settings).start()
        proxy = Proxy(kind, server.port, port)
        started.extend((server, proxy))
        return proxy

    yield start
    for one in reversed(started):
        one.close() if isinstance(one, Proxy) else one.stop()


def test_a_server_on_this_machine_passes(served: Served, check: Check):
    """Every check is made, none fails, and a silence is tested if it is asked for."""
    code, findings = check(served.url, "--idle", "1")
    assert failed(findings) == set()
    assert code == 0
    assert set(findings) == {
        *("encryption", "health", "page", "headers", "socket", "foreign pages", "strangers", "streams", "silence")
    }


def test_a_proxy_that_ships_passes(behind: Callable[..., Proxy], check: Check):
    code, findings = check(behind("nginx").url)
    assert failed(findings) == set()
    assert code == 0


def test_a_proxy_that_holds_back_is_found(behind: Callable[..., Proxy], check: Check):
    """One that buffers, compresses, passes no sockets and ends what is silent: each is named."""
    code, findings = check(behind("holding").url, "--idle", "5")
    assert code == 1
    assert failed(findings) == {"socket", "streams", "silence"}
    assert "Upgrade" in findings["socket"][1]
    assert "X-Accel-Buffering" in findings["streams"][1]


def test_a_name_that_the_server_does_not_know_is_found(behind: Callable[..., Proxy], check: Check):
    """The proxy hands on its own name, which nobody told the server: the setting is named, with its value."""
    proxy = behind("nginx", known=False)
    code, findings = check(proxy.url)
    assert code == 1
    assert findings["page"][0] == "failed"
    assert f"STREAMCHAT_PUBLIC_URL={proxy.url}" in findings["page"][1]


@pytest.fixture
def other_program() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_another_program_is_said(other_program: str, check: Check):
    code, findings = check(other_program)
    assert code == 1
    assert list(findings) == ["encryption", "health"]
    assert findings["health"][0] == "failed"


def test_nobody_there_is_said(check: Check):
    code, findings = check(f"http://127.0.0.1:{free_port()}")
    assert code == 1
    assert "cannot be reached" in findings["health"][1]


@pytest.fixture
def self_signed(tmp_path: Path) -> Iterator[str]:
    if which("openssl") is None:
        pytest.skip("openssl is not installed")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
        + ["-keyout", str(key), "-out", str(certificate), "-days", "2"],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                try:
                    context.wrap_socket(connection, server_side=True).close()
                except OSError:
                    connection.close()

        threading.Thread(target=answer, daemon=True).start()
        yield f"https://localhost:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def test_a_certificate_that_browsers_refuse_is_said(self_signed: str, check: Check):
    code, findings = check(self_signed)
    assert code == 1
    assert "certificate" in findings["encryption"][1]


@pytest.mark.parametrize("url", ["ftp://chat.example", "https://", "http:///path"])
def test_what_is_no_address_is_one_line(url: str, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["deploy", "check", url]) == 1
    assert capsys.readouterr().err.count("\n") == 1
