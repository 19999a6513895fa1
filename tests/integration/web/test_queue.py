"""More answers than may be written at once: they wait in line, and whoever reads sees the place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from streamchat.chat.events import Finished, TextDelta
from streamchat.chat.messages import NoticePart
from tests.integration.web.conftest import Api, MakeApi, parsed


@pytest.fixture
async def api(make_api: MakeApi) -> AsyncIterator[Api]:
    async with make_api(STREAMCHAT_MAX_ANSWERS="1") as made:
        yield made


async def waits(api: Api, run_id: str) -> str:
    """What a run says of its place."""
    while not (parts := api.world.log.snapshot(run_id).message.parts):
        await asyncio.sleep(0.005)
    assert isinstance(parts[0], NoticePart)
    return parts[0].text


async def test_an_answer_waits_for_its_turn(api: Api):
    """No request is made before; the events tell the place, and the answer follows when the first one has ended."""
    first = await api.start()
    second = await api.start()
    assert await waits(api, second) == "Waiting: 1st in line."
    run = (await api.client.get(f"/api/runs/{second}")).json()
    assert (run["status"], run["message"]["parts"][0]["data"]) == ("streaming", {"place": 1})
    assert len(api.provider.requests) == 1
    api.provider.say(TextDelta("one"), Finished(), TextDelta("two"), Finished())
    await api.world.ended(first)
    message = await api.world.ended(second)
    assert (message.status, message.text) == ("finished", "two")
    events = parsed(await api.events(f"/api/runs/{second}/events"))
    places = [event["data"]["place"] for event in events if event["type"] == "notice"]
    assert places == [1, 0]


async def test_an_answer_in_line_can_be_stopped(api: Api):
    """It never asks the provider, and the one behind it moves up."""
    first, second, third = [await api.start() for _ in range(3)]
    assert await waits(api, third) == "Waiting: 2nd in line."
    assert (await api.client.delete(f"/api/runs/{second}")).json()["status"] == "stopped"
    api.provider.say(TextDelta("one"), Finished(), TextDelta("three"), Finished())
    assert (await api.world.ended(first)).text == "one"
    assert (await api.world.ended(third)).text == "three"
    assert len(api.provider.requests) == 2
