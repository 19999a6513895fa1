"""The audit log: every act of an account is in it, for admins, without a secret."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest

from streamchat.accounts.audit import EVENTS
from streamchat.identity import FIRST_ACCOUNT
from streamchat.storage.tables import now
from tests.integration.accounts.conftest import MakePerson
from tests.integration.web.conftest import Api
from tests.support.people import PASSWORD

# Passkeys need a browser: see tests/browser/test_accounts.py.
# Keys of vendors need a secret to encrypt them with: see test_own_keys.py.
ELSEWHERE = {"passkey-added", "passkey-removed", "own-key-set", "own-key-removed"}


async def test_everything_is_recorded_and_no_secret(api: Api, person: MakePerson, caplog: pytest.LogCaptureFixture):
    """Each event with who did it to whom; an admin reads it in pages that fit together, nobody else does. No name, no
    secret and no text is in it, nor in the program's own log, and what somebody typed as a name is not."""
    caplog.set_level(logging.DEBUG, "streamchat")
    anna, bert, thief = person("anna"), person("bert"), person("bert", password="wrong zebrafish")
    await anna.sign_up()
    await bert.sign_up()
    account = (await bert.me() or {})["id"]
    await thief.sign_in()
    await person("my password by mistake").sign_in()
    invitation = await anna.invite("admin")
    rows = (await anna.client.get("/api/account/invitations")).json()["invitations"]
    await anna.client.delete(f"/api/account/invitations/{rows[0]['id']}")
    key = await bert.new_key()
    started = (await bert.client.post("/api/runs", json={"message": "zebrafish"})).json()
    conversation = f"/api/conversations/{started['conversation_id']}"
    share = (await bert.client.post(f"{conversation}/share", json={})).json()["share_id"]
    await bert.client.delete(f"{conversation}/share")
    await bert.client.delete(f"/api/account/keys/{key['id']}")
    await anna.client.patch(f"/api/accounts/{account}", json={"role": "admin"})
    await anna.client.put(f"/api/admin/people/{account}/limits", json={"requests": 9})
    await anna.client.put("/api/admin/models", json={"model": "fake:one", "off": True})
    await bert.client.post("/api/account/password", json={"old": PASSWORD, "new": "another password"})
    await bert.client.get("/api/account/export")
    cookie = bert.cookie
    await bert.sign_out()

    entries = await listed(anna, limit=3)
    assert entries == await listed(anna, limit=500)
    assert [entry["id"] for entry in entries] == sorted((entry["id"] for entry in entries), reverse=True)
    acts = [(one["event"], one["actor"], one["subject"]) for one in reversed(entries)]
    assert acts == [
        ("sign-up", FIRST_ACCOUNT, FIRST_ACCOUNT),
        ("sign-in", FIRST_ACCOUNT, FIRST_ACCOUNT),
        ("sign-up", account, account),
        ("sign-in", account, account),
        ("sign-in-failed", None, account),
        ("sign-in-failed", None, None),
        ("invited", FIRST_ACCOUNT, None),
        ("invitation-withdrawn", FIRST_ACCOUNT, None),
        ("key-created", account, account),
        ("shared", account, None),
        ("unshared", account, None),
        ("key-revoked", account, account),
        ("account-changed", FIRST_ACCOUNT, account),
        ("limits-changed", FIRST_ACCOUNT, account),
        ("model-switched", FIRST_ACCOUNT, None),
        ("password-changed", account, account),
        ("exported", account, account),
        ("sign-out", account, account),
    ]
    by_event = {one["event"]: one for one in entries}
    assert by_event["sign-in-failed"]["address"] == "127.0.0.1"
    assert by_event["sign-in"]["detail"] == {"method": "password"}
    assert by_event["account-changed"]["detail"] == {"role": "admin"}
    assert by_event["limits-changed"]["detail"] == {"requests": 9}
    assert by_event["model-switched"]["detail"] == {"model": "fake:one", "off": True}
    assert by_event["shared"]["detail"] == {"id": started["conversation_id"]}
    assert {one["event"] for one in entries} | ELSEWHERE | {"deleted"} == set(EVENTS)
    secrets = ("anna", "bert", "zebrafish", "mistake", PASSWORD, key["key"], invitation, share, cookie, anna.cookie)
    assert not [secret for secret in secrets if secret in str(entries)]
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("streamchat")]
    assert not [secret for secret in secrets[2:] if secret in str(ours)]
    assert [one["event"] for one in await listed(anna, event="shared")] == ["shared"]
    assert {one["id"] for one in await listed(anna, account=account)} == {
        one["id"] for one in entries if account in (one["actor"], one["subject"])
    }
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        answer = await anna.client.request(method, "/api/audit", json={})
        assert answer.status_code in (404, 405), method


async def listed(person, **query: object) -> list[dict]:
    """All pages."""
    entries, before = [], {}
    while True:
        answer = await person.client.get("/api/audit", params={**query, **before})
        assert answer.status_code == 200, answer.text
        entries += answer.json()["entries"]
        if (following := answer.json()["next"]) is None:
            return entries
        before = {"before": following}


async def test_who_is_deleted_is_seen_no_more(api: Api, person: MakePerson):
    """Entries stay and belong together; no id, address or detail leads to the person."""
    anna, bert = person("anna"), person("bert")
    await anna.sign_up()
    await bert.sign_up()
    account = (await bert.me() or {})["id"]
    await bert.new_key()
    await anna.client.post(f"/api/accounts/{account}/delete", json={"name": "bert"})
    entries = await listed(anna)
    assert account not in str(entries)
    gone = entries[0]["subject"]
    assert (entries[0]["event"], entries[0]["actor"]) == ("deleted", FIRST_ACCOUNT)
    about = [one for one in entries if one["actor"] == gone]
    assert [one["event"] for one in about] == ["key-created", "sign-in", "sign-up"]
    assert all((one["address"], one["detail"]) == (None, {}) for one in about)
    await api.services.store.audit.purge(now() + timedelta(seconds=1))
    assert await listed(anna) == []


@pytest.mark.parametrize("query", ["before=-1", "before=x", "limit=0", "limit=501", "event=all", f"before={2**63}"])
async def test_a_wrong_query_is_refused(api: Api, person: MakePerson, query: str):
    """With 422, by the bounds of the page."""
    anna = person("anna")
    await anna.sign_up()
    assert (await anna.client.get(f"/api/audit?{query}")).status_code == 422
