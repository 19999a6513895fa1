"""Whoever speaks to the socket without our page: nothing crashes, nothing leaks, and others go on undisturbed."""

from __future__ import annotations

import json
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from devservers.app import Served
from devservers.page_socket import LIVE, ON_LOAD, ROOT_STATE
from tests.support.raw import RawTab
from tests.support.simulated import Simulated
from tests.unit.ui.reviewed import HANDLERS, VARS

CANARY = "sk-CANARY-socket-4711"
NESTED: Any = "deep"
for _ in range(200):
    NESTED = [NESTED]
VALUES: dict[str, Any] = {
    "none": None,
    "number": 7,
    "float": 1e308,
    "true": True,
    "list": ["a", {"b": []}],
    "dict": {"__class__": "x", "text": "y"},
    "deep": NESTED,
    "empty": "",
    "nul": "a\x00b",
    "half a character": "\ud800",
    "path": "../../etc/passwd",
    "megabyte": "x" * 900_000,
}
ARGUMENTS = {
    f"{LIVE}.send": ("text", "client_id", "model"),
    f"{LIVE}.retry": ("message_id", "client_id", "model"),
    f"{LIVE}.continue_answer": ("message_id", "client_id", "model"),
    f"{LIVE}.earlier": ("before",),
    f"{ROOT_STATE}.hydrate_and_load": ("vars",),
}
REFLEX_ARGUMENTS = ("var_name", "value", "vars", "info")


