"""Who may call: names, origins, and what a browser says of where a call comes from."""

from __future__ import annotations

import asyncio

import pytest
import pytest_asyncio
import websockets

from streamchat.web.access import Policy
from streamchat.web.host import Host, plain_origin
from tests.integration.web.conftest import Api, MakeApi, api_maker, shared

EVIL = "https://evil.example"
LISTED = "https://tools.example"
NEW = {"message": "hello"}


@pytest.fixture
async def guarded(make_api: MakeApi):
    async with make_api(STREAMCHAT_CORS_ORIGINS=LISTED, STREAMCHAT_PUBLIC_URL="https://chat.example/") as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_guarded(tmp_path_factory: pytest.TempPathFactory):
    """For tests that change and start nothing."""
    make = api_maker(tmp_path_factory.mktemp("guarded"))
    async with make(STREAMCHAT_CORS_ORIGINS=LISTED, STREAMCHAT_PUBLIC_URL="https://chat.example/") as made:
        yield made


async def status(api: Api, method: str = "GET", path: str = "/api/conversations", **headers: str) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return (await api.client.request(method, path, headers=named, json=NEW if method == "POST" else None)).status_code


@shared
@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost:1", "localhost.", "chat.example:8443", "", "[::1]x"]
)
@pytest.mark.parametrize("path", ["/api/conversations", "/", "/stream?query=x", "/c/one"])
async def test_a_foreign_name_is_refused_everywhere(shared_guarded: Api, host: str, path: str):
    """A foreign site that points its own name at this server reads and starts nothing, the page included."""
    assert await status(shared_guarded, path=path, Host=host) == 421


async def test_our_own_names_are_answered(guarded: Api):
    """Loopback names at the real port, the public address, and any name for a probe of health."""
    for host in (f"localhost:{guarded.port}", f"127.0.0.1:{guarded.port}", f"[::1]:{guarded.port}", "Chat.Example"):
        assert await status(guarded, Host=host) == 200, host
    assert await status(guarded, path="/healthz", Host="10.0.0.7") == 200
    assert await status(guarded, path="/readyz", Host="10.0.0.7") == 200


async def test_a_proxy_on_this_machine_has_all_its_names(make_api: MakeApi):
    """Where the public address is a loopback one, every loopback name at its port is ours; no other port is."""
    async with make_api(STREAMCHAT_PUBLIC_URL="http://localhost:8080") as api:
        for name in ("localhost", "127.0.0.1", "[::1]"):
            assert await status(api, Host=f"{name}:8080") == 200
            assert await status(api, Host=f"{name}:8081") == 421


@shared
@pytest.mark.parametrize(
    "origin", [EVIL, "null", f"{LISTED}.evil.example", "http://localhost:1", "file://", "http://[", "no-address"]
)
async def test_a_foreign_page_changes_nothing(shared_guarded: Api, origin: str):
    """Calls that change something are refused by their origin, with or without cookies; nothing is started."""
    own = {"Origin": origin, "Cookie": "session=x"}
    assert await status(shared_guarded, "POST", "/api/runs", **own) == 403
    assert await status(shared_guarded, "DELETE", "/api/runs/x", **own) == 403
    for path in ("/stream?query=x", "/stream-chat?query=x", "/stream-with-meta?query=x"):
        assert await status(shared_guarded, path=path, **own) == 403
    assert shared_guarded.provider.requests == []


@pytest.mark.parametrize(
    ("site", "expected"), [("none", 201), ("same-origin", 201), ("same-site", 403), ("cross-site", 403)]
)
async def test_what_the_browser_says_of_the_caller_counts(guarded: Api, site: str, expected: int):
    """Without an origin, ``Sec-Fetch-Site`` must be absent, ``none`` or ``same-origin``."""
    assert await status(guarded, "POST", "/api/runs", Sec_Fetch_Site=site) == expected
    assert await status(guarded, path="/stream?query=", Sec_Fetch_Site=site) == (422 if expected == 201 else 403)


async def test_our_own_page_and_programs_may_start(guarded: Api):
    """The page's origin under every name of this server, the public address, a listed site, and no origin at all."""
    for origin in (guarded.url, f"http://localhost:{guarded.port}", "https://chat.example", LISTED):
        assert await status(guarded, "POST", "/api/runs", Origin=origin) == 201, origin
    assert await status(guarded, "POST", "/api/runs") == 201


async def test_only_listed_pages_may_read(guarded: Api):
    """No other origin is told that it may read, nobody with credentials; Reflex's own list does not count here."""
    for origin, allowed in ((EVIL, None), ("null", None), (LISTED, LISTED)):
        answer = await guarded.client.get("/api/conversations", headers={"Origin": origin})
        assert answer.headers.get("access-control-allow-origin") == allowed
        assert "access-control-allow-credentials" not in answer.headers
        assert "Origin" in answer.headers["vary"]
    streams = await guarded.client.get("/stream?query=x&model=none", headers={"Origin": LISTED})
    assert streams.headers["access-control-allow-origin"] == LISTED


async def test_a_preflight_is_answered_by_the_list(guarded: Api):
    """A listed page gets its method and headers allowed, any other 403 without a word of permission."""
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,last-event-id"}
    answer = await guarded.client.options("/api/runs", headers={"Origin": LISTED} | asked)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == LISTED
    assert "last-event-id" in answer.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in answer.headers
    for origin in (EVIL, "null"):
        answer = await guarded.client.options("/api/runs", headers={"Origin": origin} | asked)
        assert answer.status_code == 403
        assert not [name for name in answer.headers if name.startswith("access-control-allow")]


