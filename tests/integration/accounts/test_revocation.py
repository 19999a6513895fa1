"""What is revoked at one worker counts no more at the other, through Redis, though both had known it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx

from devservers.redis import RedisServer
from tests.integration.accounts.workers import worker
from tests.integration.runs.test_redis_feed import listening
from tests.support.people import Person


async def refused(request: Callable[[], Awaitable[httpx.Response]]) -> None:
    """Until the request is refused. What a worker knows it keeps for a minute: the test ends long before that."""
    async with asyncio.timeout(30):
        while (await request()).status_code != 401:
            await asyncio.sleep(0.01)


async def test_a_revocation_reaches_the_other_worker(redis: RedisServer, tmp_path: Path):
    """Session, key, password and account, each used at the other worker just before; a page that is open there is told.
    Other people stay signed in."""
    settings = {"STREAMCHAT_REDIS_URL": redis.url, "STREAMCHAT_MODELS": "simulator:tour"}
    async with worker(tmp_path, **settings) as one, worker(tmp_path, **settings) as other:
        await listening(redis, 2)
        async with Person(one.url, "anna") as anna, Person(one.url, "bert") as bert, Person(one.url, "bert") as phone:
            await anna.sign_up()
            await bert.sign_up()
            await phone.sign_in()
            key = await bert.new_key()
            shown = {"Authorization": f"Bearer {key['key']}"}

            async def there(headers: dict[str, str]) -> httpx.Response:
                async with httpx.AsyncClient(base_url=other.url, trust_env=False, verify=False) as client:
                    return await client.get("/api/account", headers=headers)

            for headers in (anna.headers, bert.headers, phone.headers, shown):
                assert (await there(headers)).status_code == 200

            await bert.client.delete(f"/api/account/keys/{key['id']}")
            await refused(lambda: there(shown))
            assert (await there(bert.headers)).status_code == 200

            sessions = (await bert.client.get("/api/account/sessions")).json()["sessions"]
            (session,) = [row["id"] for row in sessions if not row["current"]]
            await bert.client.delete(f"/api/account/sessions/{session}")
            await refused(lambda: there(phone.headers))

            await phone.sign_in()
            assert (await there(phone.headers)).status_code == 200
            passwords = {"old": bert.password, "new": "another password"}
            assert (await bert.client.post("/api/account/password", json=passwords)).status_code == 204
            await refused(lambda: there(phone.headers))
            assert (await there(bert.headers)).status_code == 200

            account = (await bert.me() or {})["id"]
            accounts = other.services.accounts
            assert accounts is not None
            told = asyncio.Event()  # as a page's socket is told, which then closes
            accounts.sessions.watch(account, told.set)
            await anna.client.patch(f"/api/accounts/{account}", json={"disabled": True})
            async with asyncio.timeout(30):
                await told.wait()
            await refused(lambda: there(bert.headers))
            assert (await there(anna.headers)).status_code == 200
