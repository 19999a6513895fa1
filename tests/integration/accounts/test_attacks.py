"""Attacks that the other tests do not make: headers that are injected, and clocks that are off."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from urllib.parse import quote

import pytest
from sqlalchemy import update

from streamchat.storage.accounts import session
from streamchat.storage.tables import now
from tests.integration.accounts.conftest import MakePerson
from tests.integration.web.conftest import Api

INJECTED = "x\r\nSet-Cookie: stolen=1\r\nX-Injected: 1\r\n\r\n<script>alert(1)</script>"


async def raw(api: Api, request: bytes) -> bytes:
    """The head of the response to these bytes: a client library would refuse to send them."""
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    return head.lower()


async def test_nothing_that_is_sent_becomes_a_header(api: Api, person: MakePerson):
    """A title in the name of a download, ids in headers and addresses, where a sign-in leads: none ends a line."""
    anna = person("anna")
    await anna.sign_up()
    started = (await anna.client.post("/api/runs", json={"message": "hi"})).json()
    conversation = f"/api/conversations/{started['conversation_id']}"
    await anna.client.patch(conversation, json={"title": INJECTED})
    escaped = quote(INJECTED)
    names = {"name": "anna", "password": anna.password, "next": f"/c/{INJECTED}"}
    answers = [
        await anna.client.get(f"{conversation}/export"),
        await anna.client.get(f"/c/{escaped}?next={escaped}", headers={"Accept": "text/html", "Cookie": ""}),
        await anna.client.get(f"/sign-in/provider?next={escaped}&invitation={escaped}"),
        await anna.client.get(f"/sign-up?invitation={escaped}"),
        await anna.client.get(f"/api/runs/{escaped}/events"),
        await anna.client.get(f"/s/{escaped}"),
        await anna.client.post("/sign-in", data=names),
    ]
    for answer in answers:
        assert answer.status_code < 500, answer.url
        assert "x-injected" not in answer.headers, answer.url
        assert "stolen" not in answer.headers.get("set-cookie", ""), answer.url
        assert not any("\n" in value or "\r" in value for value in answer.headers.values()), answer.url
    for line in (
        b"X-Conversation-Id: x\rX-Injected: 1",
        b"X-Conversation-Id: x\0y",
        b"Last-Event-ID: 1\x0bX-Injected: 1",
    ):
        cookie = f"Cookie: {anna.headers['Cookie']}".encode()
        head = await raw(
            api, b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%s\r\n%s\r\n\r\n" % (api.port, cookie, line)
        )
        assert b"x-injected" not in head
        assert not head.startswith(b"http/1.1 5")


@pytest.mark.parametrize(("days", "status"), [(-400, 401), (-31, 401), (-29, 200), (400, 200)])
async def test_a_clock_that_was_set(api: Api, person: MakePerson, days: int, status: int):
    """A session ends by the server's clock: one that began so long ago is over, and one that seems to begin in the
    future, after the clock was set back, still is its owner's."""
    anna = person("anna")
    await anna.sign_up()
    moved = timedelta(days=days)
    times = {"created_at": now() + moved, "used_at": now() + moved, "expires_at": now() + moved + timedelta(days=30)}
    store, accounts = api.services.store, api.services.accounts
    assert accounts is not None
    await store._database.write(lambda connection: connection.execute(update(session).values(times)))
    accounts.sessions.forget(None)
    assert (await anna.client.get("/api/account")).status_code == status
    listed = await anna.client.get("/api/account/sessions")
    assert listed.status_code == status
