"""Behind a proxy, below a path, and on an address that others reach."""

from __future__ import annotations

import json

import pytest
import websockets

from streamchat.web.access import Policy
from streamchat.web.host import parse_host
from streamchat.web.proxies import ProxyRules
from tests.integration.web.conftest import MakeApi

PUBLIC = "https://chat.example/chat/"
SCOPE = {"server": ("172.17.0.2", 3000)}


@pytest.mark.parametrize("prefix", ["", "/chat"])
async def test_a_public_path_is_answered_with_and_without_it(make_api: MakeApi, prefix: str):
    """A proxy may hand the path on or take it away: API, page and both sockets answer."""
    async with make_api(STREAMCHAT_PUBLIC_URL=PUBLIC) as api:
        assert (await api.client.get(f"{prefix}/api/conversations")).status_code == 200
        assert (await api.client.get(f"{prefix}/c/one")).text == "page"
        started = (await api.client.post(f"{prefix}/api/runs", json={"message": "hello"})).json()
        assert started["events_url"] == f"/chat/api/runs/{started['run_id']}/events"
        async with websockets.connect(f"ws://127.0.0.1:{api.port}{prefix}/_event") as page:
            assert await page.recv() == "page"
        async with websockets.connect(f"ws://127.0.0.1:{api.port}{prefix}/api/runs/{started['run_id']}/ws") as socket:
            await socket.send(json.dumps({"type": "stop", "id": 1}))
            assert '"stopped"' in str([message async for message in socket])


async def test_the_path_alone_is_the_page(make_api: MakeApi):
    """Also without a slash at its end; a path that only begins the same is another one."""
    async with make_api(STREAMCHAT_PUBLIC_URL=PUBLIC) as api:
        assert (await api.client.get("/chat")).text == "page"
        assert (await api.client.get("/chat/")).text == "page"
        assert (await api.client.get("/chatter/api/conversations")).text == "page"


async def test_the_public_page_may_call_below_its_path(make_api: MakeApi):
    """The origin of an address with a path is the address without it."""
    async with make_api(STREAMCHAT_PUBLIC_URL=PUBLIC) as api:
        own = {"Host": "chat.example", "Origin": "https://chat.example"}
        assert (await api.client.post("/chat/api/runs", json={"message": "hello"}, headers=own)).status_code == 201


@pytest.mark.parametrize(
    ("peer", "chain", "client"),
    [
        ("127.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("::1", "203.0.113.7, 10.0.0.9", "203.0.113.7"),
        ("::ffff:10.0.0.5", "198.51.100.1, 203.0.113.7", "203.0.113.7"),
        ("127.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
        ("127.0.0.1", "203.0.113.7:4711", "203.0.113.7"),
        ("127.0.0.1", "evil", "127.0.0.1"),
        ("203.0.113.9", "203.0.113.7", "203.0.113.9"),
        ("", "203.0.113.7", ""),
    ],
)
def test_a_client_is_named_by_proxies_only(peer: str, chain: str, client: str):
    """What a client itself writes into the header does not count: the last hop that is no proxy of ours is it."""
    rules = ProxyRules.of(["10.0.0.0/8"], None, "")
    assert rules.client_of([chain.encode()], peer) == client


@pytest.mark.parametrize(
    ("host", "answered"),
    [
        ("172.17.0.2:3000", True),
        ("192.168.1.7:8080", True),
        ("[2001:db8::1]:8080", True),
        ("localhost:8080", True),
        ("chat.example", True),
        ("evil.example", False),
        ("evil.example:3000", False),
        ("172.17.0.2.evil.example", False),
    ],
)
def test_a_server_that_others_reach_answers_to_addresses(host: str, answered: bool):
    """A container is reached under addresses and ports that it does not know, and by no name but its own."""
    policy = Policy.of([], [], "https://chat.example", address="0.0.0.0")
    assert policy.names(parse_host([host.encode()]), SCOPE) is answered


@pytest.mark.parametrize(
    ("host", "answered"), [("127.0.0.5:3000", True), ("127.0.0.5:3001", False), ("192.168.1.7:3000", False)]
)
def test_on_loopback_the_port_counts(host: str, answered: bool):
    """Another loopback address than 127.0.0.1 is answered where it is listened on."""
    policy = Policy.of([], [], None, address="127.0.0.5")
    assert policy.names(parse_host([host.encode()]), {"server": ("127.0.0.5", 3000)}) is answered
