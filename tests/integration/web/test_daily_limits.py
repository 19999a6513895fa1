"""What an owner may use in a day: refused before anything is stored, with the time to wait."""

from __future__ import annotations

import asyncio

import pytest

from streamchat.chat.events import Finished, TextDelta, UsageReported
from streamchat.storage.usage import Limits
from streamchat.wiring.administration import seconds_left
from tests.integration.web.conftest import Api, MakeApi


async def answer(api: Api, usage: UsageReported) -> None:
    await api.said(TextDelta("yes"), usage, Finished())
    while api.world.runs.active_ids():
        await asyncio.sleep(0.005)


async def refused(api: Api) -> str:
    """The reason why no other answer starts."""
    response = await api.client.post("/api/runs", json={"message": "hi"})
    assert response.status_code == 429, response.text
    assert 1 <= int(response.headers["retry-after"]) <= 86_400
    assert abs(int(response.headers["retry-after"]) - seconds_left()) < 60
    assert len(await api.world.store.conversations("local", limit=100)) == 1
    return response.json()["error"]["message"]


@pytest.mark.parametrize(
    ("setting", "value", "reason"),
    [
        ("STREAMCHAT_REQUESTS_PER_DAY", "1", "1 answer"),
        ("STREAMCHAT_TOKENS_PER_DAY", "100", "100 tokens"),
        ("STREAMCHAT_COST_PER_DAY", "0.0001", "$0.0001"),
    ],
)
async def test_a_limit_of_the_day(make_api: MakeApi, tmp_path, setting: str, value: str, reason: str):
    """The answer that reaches it is whole; the next one is refused until midnight, UTC."""
    prices = tmp_path / "prices.toml"
    prices.write_text('[models]\n"fake:*" = { input = 1, output = 1 }')
    async with make_api(STREAMCHAT_PRICES=str(prices), **{setting: value}) as api:
        await answer(api, UsageReported(90, 10))
        assert reason in await refused(api)
        await api.services.administration.set_limits("local", Limits(requests=50, tokens=10**6, cost=1.0))
        await answer(api, UsageReported(1, 1))


async def test_answers_in_progress_count(make_api: MakeApi):
    """Of many starts at the same moment as many pass as may; a repeated one finds its run."""
    async with make_api(STREAMCHAT_REQUESTS_PER_DAY="3") as api:
        bodies = [{"message": "hi", "client_message_id": f"m{n}"} for n in range(10)]
        answers = await asyncio.gather(*(api.client.post("/api/runs", json=body) for body in bodies))
        assert sorted(answer.status_code for answer in answers) == [201] * 3 + [429] * 7
        passed = next(body for body, answer in zip(bodies, answers, strict=True) if answer.status_code == 201)
        assert (await api.client.post("/api/runs", json=passed)).status_code == 200


async def test_answers_at_the_same_time(api: Api):
    """An owner's own limit; the next one starts when one has ended."""
    await api.services.administration.set_limits("local", Limits(running=1))
    run_id = await api.start()
    response = await api.client.post("/api/runs", json={"message": "hi"})
    assert (response.status_code, response.headers["retry-after"]) == (429, "5")
    api.provider.say(TextDelta("yes"), Finished())
    while (await api.client.get(f"/api/runs/{run_id}")).json()["status"] != "finished" or api.world.runs.active_ids():
        await asyncio.sleep(0.005)
    await api.start()


async def test_a_model_that_is_off_is_not_offered(api: Api):
    """It starts nothing, and is offered again when it is on."""
    switch = api.services.administration.switch_model
    await switch("fake:one", off=True)
    assert api.world.catalog.offered == {}
    response = await api.client.post("/api/runs", json={"message": "hi", "model": "fake:one"})
    assert (response.status_code, "switched off" in response.text) == (422, True)
    assert (await api.client.get("/v1/models")).json()["data"] == []
    await switch("fake:one", off=False)
    await api.start()
