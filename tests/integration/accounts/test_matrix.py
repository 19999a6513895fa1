"""Every entrance × {nobody, revoked, another person, owner}, with accounts and raw clients.

The entrances are found by introspection: routes of the app, actions of the WebSocket, methods of gRPC and event
handlers of the page. ``test_owners`` attacks each with two people; here is who gets in at all, and that nothing is
left out. A new route fails ``test_every_route_is_closed`` unless it is closed, or is listed with its reason.
"""

from __future__ import annotations

import asyncio
import json

import pytest
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, WebSocketRoute

from streamchat.web.app import build_api
from streamchat.web.grpc_runs import SCOPES
from streamchat.web.websocket import COMMANDS
from streamchat.wiring import ServiceHolder
from tests.integration.accounts.conftest import MakePerson
from tests.integration.owners.test_http import FOR_ALL, FOREIGN
from tests.integration.web.conftest import Api
from tests.unit.ui.reviewed import HANDLERS, LIVE

# Open to everybody, and why.
OPEN = {
    "GET /healthz": "the process answers",
    "GET /readyz": "the database answers",
    "GET /sign-in": "the form",
    "POST /sign-in": "takes a password",
    "GET /sign-up": "the form",
    "POST /sign-up": "takes an invitation, where one is needed",
    "POST /sign-out": "ends the session that is shown, if one is",
    "GET /sign-in/{name}.{kind}": "styles and scripts of the form",
    "POST /sign-in/passkey/options": "a challenge",
    "POST /sign-in/passkey": "takes a signature",
    "GET /sign-in/provider": "leads to the provider",
    "GET /sign-in/provider/callback": "takes the provider's answer",
    "GET /look/look.js": "the name and the suggestions that the operator chose",
    "GET /look/look.css": "the operator's accent",
    "GET /look/logo": "the operator's logo",
    "GET /look/{name}-{size}.png": "icons",
    "GET /look/manifest.webmanifest": "what an installed page needs",
    "GET /look/{name}.js": "scripts of the pages beside the chat",
    "GET /look/texts/{name}.{language}.json": "texts of the pages in another language",
}
# Of one account: another person's list is another list, and another person's id is 404.
ACCOUNT = {
    "DELETE /api/account/sessions/{session_id}",
    "DELETE /api/account/keys/{key_id}",
    "DELETE /api/account/passkeys/{passkey_id}",
}
OWN = {
    "GET /api/account",
    "POST /api/account/password",
    "GET /api/account/sessions",
    "GET /api/account/keys",
    "POST /api/account/keys",
    "GET /api/account/passkeys",
    "POST /api/account/passkeys/options",
    "POST /api/account/passkeys",
    "GET /api/account/export",
    "POST /api/account/delete",
}
ADMIN = {
    "GET /admin",
    "GET /api/admin/people",
    "PUT /api/admin/people/{account_id}/limits",
    "GET /api/admin/usage",
    "GET /api/admin/models",
    "PUT /api/admin/models",
    "GET /api/admin/health",
    "GET /api/account/invitations",
    "POST /api/account/invitations",
    "DELETE /api/account/invitations/{invitation_id}",
    "GET /api/accounts",
    "PATCH /api/accounts/{account_id}",
    "GET /api/accounts/{account_id}/export",
    "POST /api/accounts/{account_id}/delete",
    "GET /api/audit",
}


def routes_of(routes: list[BaseRoute]) -> set[str]:
    """Every method and path that the app answers, of routers inside it too."""
    found: set[str] = set()
    for route in routes:
        methods = getattr(route, "methods", None) or ()
        if isinstance(path := getattr(route, "path", None), str) and methods:
            found |= {f"{method} {path}" for method in methods if method != "HEAD"}
        for inner in (getattr(route, "original_router", None), getattr(route, "app", None)):
            found |= routes_of(list(getattr(inner, "routes", []) or []))
    return found


def sockets_of(routes: list[BaseRoute]) -> set[str]:
    """Every path of a WebSocket."""
    found = {route.path for route in routes if isinstance(route, WebSocketRoute)}
    for route in routes:
        for inner in (getattr(route, "original_router", None), getattr(route, "app", None)):
            found |= sockets_of(list(getattr(inner, "routes", []) or []))
    return found


ROUTES = sorted(routes_of(build_api(ServiceHolder()).routes))


def filled(path: str) -> str:
    """The path with something in each place."""
    return "/".join("x" if part.startswith("{") and part.endswith("}") else part for part in path.split("/")).replace(
        "{kind}", "js"
    )


def test_the_introspection_sees_the_routes():
    """It finds what is known to be there: of the app, of its routers, and of what has no schema."""
    assert {"POST /api/runs", "GET /v1/models", "GET /account", "POST /sign-in", "GET /status"} <= set(ROUTES)
    assert any(isinstance(route, APIRoute | BaseRoute) for route in build_api(ServiceHolder()).routes)


def test_nothing_is_listed_that_is_not_there():
    """A list of what is open, or an admin's, holds no route of yesterday."""
    assert {*OPEN, *ACCOUNT, *OWN, *ADMIN} <= set(ROUTES)


def test_every_operation_of_an_account_is_looked_at():
    """A new one is added to a set above; those of conversations and runs are in ``test_owners``."""
    of_accounts = {route for route in ROUTES if any(part in route for part in ("/api/account", "/admin", "/api/audit"))}
    assert of_accounts == ACCOUNT | OWN | ADMIN


@pytest.fixture
async def anna(person: MakePerson):
    made = person("anna")
    await made.sign_up()
    return made