@pytest.fixture(scope="module")
def target(built: None, simulated: Simulated, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that these tests may mistreat; it has a key that must never be seen."""
    settings = {
        **simulated.settings,
        "ANTHROPIC_API_KEY": CANARY,
        "STREAMCHAT_MODELS": "openai:tour,anthropic:claude-test",
    }
    server = Served(tmp_path_factory.mktemp("target") / "data", settings).start()
    yield server
    server.stop()


def converse(served: Served, text: str = "n=3 rate=0 kind=numbered") -> str:
    """An ordinary exchange of an ordinary tab, to the end of its answer; the address of the conversation."""
    with RawTab(served.url) as tab:
        tab.frame("open")
        tab.send(text)
        tab.go(tab.begun())
        assert tab.ending() == "finished"
        return tab.path


@pytest.fixture(scope="module")
def secret(target: Served) -> str:
    """A conversation that no tab of these tests asks for."""
    return converse(target, "SECRETQUESTION n=2 rate=0 kind=numbered")


@pytest.mark.parametrize("handler", sorted(HANDLERS), ids=lambda name: ".".join(name.split(".")[-2:]))
def test_no_payload_breaks_a_handler(target: Served, secret: str, handler: str):
    """Every handler with values of every type, too few and too many arguments: the socket stays, what comes back are
    sentences and nothing of another conversation, and an ordinary message is answered afterwards."""
    with RawTab(target.url) as tab:
        tab.frame("open")
        names = ARGUMENTS.get(handler, REFLEX_ARGUMENTS)
        for value in VALUES.values():
            for name in names:
                tab.call(handler, **{other: "x" for other in names} | {name: value})
        tab.call(handler)
        tab.call(handler, **dict.fromkeys(names, "x"), extra=1)
        tab.call(handler, **{"self": 1, "__init__": 2, "": 3})
        for payload in (None, [], "text", 7):
            tab.emit({"name": handler, "payload": payload, "router_data": {"pathname": "/", "asPath": "/"}})
        tab.go("/c/no-such-conversation")
        tab.wait(lambda: any(f.get("missing") for f in tab.frames), what="an open frame after all that")
        told = [frame["text"] for frame in tab.frames if frame.get("k") == "say"]
        assert all(isinstance(text, str) and 0 < len(text) < 300 for text in told)
        everything = json.dumps([{k: v for k, v in f.items() if k != "client_id"} for f in tab.frames])
    assert "Traceback" not in everything
    assert '"w000001' not in everything
    assert CANARY not in everything
    converse(target)


@pytest.mark.parametrize(
    "data",
    [None, 7, True, "text", "{", [], [1, 2], {}, {"name": 7}, {"name": "x.y.z"}, {"name": f"{LIVE}._private"},
     {"name": f"{LIVE}.follow", "router_data": None}, {"name": f"{LIVE}.follow", "router_data": []},
     {"name": f"{LIVE}.follow", "router_data": {"pathname": {"a": 1}, "asPath": ["x"], "query": 3}},
     {"name": f"{LIVE}.follow", "router_data": {"pathname": "/c/" + "x" * 100_000, "asPath": "\x00"}},
     {"name": f"{LIVE}.follow", "token": "another", "substate_token": "another"}],
    ids=repr,
)  # fmt: skip
def test_no_event_breaks_the_server(target: Served, data: Any):
    """Events that are none: at most this socket is the worse for it, and an ordinary message is answered afterwards."""
    with RawTab(target.url) as tab:
        tab.frame("open")
        tab.emit(data)
        tab.emit_binary(json.dumps(data).encode())
        tab.emit(data, event="client_error")
        tab.emit(data, event="no_such_event")
        converse(target)
    assert CANARY not in target.log


def test_binary_in_place_of_text_is_refused_with_a_sentence(target: Served):
    """A message of bytes is not text: one sentence, nothing is stored, and the socket goes on."""
    with RawTab(target.url) as tab:
        tab.frame("open")
        packet = json.dumps(["event", tab.event(f"{LIVE}.send", text={"_placeholder": True, "num": 0},
                                                client_id="binary", model="openai:tour")])  # fmt: skip
        tab.send_raw(f"451-/_event,{packet}", b"\x00\xff\xfe")
        assert tab.frame("say")["text"].endswith(".")
        tab.send("n=1 rate=0 kind=numbered")
        tab.begun()


def test_a_message_beyond_the_limit_is_refused_with_a_sentence(target: Served):
    """900 KB of text: one sentence with the limit in it, the client id so that the page keeps the draft, no row."""
    with RawTab(target.url) as tab:
        tab.frame("open")
        client_id = tab.send("x" * 900_000)
        said = tab.frame("say")
        assert said["client_id"] == client_id
        assert "longer than" in said["text"]
        assert not tab.closed


def test_more_than_a_socket_may_carry_closes_that_socket_only(target: Served):
    """A frame of 3 MB: the socket may be closed, the server and the other tabs go on."""
    with RawTab(target.url) as other, RawTab(target.url) as tab:
        other.frame("open")
        tab.send("x" * 3_000_000)
        tab.wait_closed(5)
        assert not other.closed
        other.send("n=1 rate=0 kind=numbered")
        other.begun()


@pytest.mark.parametrize("text", ["", "   ", "\n\t \u2003\u00a0"])
def test_an_empty_message_leaves_no_row(target: Served, text: str):
    """Nothing to say: one sentence at most, no conversation."""
    with RawTab(target.url) as tab:
        tab.frame("open")
        rows = len(tab.latest_rows())
        tab.send(text)
        assert tab.frame("say")["text"] == "The message is empty."
        tab.go("/")
        tab.frame("open", after=1)
        assert len(tab.latest_rows()) == rows


@pytest.mark.parametrize("model", ["nope:x", "openai", "simulator:nope", "openai:" + "x" * 500, "../:x", None])
def test_an_unknown_model_is_one_sentence(target: Served, model: Any):
    """The sentence says that there is none of this name; nothing is stored."""
    with RawTab(target.url) as tab:
        tab.frame("open")
        client_id = tab.send("hello", model=model)
        said = tab.frame("say")
        assert said["client_id"] == client_id
        assert "model" in said["text"]
        assert len(said["text"]) < 200


@pytest.mark.parametrize("path", ["/c/doesnotexist", "/x/y", "/c/", "/c/%2e%2e", "/C/abc", "/c/" + "a" * 300])
def test_an_unknown_address_is_a_missing_conversation(target: Served, secret: str, path: str):
    """The same answer for every address that names none, and a message sent there is refused, not lost elsewhere."""
    with RawTab(target.url, path) as tab:
        opened = tab.frame("open")
        assert opened["messages"] == []
        if path == "/c/":  # names no conversation: a new chat, or one that is not there
            return
        assert opened["missing"]
        client_id = tab.send("hello")
        said = tab.frame("say")
        assert said["client_id"] == client_id
        assert said["text"].endswith(".")


def test_a_message_with_half_a_character_is_kept_and_can_be_opened(target: Served):
    """Text with half a surrogate pair, as a browser can send it: the conversation opens, with the rest of the text."""
    with RawTab(target.url) as tab:
        tab.frame("open")
        tab.send("before \ud83d after n=2 rate=0 kind=numbered")
        path = tab.begun()
    with RawTab(target.url, path) as tab:
        assert "after" in tab.frame("open")["messages"][0]["text"]


def test_one_client_id_is_one_answer(target: Served, simulated: Simulated, mark: str):
    """The same message sent three times, from two tabs: one question, one answer, one request of the provider."""
    text, client_id = f"{mark} n=5 rate=20 kind=numbered", str(uuid.uuid4())
    with RawTab(target.url) as first, RawTab(target.url) as second:
        first.frame("open")
        second.frame("open")
        for tab in (first, second, first):
            tab.send(text, client_id=client_id)
        paths = {first.begun(), second.begun()}
    assert len(paths) == 1
    with RawTab(target.url, paths.pop()) as tab:
        assert [message["role"] for message in tab.frame("open")["messages"]] == ["user", "assistant"]
    assert len(simulated.requests(text)) == 1


def test_a_browser_gets_only_reviewed_vars(target: Served):
    """What really comes over the socket has no name that is not on the reviewed list, and no value of a setting."""
    with RawTab(target.url, "/c/doesnotexist") as tab:
        tab.frame("open")
        got = {
            f"{state}.{name.removesuffix('_rx_state_')}"
            for update in tab.updates
            for state, values in (update.get("delta") or {}).items()
            for name in values
        }
        everything = json.dumps(tab.updates)
    assert got
    assert got <= set(VARS)
    for value in (CANARY, *target.settings.values()):
        if len(value) > 3:  # a number is everywhere
            assert value not in everything or value == target.settings["STREAMCHAT_MODELS"]


# Origins and addresses

FOREIGN = (
    "https://evil.example", "http://evil.example", "null", "http://localhost", "http://127.0.0.1:1",
    "http://localhost.evil.example:{port}", "http://127.0.0.1.evil.example:{port}", "https://localhost:{port}",
    "file://", "http://[::1].evil.example:{port}",
)  # fmt: skip


@pytest.mark.parametrize("origin", FOREIGN)
def test_a_foreign_page_gets_no_socket(target: Served, origin: str):
    """Any other page's Origin is refused at the handshake, with and without cookies."""
    for headers in ({}, {"Cookie": "session=x"}):
        with pytest.raises(InvalidStatus):
            RawTab(target.url, origin=origin.format(port=target.port), headers=headers)


@pytest.mark.parametrize("origin", ["http://localhost:{port}", "http://127.0.0.1:{port}"])
def test_our_own_page_gets_a_socket(target: Served, origin: str):
    """The app's own addresses are accepted."""
    with RawTab(target.url, origin=origin.format(port=target.port)) as tab:
        tab.frame("open")


def test_a_rebound_name_gets_no_socket(target: Served):
    """A foreign name that resolves to this machine: its Origin is foreign although its Host agrees."""
    host = f"evil.example:{target.port}"
    with pytest.raises(InvalidStatus):
        RawTab(target.url, origin=f"http://{host}", headers={"Host": host})


@pytest.mark.parametrize("path", ["/", "/ping", "/c/abc", "/_event/?EIO=4&transport=polling", "/assets/none.js"])
@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
def test_no_foreign_page_may_read_an_answer(target: Served, path: str, origin: str):
    """No HTTP answer allows a foreign origin, neither by name nor by a star with credentials."""
    _, headers, _ = target.get(path, {"Origin": origin})
    assert headers.get("access-control-allow-origin") in (None, target.url)
    preflight = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    _, headers, _ = target.request("OPTIONS", path, preflight)
    assert headers.get("access-control-allow-origin") in (None, target.url)


def listening(port: int) -> set[str]:
    """The addresses, as the kernel writes them, on which this machine listens at this port."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            _, local, _, state = line.split()[:4]
            address, _, number = local.partition(":")
            if state == "0A" and int(number, 16) == port:
                found.add(address)
    return found


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="no /proc/net/tcp here")
def test_the_server_listens_on_loopback_only(target: Served):
    """Nobody else's machine can reach it without a word from its owner: 127.0.0.1 and ::1, nothing else."""
    addresses = listening(target.port)
    assert "0100007F" in addresses
    assert addresses <= {"0100007F", "00000000000000000000000001000000"}


def test_this_machine_s_other_address_is_refused(target: Served):
    """A connection to the address by which others know this machine is refused."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: only asks which address would be used
            address = probe.getsockname()[0]
        except OSError:
            pytest.skip("this machine has no other address")
    if address.startswith("127."):
        pytest.skip("this machine has no other address")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address, target.port), timeout=5)


def test_the_log_holds_no_secret_and_nothing_that_was_said(target: Served, secret: str):
    """After everything above, and tabs that leave in the middle: no key, no token of a tab, no question and no answer
    in the log."""
    tokens = []
    for text in ("n=40 rate=100 kind=numbered SAIDWORD", "", "x" * 300_000):
        with RawTab(target.url) as tab:
            tab.frame("open")
            tokens.append(tab.token)
            for _ in range(5):
                tab.send(text)
    converse(target)
    log = target.log
    assert CANARY not in log
    assert "SECRETQUESTION" not in log
    assert "SAIDWORD" not in log
    assert "w000001" not in log
    assert target.settings["OPENAI_API_KEY"] not in log
    assert [token for token in tokens if token in log] == []
    assert ON_LOAD not in log