@shared
@pytest.mark.parametrize("path", ["/_event", "/api/runs/x/ws"])
@pytest.mark.parametrize("origin", [EVIL, "null", "http://localhost:1"])
async def test_a_foreign_page_opens_no_socket(shared_guarded: Api, path: str, origin: str):
    """The page's own socket and the API's are refused before they open."""
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(f"ws://127.0.0.1:{shared_guarded.port}{path}", origin=websockets.Origin(origin))
    assert refused.value.response.status_code == 403


async def test_a_socket_under_a_foreign_name_is_refused(guarded: Api):
    """As every request is."""
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect("ws://evil.example/_event", host="127.0.0.1", port=guarded.port, additional_headers={})
    assert refused.value.response.status_code == 403


async def test_our_own_page_opens_its_socket(guarded: Api):
    """With our origin, and without one."""
    for origin in (guarded.url, None):
        async with websockets.connect(f"ws://127.0.0.1:{guarded.port}/_event", origin=origin) as socket:  # pyrefly: ignore[bad-argument-type]
            assert await socket.recv() == "page"


async def test_forms_of_foreign_pages_are_no_json(guarded: Api):
    """What a form or a script can send without asking first (text, form data) starts nothing."""
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        answer = await guarded.client.post("/api/runs", content=b'{"message": "hi"}', headers={"Content-Type": kind})
        assert answer.status_code == 415, kind
    assert guarded.provider.requests == []


async def test_two_host_headers_are_refused(guarded: Api):
    """A request that says two names is answered under neither."""
    reader, writer = await asyncio.open_connection("127.0.0.1", guarded.port)
    own = f"127.0.0.1:{guarded.port}"
    writer.write(f"GET /api/conversations HTTP/1.1\r\nHost: {own}\r\nHost: evil.example\r\n\r\n".encode())
    assert (await reader.readline()).split()[1] in (b"400", b"421")
    writer.close()


def test_origins_are_compared_in_their_plain_form():
    """Case, a default port and a slash at the end make no other origin."""
    assert plain_origin("HTTPS://Chat.Example:443/") == "https://chat.example"
    assert plain_origin("http://localhost:3000") == "http://localhost:3000"
    policy = Policy.of(["http://localhost:3000"], [], "https://chat.example/x")
    assert policy.public_host == Host("chat.example")


STARTS = ("/stream?query=x", "/stream-chat?query=x", "/stream-with-meta?query=x")


@shared
@pytest.mark.parametrize("referer", [f"{EVIL}/page", "http://localhost:1/", "no-address", "http://[", "about:blank"])
async def test_a_foreign_referer_counts_if_a_browser_says_nothing_else(shared_guarded: Api, referer: str):
    """An old browser, or one over plain HTTP, sends neither ``Origin`` nor ``Sec-Fetch-Site`` with a GET."""
    for path in STARTS:
        assert await status(shared_guarded, path=path, Referer=referer) == 403
    assert await status(shared_guarded, "POST", "/api/runs", Referer=referer) == 403
    assert shared_guarded.provider.requests == []
    assert await status(shared_guarded, path="/api/conversations", Referer=referer) == 200


async def test_our_own_referer_is_no_obstacle(guarded: Api):
    """That of the page itself, of a listed one, and none at all; a more exact header goes before it."""
    for referer in (f"{guarded.url}/c/x", "https://chat.example/", f"{LISTED}/tool", ""):
        assert await status(guarded, path="/stream?query=", Referer=referer) == 422, referer
    assert await status(guarded, path="/stream?query=", Referer=EVIL, Sec_Fetch_Site="none") == 422
    assert await status(guarded, path="/stream?query=", Referer=guarded.url, Sec_Fetch_Site="cross-site") == 403


@pytest.mark.parametrize(
    ("public_url", "headers", "expected"),
    [
        ("http://chat.example", {}, 403),
        ("http://chat.example", {"X-Forwarded-Proto": "https"}, 422),
        ("https://chat.example", {}, 422),
        ("https://chat.example", {"X-Forwarded-Proto": "http"}, 403),
        ("http://chat.example", {"Referer": "http://chat.example/c/x"}, 422),
        ("http://chat.example", {"Origin": "http://chat.example"}, 422),
        ("http://localhost:8080", {"Host": "localhost:8080"}, 422),
    ],
)
async def test_plain_http_starts_nothing_by_get(
    make_api: MakeApi, public_url: str, headers: dict[str, str], expected: int
):
    """Under a name that is not loopback a browser says nothing by which a foreign page could be told from a program."""
    async with make_api(STREAMCHAT_PUBLIC_URL=public_url) as api:
        own = {"Host": "chat.example"} | headers
        assert (await api.client.get("/stream?query=", headers=own)).status_code == expected
        assert (await api.client.post("/api/runs", headers=own, json=NEW)).status_code == 201
        assert (await api.client.get("/api/conversations", headers=own)).status_code == 200


async def test_a_setting_lets_programs_start_over_plain_http(make_api: MakeApi):
    """Pages that say that they are foreign are still refused."""
    async with make_api(STREAMCHAT_PUBLIC_URL="http://chat.example", STREAMCHAT_HTTP_GET_STARTS="true") as api:
        assert await status(api, path="/stream?query=", Host="chat.example") == 422
        assert await status(api, path="/stream?query=", Host="chat.example", Referer=EVIL) == 403
