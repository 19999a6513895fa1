"""Single sign-on against a real provider of OpenID Connect on loopback."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from devservers.ports import free_port
from streamchat.accounts.sessions import COOKIE
from streamchat.identity import FIRST_ACCOUNT
from tests.integration.accounts.conftest import MakePerson
from tests.integration.web.conftest import Api, MakeApi
from tests.support.people import Person

CLIENT, SECRET = "streamchat", "a secret of the client"


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    port = free_port()
    # A process of its own: it warns of things that our tests take for errors.
    command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(port)]
    provider = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://localhost:{port}"
    try:
        while True:
            assert provider.poll() is None, "the provider ended"
            try:
                httpx.get(f"{address}/.well-known/openid-configuration", trust_env=False).raise_for_status()
                break
            except httpx.TransportError:
                time.sleep(0.05)
        yield address
    finally:
        provider.terminate()
        provider.wait(10)


def settings(issuer: str, accounts: str = "open") -> dict[str, str]:
    return {
        "STREAMCHAT_ACCOUNTS": accounts,
        "STREAMCHAT_OIDC_ISSUER": issuer,
        "STREAMCHAT_OIDC_CLIENT_ID": CLIENT,
        "STREAMCHAT_OIDC_CLIENT_SECRET": SECRET,
    }


async def leave(person: Person, **query: str) -> str:
    """Where the server leads a browser that begins to sign in."""
    answer = await person.client.get("/sign-in/provider", params=query)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


async def consent(address: str, subject: str) -> str:
    """Sign in at the provider, and return where it leads back."""
    async with httpx.AsyncClient(trust_env=False) as browser:
        answer = await browser.post(address, data={"sub": subject})
    assert answer.status_code in (302, 303), answer.text
    return answer.headers["location"]


async def signed_in(person: Person, subject: str, **query: str) -> httpx.Response:
    """The whole way of a browser."""
    back = await consent(await leave(person, **query), subject)
    return await person.client.get(back)


async def test_somebody_whom_the_provider_knows(make_api: MakeApi, issuer: str):
    """The way leads back to where it began; the same person is the same account, another one another."""
    async with make_api(**settings(issuer)) as api:
        async with Person(api.url) as anna, Person(api.url) as again, Person(api.url) as bert:
            answer = await signed_in(anna, "anna@example", next="/c/x")
            assert (answer.status_code, answer.headers["location"]) == (303, "/c/x")
            await signed_in(again, "anna@example")
            await signed_in(bert, "bert@example")
            ids = [(await person.me() or {})["id"] for person in (anna, again, bert)]
            assert ids[0] == ids[1] == FIRST_ACCOUNT
            assert ids[2] != FIRST_ACCOUNT


async def test_an_answer_counts_once_and_in_its_own_browser(make_api: MakeApi, issuer: str):
    """A code in another browser, a second time, or with another state signs nobody in."""
    async with make_api(**settings(issuer)) as api:
        async with Person(api.url) as anna, Person(api.url) as thief:
            back = await consent(await leave(anna), "anna@example")
            assert (await thief.client.get(back)).status_code == 401
            await leave(thief)
            assert (await thief.client.get(back)).status_code == 401
            assert await thief.me() is None
            assert (await anna.client.get(back)).status_code == 303
            assert (await anna.client.get(back)).status_code == 401


async def test_what_the_server_asks_for(make_api: MakeApi, issuer: str):
    """A code with PKCE, a nonce and a state; the cookie meanwhile is one that no script reads."""
    async with make_api(**settings(issuer)) as api, Person(api.url) as anna:
        answer = await anna.client.get("/sign-in/provider")
        query = parse_qs(urlsplit(answer.headers["location"]).query)
        assert (query["response_type"], query["code_challenge_method"]) == (["code"], ["S256"])
        assert query["redirect_uri"] == [f"{api.url}/sign-in/provider/callback"]
        assert query["nonce"] != query["state"]
        assert "HttpOnly" in answer.headers["set-cookie"]


async def test_by_invitation(make_api: MakeApi, issuer: str):
    """Somebody new needs one; whoever has an account does not."""
    async with make_api(**settings(issuer, "invite")) as api:
        async with Person(api.url) as anna, Person(api.url) as bert, Person(api.url) as again:
            await signed_in(anna, "anna@example")
            assert (await signed_in(bert, "bert@example")).status_code == 404
            assert await bert.me() is None
            invitation = await anna.invite()
            assert (await signed_in(bert, "bert@example", invitation=invitation)).status_code == 303
            assert (await signed_in(again, "bert@example")).status_code == 303


async def test_a_provider_that_is_away(make_api: MakeApi):
    """The form says so, and a name and a password still work."""
    async with make_api(**settings("http://127.0.0.1:9")) as api, Person(api.url) as anna:
        answer = await anna.client.get("/sign-in/provider")
        assert answer.status_code == 503
        assert "cannot be reached" in answer.text
        assert (await anna.sign_up()).status_code == 303


async def test_without_a_provider_there_is_none(api: Api, person: MakePerson):
    """Neither a button nor the way."""
    anna = person()
    assert (await anna.client.get("/sign-in/provider")).status_code == 404
    assert COOKIE not in anna.client.cookies
