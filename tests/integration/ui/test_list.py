"""The list of conversations goes to a tab once; what comes later is what is different from it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from streamchat.chat.messages import Message, TextPart
from streamchat.identity import LOCAL_OWNER, Identity
from streamchat.runs.notifications import Notification
from streamchat.settings import Settings
from streamchat.ui import sidebar
from streamchat.ui.sidebar import Listed, news_of, read_list
from streamchat.ui.transcript import LIST_SHARE, Transcript
from streamchat.wiring import Services, running_services
from streamchat.wiring.request_context import RequestContext


@pytest.fixture
async def services(tmp_path) -> AsyncIterator[Services]:
    settings = {"STREAMCHAT_DATA_DIR": tmp_path, "STREAMCHAT_MODELS": "simulator:tour"}
    async with running_services(Settings.model_validate(settings)) as services:
        yield services


def shown(values: dict[str, Any], before: list[Any] | None = None) -> list[str]:
    """The ids in the order of the page; ``before``: the rows that came whole."""
    rows = {row["id"]: row for row in values.get("rows", before or [])}
    rows |= {row["id"]: row for row in values["changes"]["rows"]}
    left = [row for row in rows.values() if row["id"] not in values["changes"]["gone"]]
    return [row["id"] for row in sorted(left, key=lambda row: (row.get("pinned", False), row["when"]), reverse=True)]


class Tab:
    """What a tab has of the list."""

    def __init__(self, services: Services) -> None:
        self.context = RequestContext(services, Identity(LOCAL_OWNER, "Anna", "nothing"))
        self.rows: list[Any] | None = None

    async def listed(self, *, models: bool = False) -> Listed:
        listed = await read_list(self.context, models=models)
        assert listed is not None
        return listed

    async def read(self, *, models: bool = False) -> dict[str, Any]:
        """What is sent to it now."""
        values = news_of(await self.listed(models=models), self.rows)
        self.rows = values.get("rows", self.rows)
        return values


async def conversation(services: Services, title: str) -> str:
    return await services.store.insert_conversation(LOCAL_OWNER, title, [Message("", "user", (TextPart("Hi"),))])


async def test_only_what_is_different_is_sent(services: Services) -> None:
    tab = Tab(services)
    ids = [await conversation(services, f"Number {n}") for n in range(5)]
    first = await tab.read(models=True)
    assert shown(first) == ids[::-1]
    assert first["models"]
    assert await tab.read() == {"changes": {"rows": [], "gone": []}}

    await services.store.rename(LOCAL_OWNER, ids[1], "Another name")
    await services.store.discard(LOCAL_OWNER, ids[3])
    new = await conversation(services, "New")
    for _ in range(2):  # it is what is different from the whole one, however often it is asked for
        changes = await tab.read()
        assert "rows" not in changes
        assert {row["id"] for row in changes["changes"]["rows"]} == {ids[1], new}
        assert changes["changes"]["gone"] == [ids[3]]
        expected = [row.id for row in await services.store.conversations(LOCAL_OWNER, limit=100)]
        assert shown(changes, first["rows"]) == expected


async def test_a_page_that_is_opened_waits_for_no_other_tab(services: Services) -> None:
    """Pages that are opened one after the other have their lists at once; changes wait, so that tabs share them."""
    await conversation(services, "Only one")
    tab = Tab(services)
    await tab.listed()
    waiting = asyncio.create_task(tab.listed())
    for _ in range(3):
        assert await read_list(Tab(services).context, models=True, at_once=True)
    assert not waiting.done()
    assert (await waiting)["rows"]


async def test_what_is_pushed_off_the_first_page_is_not_gone(services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sidebar, "SHOWN", 3)
    tab = Tab(services)
    ids = [await conversation(services, f"Number {n}") for n in range(4)]
    first = await tab.read()
    assert first["rows"][-1]["cursor"]
    new = await conversation(services, "New")
    changes = await tab.read()
    assert changes["changes"]["gone"] == []
    assert shown(changes, first["rows"]) == [new, *ids[:0:-1]]


async def test_what_did_not_reach_the_tab_is_not_counted_on(services: Services) -> None:
    """A list that was read for a follower that another one replaced, and one that the tab may have or not."""
    tab = Tab(services)
    first = await conversation(services, "First")
    await tab.listed()
    assert shown(await tab.read()) == [first]
    second = await conversation(services, "Second")
    assert "rows" not in await tab.read()
    tab.rows = None
    assert [row["id"] for row in (await tab.read())["rows"]] == [second, first]


async def test_many_changes_are_a_new_list(services: Services) -> None:
    tab = Tab(services)
    await tab.read()
    ids = [await conversation(services, f"Number {n}") for n in range(sidebar.MAX_CHANGES + 1)]
    again = await tab.read()
    assert shown(again) == ids[::-1]
    assert len(again["rows"]) == len(ids)


async def test_a_list_that_cannot_be_read_delays_no_piece(services: Services) -> None:
    """It is read beside the answer, however long the database takes."""
    asked = asyncio.Event()

    async def hangs(*, models: bool) -> object:
        asked.set()
        return await asyncio.Event().wait()

    where = await conversation(services, "One")
    transcript = Transcript(services, LOCAL_OWNER, where, read_list=hangs)
    async with asyncio.timeout(10), aclosing(transcript.frames()) as frames:
        await anext(frames)
        services.runs.feed.publish(LOCAL_OWNER, Notification("changed", "another", ""))
        earlier = asyncio.create_task(anext(frames))
        await asked.wait()
        transcript.show_earlier("no such message")
        frame = await earlier
        assert frame is not None
        assert frame["k"] == "say"


async def test_a_list_that_takes_long_is_read_seldom(services: Services) -> None:
    """While the process or the database is busy, with changes all the time: it takes a tenth of the time at most."""
    reads: list[float] = []
    loop = asyncio.get_running_loop()

    async def slow(*, models: bool) -> object:
        reads.append(loop.time())
        await asyncio.sleep(0.15)
        return None

    transcript = Transcript(services, LOCAL_OWNER, await conversation(services, "One"), read_list=slow)

    async def follow() -> None:
        async with aclosing(transcript.frames()) as frames:
            async for _ in frames:
                pass

    following = asyncio.create_task(follow())
    async with asyncio.timeout(20):
        while len(reads) < 2:
            services.runs.feed.publish(LOCAL_OWNER, Notification("changed", "another", ""))
            await asyncio.sleep(0.02)
    following.cancel()
    assert reads[1] - reads[0] >= 0.15 * LIST_SHARE
