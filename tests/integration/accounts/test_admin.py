"""What an admin sees and decides: people, use and cost, limits, models, health."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from streamchat.chat.events import Finished, TextDelta, UsageReported
from tests.integration.accounts.conftest import MakePerson
from tests.integration.web.conftest import Api, MakeApi
from tests.support.people import Person


@pytest.fixture
async def api(make_api: MakeApi, tmp_path) -> AsyncIterator[Api]:
    prices = tmp_path / "prices.toml"
    prices.write_text('[models]\n"fake:*" = { input = 1, output = 1 }')
    async with make_api(STREAMCHAT_ACCOUNTS="open", STREAMCHAT_PRICES=str(prices)) as made:
        yield made


@pytest.fixture
async def two(person: MakePerson) -> tuple[Person, Person]:
    """An admin and a user."""
    anna, bert = person("anna"), person("bert")
    await anna.sign_up()
    await bert.sign_up()
    return anna, bert


async def answer(api: Api, who: Person, headers: dict[str, str] | None = None) -> int:
    """Ask something and wait for the end. Returns the status."""
    client = who.client if headers is None else api.client
    started = await client.post("/api/runs", json={"message": "hi"}, headers=headers)
    if started.status_code == 201:
        api.provider.say(TextDelta("yes"), UsageReported(900_000, 100_000), Finished())
        await api.world.ended(started.json()["run_id"])
        while api.world.runs.active_ids():
            await asyncio.sleep(0.005)
    return started.status_code


async def test_people_with_their_use(api: Api, two: tuple[Person, Person]):
    """Who was there when, what they used today, by person and by key, with its cost."""
    anna, bert = two
    key = (await bert.new_key())["key"]
    assert [await answer(api, bert), await answer(api, bert, {"Authorization": f"Bearer {key}"})] == [201, 201]
    await api.services.accounts.sessions.flush()  # pyrefly: ignore[missing-attribute] there are accounts
    shown = (await anna.client.get("/api/admin/people")).json()
    by_name = {row["name"]: row for row in shown["people"]}
    assert (by_name["anna"]["role"], by_name["bert"]["role"]) == ("admin", "user")
    assert by_name["bert"]["seen_at"] is not None
    assert by_name["bert"]["today"] == {"requests": 2, "running": 0, "tokens": 2_000_000, "cost": 2.0}
    assert by_name["anna"]["today"]["requests"] == 0
    rows = (await anna.client.get("/api/admin/usage?days=1")).json()["usage"]
    assert [(row["name"], bool(row["credential"]), row["model"], row["cost"]) for row in rows] == [
        ("bert", False, "fake:one", 1.0),
        ("bert", True, "fake:one", 1.0),
    ]


async def test_limits_of_a_person_and_of_a_key(api: Api, two: tuple[Person, Person]):
    """They hold for the next answer; a key has its own within its owner's."""
    anna, bert = two
    me = (await bert.me() or {})["id"]
    limited = (await bert.new_key(limits={"requests": 1}))["key"]
    free = (await bert.new_key())["key"]
    by_key, by_other = ({"Authorization": f"Bearer {key}"} for key in (limited, free))
    assert [await answer(api, bert, by_key), await answer(api, bert, by_key)] == [201, 429]
    assert [await answer(api, bert, by_other), await answer(api, bert)] == [201, 201]
    path = f"/api/admin/people/{me}/limits"
    assert (await anna.client.put(path, json={"cost": 3})).json()["cost"] == 3
    assert [await answer(api, bert, by_other), await answer(api, bert), await answer(api, anna)] == [429, 429, 201]
    assert (await anna.client.put(path, json={})).status_code == 200
    assert await answer(api, bert) == 201
    assert (await anna.client.put("/api/admin/people/nobody/limits", json={})).status_code == 404
    assert (await anna.client.put(path, json={"cost": -1})).status_code == 422


async def test_models_and_health(api: Api, two: tuple[Person, Person]):
    anna, bert = two
    switched = await anna.client.put("/api/admin/models", json={"model": "fake:one", "off": True})
    assert switched.json()["models"] == [{"id": "fake:one", "label": "Fake", "unavailable": None, "off": True}]
    assert await answer(api, bert) == 404  # there is no default any more
    health = (await anna.client.get("/api/admin/health")).json()
    assert (health["models"], health["writing"], health["waiting"], health["max_answers"]) == (0, 0, 0, None)
    assert (await anna.client.put("/api/admin/models", json={"model": "x:y", "off": True})).status_code == 404
    await anna.client.put("/api/admin/models", json={"model": "fake:one", "off": False})
    assert await answer(api, bert) == 201


async def test_without_accounts_the_one_owner_is_the_admin(make_api: MakeApi):
    async with make_api() as api:
        people = (await api.client.get("/api/admin/people")).json()["people"]
        assert [(row["id"], row["role"]) for row in people] == [("local", "admin")]
        assert (await api.client.put("/api/admin/people/local/limits", json={"requests": 0})).status_code == 200
        assert (await api.client.post("/api/runs", json={"message": "hi"})).status_code == 429
        page = await api.client.get("/admin")
        assert (page.status_code, "script-src 'self'" in page.headers["content-security-policy"]) == (200, True)