async def test_every_route_is_closed(api: Api, person: MakePerson, anna):
    """For nobody, for a forged cookie, for a session that was ended and for a wrong key, whatever the route."""
    revoked = person("anna")
    await revoked.sign_in()
    cookie = revoked.headers
    await revoked.sign_out()
    shown = {
        "nobody": {},
        "revoked": cookie,
        "forged": {"Cookie": "streamchat-session=scs_" + "A" * 43},
        "key": {"Authorization": "Bearer sck_" + "A" * 43},
        "basic": {"Authorization": "Basic YTpi"},
        "header": {"X-Forwarded-User": "anna", "X-Test-Owner": "anna"},
    }
    for route in ROUTES:
        method, path = route.split(" ", 1)
        for who, headers in shown.items():
            answer = await api.client.request(
                method, filled(path), headers={"Content-Type": "application/json", **headers}, content=b"{}"
            )
            if route in OPEN:
                assert answer.status_code not in (401, 500), (route, who)
            else:
                assert answer.status_code == 401, (route, who, answer.text)
                assert "WWW-Authenticate" in answer.headers


async def test_every_route_opens_for_a_person(api: Api, anna):
    """The refusals above are not those of wrong requests: for somebody signed in no route is 401."""
    for route in ROUTES:
        method, path = route.split(" ", 1)
        if route in OPEN or route == "POST /api/account/password":
            continue
        async with api.client.stream(
            method, filled(path), headers={**anna.headers, "Content-Type": "application/json"}, content=b"{}"
        ) as answer:
            assert answer.status_code not in (401, 500), route


async def test_an_admins_routes_are_an_admins(api: Api, person: MakePerson, anna):
    """A user gets 403, a key of the admin too."""
    bert = person("bert")
    await bert.sign_up()
    key = (await anna.new_key())["key"]
    for route in sorted(ADMIN):
        method, path = route.split(" ", 1)
        for headers in (bert.headers, {"Authorization": f"Bearer {key}"}):
            headers = {**headers, "Content-Type": "application/json"}
            answer = await api.client.request(method, filled(path), headers=headers, content=b"{}")
            assert answer.status_code == 403, (route, answer.text)


async def test_what_an_account_has_is_its_own(api: Api, person: MakePerson, anna):
    """Another person's session, key or passkey is as if it did not exist, and goes on; so it is for its owner's key."""
    bert = person("bert")
    await bert.sign_up()
    key = await anna.new_key()
    session = (await anna.client.get("/api/account/sessions")).json()["sessions"][0]["id"]
    for path in (f"/api/account/sessions/{session}", f"/api/account/keys/{key['id']}", "/api/account/passkeys/x"):
        assert (await bert.client.delete(path)).status_code == 404
    assert await anna.me() is not None
    for path in ("/api/account/sessions", "/api/account/keys", "/api/account/passkeys"):
        listed = (await bert.client.get(path)).text
        assert key["id"] not in listed
        assert session not in listed


async def test_conversations_and_runs_are_their_owners(api: Api, person: MakePerson, anna):
    """Each attack of ``test_owners``, by somebody with an account of their own."""
    bert = person("bert")
    await bert.sign_up()
    started = (await anna.client.post("/api/runs", json={"message": "zebrafish"})).json()
    for operation, (path, body, status) in FOREIGN.items():
        text = json.dumps(body) if body is not None else None

        def named(value: str) -> str:
            return value.replace("{run}", started["run_id"]).replace("{conversation}", started["conversation_id"])

        headers = {**bert.headers, "Content-Type": "application/json"}
        if "/v1/" in operation and "{response_id}" not in operation and "previous_response_id" not in str(body):
            headers["X-Conversation-Id"] = started["conversation_id"]
        if "/stream" in operation and "/api/" not in operation:
            headers["Last-Event-ID"] = f"{started['run_id']}:0"
        content = None if text is None else named(text)
        answer = await api.client.request(operation.split(" ")[0], named(path), headers=headers, content=content)
        assert answer.status_code == status, (operation, answer.text)
        assert "zebrafish" not in answer.text
    assert (await anna.client.get(f"/api/runs/{started['run_id']}")).json()["status"] == "streaming"


async def test_a_revoked_session_reads_no_conversation_on(api: Api, person: MakePerson):
    """A stream that has no end of its own ends with the session that opened it."""
    anna = person("anna")
    await anna.sign_up()
    started = (await anna.client.post("/api/runs", json={"message": "hi"})).json()
    path = f"/api/conversations/{started['conversation_id']}/events"
    async with asyncio.timeout(60), anna.client.stream("GET", path, headers=anna.headers) as stream:
        lines = stream.aiter_lines()
        async for line in lines:
            if started["run_id"] in line:
                break
        await anna.sign_out()
        async for _ in lines:
            pass
    assert (await anna.client.get(path, headers=anna.headers)).status_code == 401
    await api.client.delete(f"/api/runs/{started['run_id']}")


def test_what_has_no_route_is_listed_too():
    """Sockets and their actions, methods of gRPC, handlers of the page: a new one is looked at where it is attacked."""
    actions = set(COMMANDS.json_schema()["discriminator"]["mapping"])
    assert actions == {"ping", "stop", "decide", "steer", "queue"}  # test_keys, owners/test_http
    # test_keys, owners/test_grpc
    assert set(SCOPES) == {"Start", "Get", "Stop", "Steer", "Decide", "Follow", "FollowConversation"}
    sockets = {"/api/runs/{run_id}/ws", "/api/conversations/{conversation_id}/ws"}  # owners/test_http
    assert sockets_of(list(build_api(ServiceHolder()).routes)) == sockets
    assert {name for name in HANDLERS if name.startswith(LIVE)}  # owners/test_page compares them with its attacks
    assert not set(FOR_ALL) & set(FOREIGN)
