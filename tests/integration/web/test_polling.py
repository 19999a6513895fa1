"""Clients that poll: they get what is new, nothing twice that did not change, and no more than their share."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from streamchat.chat.events import Finished, TextDelta
from streamchat.storage import commands
from streamchat.web import app, read_limits
from streamchat.web.read_limits import MAX_WAIT, ReadLimits, ResponseCache
from tests.integration.web.conftest import Api, MakeApi


async def conversation_of(api: Api, run_id: str) -> str:
    return f"/api/conversations/{(await api.client.get(f'/api/runs/{run_id}')).json()['conversation_id']}"


async def test_a_conversation_that_did_not_change_is_not_sent_again(api: Api):
    """304 for its ``ETag``, also in a list and as a weak one; another one for every piece that is stored, for the end,
    and for a new title."""
    run_id = await api.start()
    path = await conversation_of(api, run_id)
    tags: list[str] = []

    async def changed() -> None:
        async with asyncio.timeout(20):
            while (answer := await api.client.get(path)).headers["etag"] in tags:
                await asyncio.sleep(0.01)
        tags.append(answer.headers["etag"])
        for known in (tags[-1], f'"other", {tags[-1]}', f"W/{tags[-1]}"):
            again = await api.client.get(path, headers={"If-None-Match": known})
            # What is written meanwhile may change it once more.
            assert again.status_code == 304 or again.headers["etag"] != tags[-1]
            assert again.status_code == 200 or again.content == b""

    await changed()
    api.provider.say(TextDelta("one "))
    await changed()
    api.provider.say(TextDelta("two"))
    await changed()
    api.provider.say(Finished())
    await api.world.ended(run_id)
    await changed()
    assert (await api.client.get(path)).json()["messages"][-1]["text"] == "one two"
    await api.client.patch(path, json={"title": "Another"})
    await changed()
    assert (await api.client.get(path, headers={"If-None-Match": tags[-1]})).status_code == 304
    assert len(set(tags)) == 5


async def test_another_person_s_etag_shows_nothing(api: Api):
    """The version is read for the owner: what is not there is 404, whatever a client says that it knows."""
    run_id = await api.said(TextDelta("x"), Finished())
    path = await conversation_of(api, run_id)
    etag = (await api.client.get(path)).headers["etag"]
    await api.client.delete(path)
    assert (await api.client.get(path, headers={"If-None-Match": etag})).status_code == 404


def test_turns_come_at_the_rate_of_the_limit():
    """A burst at once, then one turn per interval; what would wait for longer than the limit takes none. After a pause
    there is a burst again, and another client has its own."""
    now = [100.0]
    limits = ReadLimits(rate=10, burst=3, clock=lambda: now[0])
    assert [limits.wait_of("a") for _ in range(3)] == [0, 0, 0]
    due = round(MAX_WAIT / 0.1)
    waits = [limits.wait_of("a") for _ in range(due + 10)]
    assert [round(wait, 3) for wait in waits[:due]] == [round(0.1 * n, 3) for n in range(1, due + 1)]
    assert set(waits[due:]) == {float("inf")}
    assert limits.wait_of("b") == 0
    now[0] += 0.5
    assert round(limits.wait_of("a"), 3) == round(MAX_WAIT - 0.4, 3)
    now[0] += 60
    assert [limits.wait_of("a") for _ in range(3)] == [0, 0, 0]
    assert limits.wait_of("a") > 0


def test_the_cache_of_bodies_is_bounded():
    """It holds the newest bodies within its budget, one per key, and only for their ``ETag``."""
    cache = ResponseCache()
    for n in range(40):
        cache.put((str(n),), "e", b"x" * 1_000_000)
    kept = [n for n in range(40) if cache.get((str(n),), "e")]
    assert kept == list(range(24, 40))
    assert cache.get(("39",), "other") is None
    cache.put(("39",), "other", b"y")
    assert cache.get(("39",), "e") is None
    assert cache.get(("39",), "other") == b"y"
    cache.put(("big",), "e", b"x" * 3_000_000)
    assert cache.get(("big",), "e") is None


async def test_a_client_that_polls_without_end_is_told(make_api: MakeApi, monkeypatch: pytest.MonkeyPatch):
    """429 with ``Retry-After`` and our shape of an error, for each address of the database; streams are no reads."""
    monkeypatch.setattr(app, "ReadLimits", partial(ReadLimits, 0.01, 3))
    monkeypatch.setattr(read_limits, "MAX_WAIT", 0.5)  # of each refusal
    async with make_api() as api:
        run_id = await api.said(TextDelta("x"), Finished())
        path = await conversation_of(api, run_id)
        assert [(await api.client.get(path)).status_code for _ in range(2)] == [200, 200]
        for address in (path, f"/api/runs/{run_id}", "/api/conversations", "/api/search?q=x", f"{path}/export"):
            refused = await api.client.get(address)
            assert (refused.status_code, refused.json()["error"]["kind"]) == (429, "too-many-requests")
            assert int(refused.headers["retry-after"]) >= 1
        assert (await api.events(f"/api/runs/{run_id}/events"))[-1].data == "[DONE]"
        assert (await api.client.get("/readyz")).status_code == 200


async def test_a_walk_through_the_list_skips_none(api: Api):
    """Between two pages conversations from the end of the list get new messages, and new ones begin: every one that was
    there is seen, each page has at most its limit, and the walk ends."""
    runs = [await api.said(TextDelta("x"), Finished()) for _ in range(9)]
    there = [(await conversation_of(api, run_id)).rpartition("/")[2] for run_id in runs]
    touched = iter(there)  # the oldest first: those that a reader comes to last
    for limit in (1, 2, 3, 4):
        seen, before = [], None
        while True:
            query = {"limit": limit} | ({"before": before} if before else {})
            page = (await api.client.get("/api/conversations", params=query)).json()
            assert len(page["conversations"]) <= limit
            seen += [row["id"] for row in page["conversations"]]
            if (before := page["next"]) is None:
                break
            if (moved := next(touched, None)) and len(seen) < 9:
                await api.world.store._database.write(lambda connection, one=moved: commands._touch(connection, one))
                api.provider.say(TextDelta("y"), Finished())
                await api.world.ended(await api.start())
        assert set(there) <= set(seen)
        touched = iter(there)
    assert (await api.client.get("/api/conversations", params={"before": "~~nonsense"})).status_code == 422
