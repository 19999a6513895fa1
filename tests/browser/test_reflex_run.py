"""The app starts the way its users start a Reflex app: ``reflex run``, in both modes, on any port."""

from __future__ import annotations

import socket
import sqlite3
import urllib.request
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext

from devservers.ports import free_port
from devservers.reflex_run import ReflexRun, copy_checkout, wait_gone
from tests.support.chat_page import ChatPage, Oddities, numbered
from tests.support.long import LONG

pytestmark = pytest.mark.timeout(300)  # each start builds the page
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
Start = Callable[..., ReflexRun]


@pytest.fixture(scope="module")
def checkout(built: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_checkout(tmp_path_factory.mktemp("reflex") / "checkout")


@pytest.fixture
def start(checkout: Path) -> Iterator[Start]:
    """``start(*arguments, NAME="value", …)``: one server, at whose end nothing of it is left."""
    servers: list[ReflexRun] = []

    def begin(*arguments: str, **settings: str) -> ReflexRun:
        servers.append(ReflexRun(checkout, arguments, settings))
        return servers[-1].start()

    yield begin
    for server in servers:
        server.kill()


def chat_in(context: BrowserContext, server: ReflexRun) -> ChatPage:
    """A tab on the page, with the model that needs no network, and what is odd there."""
    oddities = Oddities(context)
    oddities.own(server.url, server.backend)
    return ChatPage(context.new_page(), server, oddities, server.url).open("/?model=simulator:tour")


def refuses_strangers(server: ReflexRun) -> None:
    """Foreign names and foreign pages are refused, under this server too."""
    own = urlsplit(server.backend).netloc
    assert server.status("/", Host="evil.example") == 421
    assert server.status("/_event/", Host="evil.example", **UPGRADE) == 403
    page_socket = "/_event/?EIO=4&transport=websocket"
    assert server.status(page_socket, Host=own, Origin="http://evil.example", **UPGRADE) == 403
    assert server.status(page_socket, Host=own, Origin="http://localhost:1", **UPGRADE) == 403
    assert server.status(page_socket, Host=own, Origin=server.url, **UPGRADE) == 101


def ends_in_order(server: ReflexRun, chat: ChatPage, end: Callable[[], None]) -> None:
    """An answer that is on its way is stored as interrupted with what it has, and no process stays behind."""
    chat.ask("n=2000 rate=20 kind=numbered").wait_text("w000005")
    message_id, processes = chat.message_id(), server.processes()
    end()
    server.wait_end()
    assert wait_gone(processes) == []
    connection = sqlite3.connect(server.database)
    row = connection.execute("select status, parts from message where id = ?", (message_id,)).fetchone()
    connection.close()
    assert row[0] == "interrupted", server.log
    assert "w000005" in row[1]


@pytest.mark.parametrize("named", ["nothing", "ports"] if LONG else ["nothing"])
def test_reflex_run_serves(start: Start, context: BrowserContext, named: str):
    """In dev mode a question is answered word by word, wherever page and backend are; all of it listens on this machine
    only; what the app writes into its folder restarts nothing; Ctrl-C ends it in order."""
    page, backend = free_port(), free_port()
    ports = ["--frontend-port", str(page), "--backend-port", str(backend)] if named == "ports" else []
    server = start(*ports)
    if named == "ports":
        assert (urlsplit(server.url).port, urlsplit(server.backend).port) == (page, backend)
    chat = chat_in(context, server)
    before = server.listening()
    chat.ask("n=50 rate=25 kind=numbered").wait_status("finished")
    assert chat.words() == numbered(50)
    assert len(chat.steps()) >= 20
    # The page calls the API at its own address, in dev mode through Vite; a change is no foreign page's.
    call = "([method, path, body]) => fetch(path, {method, body, headers: {'Content-Type': 'application/json'}})"
    path = f"/api{chat.page.url.partition(str(urlsplit(server.url).port))[2].replace('/c/', '/conversations/')}"
    status = f"([...call]) => ({call})(call).then((answer) => answer.status)"
    assert chat.page.evaluate(status, ["PATCH", path.partition("?")[0], '{"title": "Renamed"}']) == 200
    after = server.listening()
    assert [str(address) for address, _ in after if not address.is_loopback] == []
    for url in (server.url, server.backend):
        own = ip_address("127.0.0.1"), urlsplit(url).port or 0
        assert before[own] == after[own], "it was restarted"
    refuses_strangers(server)
    assert chat.oddities.unexpected() == []
    ends_in_order(server, chat, server.press_ctrl_c)


@pytest.mark.parametrize("named", ["PORT", "--backend-port"] if LONG else ["--backend-port"])
def test_reflex_run_serves_in_prod_mode(start: Start, context: BrowserContext, named: str):
    """In prod mode page and backend are at one port, however that was named, and gRPC is at its own; SIGTERM ends it in
    order."""
    port, grpc_port = free_port(), free_port()
    settings = {"PORT": str(port)} if named == "PORT" else {}
    arguments = [] if named == "PORT" else [named, str(port)]
    server = start("--env", "prod", *arguments, STREAMCHAT_GRPC_PORT=str(grpc_port), **settings)
    assert urlsplit(server.url).port == port
    chat = chat_in(context, server)
    chat.ask("n=50 rate=25 kind=numbered").wait_status("finished")
    assert chat.words() == numbered(50)
    assert len(chat.steps()) >= 20
    assert [str(address) for address, _ in server.listening() if not address.is_loopback] == []
    assert {port, grpc_port} <= {port for _, port in server.listening()}
    refuses_strangers(server)
    with urllib.request.urlopen(server.url) as home:
        assert "script-src 'self' 'sha256-" in home.headers["Content-Security-Policy"]
    assert chat.oddities.unexpected() == []
    ends_in_order(server, chat, server.terminate)


def test_a_port_that_is_taken_is_said(start: Start):
    """A named port that another program has ends the start with a sentence and without a traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for arguments, settings in ((("--env", "prod"), {"PORT": port}), (("--frontend-port", port), {})):
            with pytest.raises(AssertionError, match="the server ended with code 1") as ended:
                start(*arguments, **settings)
            assert f"port: {port} is already in use" in " ".join(str(ended.value).split())
            assert "Traceback" not in str(ended.value)


def test_a_start_that_fails_inside_says_why(start: Start, tmp_path: Path):
    """What only the app finds out, such as a database that it cannot use, is one line and no traceback either."""
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"no database" * 1000)
    port = str(free_port())
    arguments = ("--env", "prod", "--backend-only", "--backend-port", port)
    with pytest.raises(AssertionError, match="the server ended") as ended:
        start(*arguments, STREAMCHAT_DATABASE_URL=f"sqlite:///{broken}")
    assert "broken.db" in str(ended.value)
    assert "Traceback" not in str(ended.value)
