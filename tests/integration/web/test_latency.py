"""Latency over HTTP: the figures of the caller's own answers, which are those of the answers themselves."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from streamchat.chat.events import Finished, TextDelta, UsageReported
from streamchat.errors import ProviderError
from tests.integration.web.conftest import Api, MakeApi
from tests.support.owners import A, B, identify_by_header

FIGURES = ("ttft_ms", "ttlt_ms", "ttc_ms")


async def reported(api: Api, answers: int, headers: dict[str, str] | None = None) -> dict[str, Any]:
    """The report once it has the times of so many answers: they are stored behind their endings."""
    async with asyncio.timeout(120):
        while True:
            report = (await api.client.get("/api/latency", headers=headers)).json()
            timed = sum(group["figures"].get("ttc_ms", {"answers": 0})["answers"] for group in report["models"])
            if timed >= answers:
                return report
            await asyncio.sleep(0.1)


async def test_the_figures_are_those_of_the_answers(api: Api):
    """Of each model and day; a failed answer counts by its kind; the slowest one is the one that took longest."""
    runs = [await api.said(TextDelta("a"), TextDelta("b"), UsageReported(1, 2), Finished()) for _ in range(3)]
    runs.append(await api.said(TextDelta("a"), ProviderError("It is busy.", kind="overloaded")))
    report = await reported(api, 4)
    timings = [(await api.client.get(f"/api/runs/{run_id}")).json()["timing"] for run_id in runs]
    assert (report["answers"], report["complete"]) == (4, True)
    (model,), (day,) = report["models"], report["days"]
    assert (model["model"], model["answers"], model["failed"]) == ("fake:one", 4, 1)
    assert day["day"] >= report["since"]
    for name in FIGURES:
        values = sorted(timing[name] for timing in timings)
        found = model["figures"][name]
        assert [found[key] for key in ("answers", "min", "p50", "p95", "max")] == [4, *values[:2], values[3], values[3]]
        assert report["slowest"][name][0]["value"] == values[-1]
        assert sum(found["counts"]) == found["answers"]
        assert len(found["counts"]) == len(report["bounds"][name]) + 1
        assert day["figures"][name] == found | {"counts": []}
    assert report["failures"] == [{"model": "fake:one", "kind": "overloaded", "answers": 1}]
    slowest = report["slowest"]["ttft_ms"][0]
    assert slowest["message_id"] in runs
    about = (await api.client.get(f"/api/conversations/{slowest['conversation_id']}")).json()
    assert slowest["title"] == about["title"]


@pytest.mark.parametrize("days", ["0", "367", "x", "-1"])
async def test_a_period_that_makes_no_sense_is_refused(api: Api, days: str):
    answer = await api.client.get(f"/api/latency?days={days}")
    assert answer.status_code == 422
    assert answer.json()["error"]["message"]


async def test_each_person_has_their_own(make_api: MakeApi):
    """Nothing of another person's answers, neither a title nor a number."""
    async with make_api(identify=identify_by_header) as api:
        answer = await api.client.post("/api/runs", json={"message": "zebrafish"}, headers=A)
        assert answer.status_code == 201
        api.provider.say(TextDelta("hello"))
        api.provider.say(Finished())
        await api.world.ended(answer.json()["run_id"])
        mine = await reported(api, 1, A)
        assert mine["answers"] == 1
        assert "zebrafish" in str(mine)
        theirs = (await api.client.get("/api/latency", headers=B)).json()
        assert (theirs["answers"], theirs["models"], theirs["days"], theirs["failures"]) == (0, [], [], [])
        assert not any(theirs["slowest"].values())
