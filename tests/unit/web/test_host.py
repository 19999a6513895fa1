"""What ASGI servers and clients put into a scope: every form of ``Host`` and ``server`` is decided in one place."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.types import Message, Scope

from streamchat.web.access import Access, Policy

# Server, what its scope holds, and whether the port that it names is 3000.
SERVERS = [
    pytest.param(("127.0.0.1", 3000), True, id="uvicorn"),
    pytest.param(("127.0.0.1", "3000"), True, id="granian"),
    pytest.param(["127.0.0.1", 3000], True, id="as-the-specification-writes-it"),
    pytest.param(("::1", 3000), True, id="ipv6"),
    pytest.param(("::1", 3000, 0, 0), True, id="ipv6-as-a-socket-names-it"),
    pytest.param(("[::1]", "3000"), True, id="ipv6-in-brackets"),
    pytest.param(("", 3000), True, id="every-address"),
    pytest.param(("/run/streamchat.sock", None), None, id="unix-socket-of-uvicorn"),
    pytest.param(("/run/streamchat.sock", "0"), None, id="unix-socket-of-granian"),
    pytest.param(("unix:/run/streamchat.sock", 0), None, id="unix-socket-zero"),
    pytest.param("/run/streamchat.sock", None, id="unix-socket-as-text"),
    pytest.param(None, None, id="not-told"),
    pytest.param("missing", None, id="missing"),
    pytest.param(("127.0.0.1", 8000), False, id="another-port"),
    pytest.param(("127.0.0.1", "8000"), False, id="another-port-as-text"),
    pytest.param(("127.0.0.1", "http"), False, id="no-number"),
    pytest.param(("127.0.0.1", -1), False, id="below-zero"),
]
OURS = ["localhost:3000", "LocalHost:3000", "127.0.0.1:3000", "[::1]:3000"]
FOREIGN: list[Any] = [
    b"",
    b":3000",
    b"evil.example",
    b"evil.example:3000",
    b"localhost.evil.example:3000",
    b"evil.example#localhost:3000",
    b"localhost.:3000",
    b"localhost:",
    b"localhost:0",
    b"localhost:03000",
    b"localhost:+3000",
    b"localhost:-1",
    b"localhost:65536",
    b"localhost:68536",  # 3000 in sixteen bits
    b"localhost:99999999999999999999",
    b"localhost:3000:3000",
    b"localhost:3000/",
    b"localhost:3000\n",
    b" localhost:3000",
    b"localhost:3000 ",
    b"localhost:3000, evil.example",
    b"user@localhost:3000",
    b"localhost:3000@evil.example",
    b"http://localhost:3000",
    b"localhost\x00:3000",
    b"localhost:\xb3000",  # a digit to str.isdigit
    b"l\xf6calhost:3000",
    "l\u043ecalhost:3000".encode(),
    b"::1",
    b"::1:3000",
    b"[::1",
    b"::1]:3000",
    b"[::1]]:3000",
    b"[::1%lo]:3000",
    b"[localhost]:3000",
    b"[127.0.0.1]:3000",
    b"0.0.0.0:3000",
    b"2130706433:3000",  # 127.0.0.1 to some resolvers
    b"\xff\xfe",
    None,
    (b"localhost:3000", b"localhost:3000"),
    (b"localhost:3000", b"evil.example"),
    (b"evil.example", b"localhost:3000"),
]
PUBLIC = Policy.of(["http://localhost:3000"], [], "https://chat.example")


def scope(kind: str, server: Any, *hosts: bytes, origin: str | None = None) -> Scope:
    headers = [(b"host", host) for host in hosts] + ([(b"origin", origin.encode())] if origin else [])
    made: Scope = {"type": kind, "path": "/_event", "headers": headers, "server": server}
    if kind == "http":
        made["method"] = "GET"
    if server == "missing":
        del made["server"]
    return made


async def answer(scope: Scope, policy: Policy = PUBLIC) -> int:
    """The status of what Access says; 200 stands for the app behind it, 403 also for a socket that is not accepted."""
    messages: list[Message] = []

    async def app(scope: Scope, receive: Any, send: Any) -> None:
        messages.append({"type": "passed", "status": 200})

    async def send(message: Message) -> None:
        messages.append(message)

    async def receive() -> Message:
        raise AssertionError("nothing is read")

    await Access(app, lambda: policy, lambda path: False)(scope, receive, send)
    return messages[0].get("status", 403)


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(("server", "at_3000"), SERVERS)
async def test_a_server_names_its_port_in_any_form(kind: str, server: Any, at_3000: bool | None):
    """A loopback name is ours at the port of the server, whatever form that has; at any if the server has no port, and
    a proxy in front of it says which."""
    for host in OURS:
        passed = await answer(scope(kind, server, host.encode())) == 200
        assert passed == (at_3000 is not False), host
        passed = await answer(scope(kind, server, host.replace("3000", "3001").encode())) == 200
        assert passed == (at_3000 is None), host


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("host", FOREIGN, ids=str)
async def test_no_odd_name_is_ours(kind: str, host: bytes | tuple[bytes, ...] | None):
    """Foreign names, and whatever only resembles ours, are refused under every server, without an exception."""
    hosts = () if host is None else host if isinstance(host, tuple) else (host,)
    for server in [param.values[0] for param in SERVERS]:
        assert await answer(scope(kind, server, *hosts)) == (421 if kind == "http" else 403), server


@pytest.mark.parametrize("kind", ["http", "websocket"])
async def test_a_port_that_is_not_said_is_that_of_the_scheme(kind: str):
    """Without a port a loopback name is ours at port 80, and the public name at both schemes' own ports."""
    for port in (80, "80"):
        assert await answer(scope(kind, ("127.0.0.1", port), b"localhost")) == 200
        assert await answer(scope(kind, ("127.0.0.1", port), b"localhost:80")) == 200
    assert await answer(scope(kind, ("127.0.0.1", "3000"), b"localhost")) != 200
    for host in (b"chat.example", b"Chat.Example:443", b"chat.example:80"):
        assert await answer(scope(kind, ("127.0.0.1", "3000"), host)) == 200
    for host in (b"chat.example:8443", b"chat.example:80:443", b"chat.example.", b"user@chat.example"):
        assert await answer(scope(kind, ("127.0.0.1", "3000"), host)) != 200


@pytest.mark.parametrize("server", [("127.0.0.1", 8000), ("127.0.0.1", "8000")])
async def test_the_page_of_a_development_server_opens_the_socket(server: Any):
    """The page is at one port and its backend at another: only the page's own origin is let in, no other."""
    for origin in ("http://localhost:3000", "http://localhost:8000", None):
        assert await answer(scope("websocket", server, b"localhost:8000", origin=origin)) == 200, origin
    for origin in ("http://localhost:3001", "http://evil.example:3000", "https://localhost:3000", "null"):
        assert await answer(scope("websocket", server, b"localhost:8000", origin=origin)) == 403, origin
