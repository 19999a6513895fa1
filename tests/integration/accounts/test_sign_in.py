"""Coming in: sign-up, sign-in, sessions and their cookies."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from streamchat.accounts.sessions import COOKIE
from streamchat.identity import FIRST_ACCOUNT
from tests.integration.accounts.conftest import MakePerson
from tests.integration.web.conftest import Api, MakeApi
from tests.support.people import PASSWORD, Person

WRONG = "This name and password do not fit."


async def test_the_first_one_is_the_admin_and_has_what_was_there(api: Api, person: MakePerson):
    """The first account has the id of the one owner before accounts; whoever comes later is a user."""
    anna, bert = person("anna"), person("bert")
    assert (await anna.sign_up()).status_code == 303
    assert (await bert.sign_up()).status_code == 303
    me, other = await anna.me(), await bert.me()
    assert me is not None
    assert other is not None
    assert (me["id"], me["role"]) == (FIRST_ACCOUNT, "admin")
    assert other["id"] != FIRST_ACCOUNT
    assert other["role"] == "user"


async def test_two_first_ones_are_one_admin(api: Api, person: MakePerson):
    """Whoever signs up at the same moment as the first one is a user."""
    both = [person("anna"), person("bert")]
    await asyncio.gather(*(one.sign_up() for one in both))
    roles = [(await one.me() or {})["role"] for one in both]
    assert sorted(roles) == ["admin", "user"]


async def test_a_session_is_a_cookie_that_no_script_reads(api: Api, person: MakePerson):
    """HttpOnly, SameSite=Lax, for the whole path; Secure where the public address is https."""
    cookie = (await person().sign_up()).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/" in cookie
    assert "Secure" not in cookie


async def test_a_public_https_address_makes_secure_cookies_for_its_path(make_api: MakeApi):
    """Below a path, a session is for that path; sign-in and sign-out lead to pages below it."""
    async with make_api(STREAMCHAT_ACCOUNTS="open", STREAMCHAT_PUBLIC_URL="https://chat.example/chat") as api:
        async with Person(api.url) as anna:
            answer = await anna.client.post(
                "/chat/sign-up", data={"name": "anna", "password": PASSWORD, "next": "/c/x"}
            )
            assert answer.headers["location"] == "/chat/c/x"
            assert "Path=/chat;" in answer.headers["set-cookie"]
            assert "Secure" in answer.headers["set-cookie"]
            page = await anna.client.get("/chat/c/x", headers={"Accept": "text/html"})
            assert page.headers["location"] == "/chat/sign-in?next=%2Fc%2Fx"


def contents(folder: Path) -> bytes:
    """All that is in the database, and beside it."""
    return b"".join(file.read_bytes() for file in folder.glob("*.db*"))


async def test_only_the_hash_of_a_session_is_stored(api: Api, person: MakePerson, tmp_path: Path):
    """Who reads the database cannot come in with what is there."""
    anna = person()
    await anna.sign_up()
    assert anna.cookie.startswith("scs_")
    stored = contents(tmp_path)
    assert b"$argon2id$" in stored
    for secret in (anna.cookie, PASSWORD):
        assert secret.encode() not in stored


async def test_signing_in_makes_a_new_session_and_ends_the_old_one(api: Api, person: MakePerson):
    """A token that somebody planted in a browser is not the session after the sign-in, nor any session at all."""
    anna, thief = person(), person()
    await anna.sign_up()
    planted = anna.cookie
    await anna.sign_in()
    assert anna.cookie != planted
    thief.client.cookies.set(COOKIE, planted)
    assert await thief.me() is None
    forged = "scs_" + "A" * 43
    fields = {"name": anna.name, "password": anna.password}
    answer = await person().client.post("/sign-in", data=fields, headers={"Cookie": f"{COOKIE}={forged}"})
    assert answer.status_code == 303
    assert forged not in answer.headers["set-cookie"]


async def test_signing_out_ends_the_session(api: Api, person: MakePerson):
    """Not only in the browser: the token itself counts no more."""
    anna, thief = person(), person()
    await anna.sign_up()
    thief.client.cookies.set(COOKIE, anna.cookie)
    assert await thief.me() is not None
    assert (await anna.sign_out()).headers["location"] == "/sign-in"
    assert anna.cookie == ""
    assert await thief.me() is None


async def test_sessions_are_listed_and_ended(api: Api, person: MakePerson):
    """A second browser is in the list of the first, which ends it; one's own list has nobody else's."""
    laptop, phone, bert = person(), person(), person("bert")
    await laptop.sign_up()
    await phone.sign_in()
    await bert.sign_up()
    rows = (await laptop.client.get("/api/account/sessions")).json()["sessions"]
    assert sorted(row["current"] for row in rows) == [False, True]
    other = next(row["id"] for row in rows if not row["current"])
    assert (await bert.client.delete(f"/api/account/sessions/{other}")).status_code == 404
    assert await phone.me() is not None
    assert (await laptop.client.delete(f"/api/account/sessions/{other}")).status_code == 204
    assert await phone.me() is None
    assert await laptop.me() is not None


async def test_a_wrong_password_and_a_name_that_does_not_exist_are_one_answer(api: Api, person: MakePerson):
    """Byte for byte, but for the name that was typed."""
    await person("anna").sign_up()
    answers = []
    for name in ("anna", "nona"):
        answer = await person(name, password="wrong horse battery").sign_in()
        assert answer.status_code == 401
        assert WRONG in answer.text
        answers.append(answer.text.replace(name, ""))
    assert answers[0] == answers[1]


async def test_guessing_is_slowed_down(api: Api, person: MakePerson):
    """After some wrong passwords for a name even the right one waits, with ``Retry-After``; another name does not."""
    await person("anna").sign_up()
    await person("bert").sign_up()
    statuses = [(await person("anna", password=f"wrong password {n}").sign_in()).status_code for n in range(8)]
    assert statuses[0] == 401
    assert statuses[-1] == 429
    answer = await person("ANNA").sign_in()
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
    assert (await person("bert").sign_in()).status_code == 303


async def test_a_name_is_taken_whatever_its_case(api: Api, person: MakePerson):
    """Two names that look the same are one."""
    await person("Anna").sign_up()
    for name in ("anna", " ANNA ", "\uff21nna"):
        answer = await person(name).sign_up()
        assert answer.status_code == 422
        assert "taken" in answer.text
    assert (await person("ANNA").sign_in()).status_code == 303


@pytest.mark.parametrize(
    ("name", "password"),
    [("", PASSWORD), ("a\nb", PASSWORD), ("<b>", PASSWORD), ("x" * 65, PASSWORD), ("anna", "short")],
)
async def test_what_is_no_name_or_no_password_is_refused(api: Api, person: MakePerson, name: str, password: str):
    """With a sentence in the form, which shows the name as text."""
    answer = await person(name, password=password).sign_up()
    assert answer.status_code == 422
    assert "<b>" not in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


@pytest.mark.parametrize(
    "after", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:x", "\n/x", "/sign-out"]
)
async def test_a_sign_in_leads_to_this_server_only(api: Api, person: MakePerson, after: str):
    """Whatever the address says."""
    assert (await person().sign_up(next=after)).headers["location"] == "/"


async def test_a_foreign_page_signs_nobody_in_or_out(api: Api, person: MakePerson):
    """Forms of other sites are refused by their origin, and JSON is no form."""
    anna = person()
    await anna.sign_up()
    evil = {"Origin": "https://evil.example"}
    for path in ("/sign-in", "/sign-up", "/sign-out"):
        assert (await anna.client.post(path, data={"name": "x"}, headers=evil)).status_code == 403
        assert (await anna.client.post(path, json={"name": "x"})).status_code == 415
    assert await anna.me() is not None


async def test_whoever_is_not_signed_in_is_led_there(api: Api, person: MakePerson):
    """Pages lead to the sign-in and back; everything else is 401 and says nothing."""
    nobody = person()
    page = await nobody.client.get("/c/one?x=1", headers={"Accept": "text/html,*/*"})
    assert (page.status_code, page.headers["location"]) == (303, "/sign-in?next=%2Fc%2Fone%3Fx%3D1")
    assert page.headers["cache-control"] == "no-store"
    for path in ("/api/conversations", "/v1/models", "/stream?query=x", "/_upload"):
        assert (await nobody.client.get(path)).status_code == 401, path
    assert (await nobody.client.get("/healthz")).status_code == 200


async def test_invitations(make_api: MakeApi):
    """By ``invite``, the first account needs none, every other one an invitation of its own, which counts once."""
    async with make_api(STREAMCHAT_ACCOUNTS="invite") as api:
        async with Person(api.url) as anna, Person(api.url, "bert") as bert, Person(api.url, "carl") as carl:
            await anna.sign_up()
            assert (await bert.sign_up()).status_code == 404
            assert "sign-up" not in re.sub(r"<button[^>]*hidden[^>]*>", "", (await bert.client.get("/sign-in")).text)
            invitation = await anna.invite()
            assert 'data-testid="sign-up"' in (await bert.client.get(f"/sign-up?invitation={invitation}")).text
            assert (await bert.sign_up(invitation)).status_code == 303
            assert (await carl.sign_up(invitation)).status_code == 404
            withdrawn = await anna.invite("admin")
            rows = (await anna.client.get("/api/account/invitations")).json()["invitations"]
            assert [row["role"] for row in rows] == ["admin"]
            await anna.client.delete(f"/api/account/invitations/{rows[0]['id']}")
            assert (await carl.sign_up(withdrawn)).status_code == 404
            assert (await bert.client.post("/api/account/invitations", json={})).status_code == 403


async def test_an_admin_keeps_somebody_out(api: Api, person: MakePerson):
    """Sessions and keys of that person count no more at once; the last admin cannot be kept out."""
    anna, bert = person("anna"), person("bert")
    await anna.sign_up()
    await bert.sign_up()
    key = (await bert.new_key())["key"]
    account = (await bert.me() or {})["id"]
    assert (await bert.client.patch(f"/api/accounts/{account}", json={"role": "admin"})).status_code == 403
    assert (await anna.client.patch(f"/api/accounts/{account}", json={"disabled": True})).json()["disabled"] is True
    assert await bert.me() is None
    assert (await bert.sign_in()).status_code == 401
    answer = await api.client.get("/api/conversations", headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 401
    assert (await anna.client.patch(f"/api/accounts/{FIRST_ACCOUNT}", json={"role": "user"})).status_code == 422
    assert (await anna.me() or {})["role"] == "admin"


async def test_another_password_ends_the_other_sessions(api: Api, person: MakePerson):
    """Only with the old one; this browser stays signed in."""
    anna, other = person(), person()
    await anna.sign_up()
    await other.sign_in()
    path = "/api/account/password"
    assert (await anna.client.post(path, json={"old": "wrong", "new": "another password"})).status_code == 401
    assert (await anna.client.post(path, json={"old": PASSWORD, "new": "another password"})).status_code == 204
    assert await other.me() is None
    assert await anna.me() is not None
    assert (await person(password="another password").sign_in()).status_code == 303


async def test_one_password(make_api: MakeApi):
    """Whoever knows it is the one owner; with another password the sessions of the old one count no more."""
    async with make_api(STREAMCHAT_PASSWORD=PASSWORD) as api:
        async with Person(api.url, "") as anna, Person(api.url, "anna", "wrong password") as bert:
            assert (await anna.client.get("/api/conversations")).status_code == 401
            assert (await bert.sign_up()).status_code == 404
            assert (await bert.sign_in()).status_code == 401
            assert (await anna.sign_in()).status_code == 303
            assert (await anna.me() or {})["id"] == FIRST_ACCOUNT
            cookie = anna.headers
    for password, status in ((PASSWORD, 200), ("another password", 401)):
        async with make_api(STREAMCHAT_PASSWORD=password) as api:
            assert (await api.client.get("/api/conversations", headers=cookie)).status_code == status


async def test_a_trusted_proxy_says_who_it_is(make_api: MakeApi):
    """The header counts from an address of the list, once, and as one name; from anywhere else it is not there."""
    header = {"STREAMCHAT_TRUSTED_USER_HEADER": "X-Forwarded-User"}
    async with make_api(**header, STREAMCHAT_TRUSTED_PROXIES="127.0.0.1") as api:
        get = api.client.get
        anna, bert = [(await get("/api/account", headers={"X-Forwarded-User": n})).json() for n in ("anna", "bert")]
        assert (anna["role"], bert["role"]) == ("admin", "user")
        assert anna["id"] != bert["id"]
        again = (await get("/api/account", headers={"X-Forwarded-User": "anna"})).json()
        assert again == anna
        twice = [("X-Forwarded-User", "bert"), ("X-Forwarded-User", "anna")]
        assert (await get("/api/account", headers=twice)).status_code == 401
        for name in ("", "anna, bert", "a b", "x" * 300):
            assert (await get("/api/account", headers={"X-Forwarded-User": name})).status_code == 401, name
        assert (await get("/sign-in")).status_code == 404
    async with make_api(**header, STREAMCHAT_TRUSTED_PROXIES="10.0.0.0/8") as api:
        headers = {"X-Forwarded-User": "anna", "X-Forwarded-For": "10.0.0.1"}
        assert (await api.client.get("/api/account", headers=headers)).status_code == 401
