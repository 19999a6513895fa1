"""One question to several models over HTTP and with the Python client: side by side, until one answer is kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from streamchat.chat.events import Finished, TextDelta
from streamchat.client import AsyncClient, Client
from streamchat.providers.base import ModelInfo
from streamchat.providers.catalog import Catalog, Source
from tests.integration.runs.conftest import QueueProvider
from tests.integration.web.conftest import Api, MakeApi

PATIENCE = 120
NAMES = ("one", "two", "three")
MODELS = [f"{name}:model" for name in NAMES]


@dataclass
class Several:
    """A server with three models, each of which says what the test hands it."""

    api: Api
    models: dict[str, QueueProvider]

    async def call(self, method: str, path: str, body: Any = None, status: int = 200) -> dict[str, Any]:
        response = await self.api.client.request(method, path, json=body)
        assert response.status_code == status, response.text
        return response.json()

    async def compare(self, text: str = "which?", **more: Any) -> dict[str, Any]:
        return await self.call("POST", "/api/runs", {"message": text, "models": MODELS} | more, 201)

    async def finish(self, model: str, run_id: str, text: str = "yes") -> None:
        self.models[model].say(TextDelta(text), Finished())
        await self.api.world.ended(run_id)

    async def shown(self, conversation_id: str) -> dict[str, Any]:
        return await self.call("GET", f"/api/conversations/{conversation_id}")

    async def status(self, run_id: str) -> str:
        return (await self.call("GET", f"/api/runs/{run_id}"))["status"]


@pytest.fixture
async def several(make_api: MakeApi) -> AsyncIterator[Several]:
    async with serving_several(make_api) as made:
        yield made


@asynccontextmanager
async def serving_several(make_api: MakeApi, **settings: str) -> AsyncIterator[Several]:
    models = {model: QueueProvider() for model in MODELS}
    sources = [
        Source(name, models[model], [ModelInfo(model, name.title())]) for name, model in zip(NAMES, MODELS, strict=True)
    ]
    async with make_api(catalog=Catalog(sources), **settings) as api:
        yield Several(api, models)


def ids_of(started: dict[str, Any]) -> list[str]:
    return [run["run_id"] for run in started["runs"]]


async def test_all_answer_at_once(several: Several):
    """One question, an answer of each model in progress at the same time; the same request again is the same runs."""
    started = await several.compare(client_message_id="c1")
    runs = started["runs"]
    assert [run["model"] for run in runs] == MODELS
    assert (started["run_id"], started["message_id"]) == (runs[0]["run_id"], runs[0]["message_id"])
    for model in reversed(MODELS):
        several.models[model].say(TextDelta(f"I am {model}"))
    for run in runs:
        while (now := await several.call("GET", f"/api/runs/{run['run_id']}"))["message"]["text"] == "":
            await asyncio.sleep(0.01)
        assert (now["status"], now["message"]["text"]) == ("streaming", f"I am {run['model']}")
    again = await several.call("POST", "/api/runs", {"message": "which?", "models": MODELS, "client_message_id": "c1"})
    assert again == started
    conversation = await several.shown(started["conversation_id"])
    assert conversation["compared"] == ids_of(started)
    assert [message["role"] for message in conversation["messages"]] == ["user", "assistant"]
    assert conversation["versions"] == {runs[0]["run_id"]: ids_of(started)}
    for run in runs:
        await several.finish(run["model"], run["run_id"], " and done")
        events = await several.api.events(run["events_url"])
        assert events[-1].data == "[DONE]"
    assert all(len(model.requests) == 1 for model in several.models.values())


async def test_one_is_kept(several: Several):
    """Those that are still written stop; the conversation goes on with the kept answer, and with its model."""
    started = await several.compare()
    where, (first, second, third) = started["conversation_id"], ids_of(started)
    await several.finish(MODELS[1], second, "the second")
    await several.call("POST", f"/api/messages/{second}/select", {})
    assert [await several.status(run_id) for run_id in (first, second, third)] == ["stopped", "finished", "stopped"]
    conversation = await several.shown(where)
    assert (conversation["compared"], conversation["model"]) == ([], MODELS[1])
    assert conversation["messages"][-1]["id"] == second
    assert conversation["versions"] == {second: [first, second, third]}
    following = await several.call("POST", f"/api/conversations/{where}/messages", {"message": "go on"}, 201)
    await several.finish(MODELS[1], following["run_id"])
    history = several.models[MODELS[1]].requests[-1].messages
    assert [message.text for message in history] == ["which?", "the second", "go on"]


async def test_the_answers_to_one_question_only(several: Several):
    """Meanwhile nothing else is asked or answered here. One of them is given again beside the others, in its place."""
    started = await several.compare()
    where, (first, second, third) = started["conversation_id"], ids_of(started)
    path = f"/api/conversations/{where}/messages"
    for body in ({"message": "another"}, {"message": "another", "models": MODELS[:2]}):
        refused = await several.call("POST", path, body, 409)
        assert refused["error"]["kind"]
    await several.call("POST", f"/api/messages/{first}/regenerate", {}, 409)  # it is being written
    await several.finish(MODELS[0], first, "poor")
    again = await several.call("POST", f"/api/messages/{first}/regenerate", {}, 201)
    assert (await several.shown(where))["compared"] == [again["run_id"], second, third]
    for model, run_id in zip(MODELS, (again["run_id"], second, third), strict=True):
        await several.finish(model, run_id)
    # The first answer is none of them any more: what stands beside it now would be in its way.
    later = await several.call("POST", path, {"message": "next", "models": MODELS[:2]}, 201)
    await several.call("POST", f"/api/messages/{again['run_id']}/regenerate", {}, 409)
    for model, run_id in zip(MODELS, ids_of(later), strict=False):
        await several.finish(model, run_id)


async def test_one_is_stopped_and_the_others_go_on(several: Several):
    started = await several.compare()
    first, second, third = ids_of(started)
    await several.call("DELETE", f"/api/runs/{second}")
    assert [await several.status(run_id) for run_id in (first, second, third)] == ["streaming", "stopped", "streaming"]
    await several.finish(MODELS[0], first)
    await several.finish(MODELS[2], third)
    assert (await several.shown(started["conversation_id"]))["compared"] == [first, second, third]


async def test_a_question_without_a_choice_follows_the_first(several: Several):
    """The comparison is over then, also for a client that knows nothing of it."""
    started = await several.compare()
    for model, run_id in zip(MODELS, ids_of(started), strict=True):
        await several.finish(model, run_id, f"by {model}")
    where = started["conversation_id"]
    following = await several.call("POST", f"/api/conversations/{where}/messages", {"message": "go on"}, 201)
    await several.finish(MODELS[0], following["run_id"])
    history = several.models[MODELS[0]].requests[-1].messages
    assert [message.text for message in history] == ["which?", f"by {MODELS[0]}", "go on"]
    assert (await several.shown(where))["compared"] == []
    await several.call("POST", f"/api/messages/{ids_of(started)[2]}/select", {})
    conversation = await several.shown(where)
    assert conversation["messages"][-1]["id"] == ids_of(started)[2]
    assert conversation["compared"] == []


async def test_deleted_answers_are_left_out(several: Several):
    """Also the one that the branch ends in, while it is written. With one left there is no comparison."""
    started = await several.compare()
    where, (first, second, third) = started["conversation_id"], ids_of(started)
    await several.call("DELETE", f"/api/messages/{first}")
    assert await several.status(first) == "stopped"
    assert (await several.shown(where))["compared"] == [second, third]
    await several.finish(MODELS[1], second)
    await several.finish(MODELS[2], third)
    await several.call("DELETE", f"/api/messages/{third}")
    conversation = await several.shown(where)
    assert (conversation["compared"], conversation["messages"][-1]["id"]) == ([], second)
    await several.call("POST", f"/api/messages/{third}/restore", {})
    assert (await several.shown(where))["compared"] == [second, third]


BAD: list[tuple[dict[str, Any], int]] = [
    ({"models": []}, 422),
    ({"models": MODELS[:1]}, 422),
    ({"models": [*MODELS, "one:other"]}, 422),
    ({"models": [MODELS[0], MODELS[0]]}, 422),
    ({"models": MODELS, "model": MODELS[0]}, 422),
    ({"models": "one:model,two:model"}, 422),
    ({"models": [MODELS[0], ""]}, 422),
    ({"models": [MODELS[0], None]}, 422),
    ({"models": [MODELS[0], "no:such"]}, 404),
    ({"models": MODELS, "message": "  "}, 422),
]


@pytest.mark.parametrize("path", ["/api/runs", "/api/conversations/{where}/messages"])
async def test_bad_comparisons_start_nothing(several: Several, path: str):
    """Refused with a reason; no question is stored, and no model is asked."""
    started = await several.call("POST", "/api/runs", {"message": "before"}, 201)
    await several.finish(MODELS[0], started["run_id"])
    where = started["conversation_id"]
    for body, status in BAD:
        await several.call("POST", path.format(where=where), {"message": "which?", **body}, status)
        assert len((await several.shown(where))["messages"]) == 2, body
        assert len((await several.call("GET", "/api/conversations"))["conversations"]) == 1, body
        assert [len(model.requests) for model in several.models.values()] == [1, 0, 0], body


async def test_each_answer_counts_against_the_limits(make_api: MakeApi):
    """Three answers need three slots: with two of them nothing is started. Two answers take both."""
    async with serving_several(make_api, STREAMCHAT_RUNS_PER_CLIENT="2") as several:
        await several.call("POST", "/api/runs", {"message": "which?", "models": MODELS}, 429)
        assert (await several.call("GET", "/api/conversations"))["conversations"] == []
        started = await several.compare(models=MODELS[:2])
        await several.call("POST", "/api/runs", {"message": "one more"}, 429)
        for model, run_id in zip(MODELS, ids_of(started), strict=False):
            await several.finish(model, run_id)


async def test_answers_wait_in_line(make_api: MakeApi):
    """With one answer at once, the others are told their places, and follow."""
    async with serving_several(make_api, STREAMCHAT_MAX_ANSWERS="1") as several:
        runs = ids_of(await several.compare())
        for run_id, place in zip(runs[1:], (1, 2), strict=True):
            while not (parts := (await several.call("GET", f"/api/runs/{run_id}"))["message"]["parts"]):
                await asyncio.sleep(0.01)
            assert parts[0]["data"]["place"] == place
        for model, run_id in zip(MODELS, runs, strict=True):
            await several.finish(model, run_id)


async def test_who_follows_the_conversation_sees_all_of_them(several: Several):
    """Also who takes it up again in the middle, by one cursor: of each answer every word once, and its ending."""
    started = await several.compare()
    where, runs = started["conversation_id"], ids_of(started)
    for model in MODELS:
        several.models[model].say(TextDelta(f"{model} "))
    said = dict.fromkeys(runs, "")
    ended: list[str] = []
    cursor, first = None, True
    async with asyncio.timeout(PATIENCE), AsyncClient(several.api.url) as client:
        while len(ended) < len(runs):
            async with aclosing(client.follow_conversation(where, after=cursor)) as events:
                async for reached, event in events:
                    cursor = reached
                    if event["type"] == "text-delta":
                        said[event["run_id"]] += event["text"]
                        break  # and take it up again
                    if event["type"] == "finished":
                        ended.append(event["run_id"])
                        break
            if first and all(said.values()):
                first = False
                for model in MODELS:
                    several.models[model].say(TextDelta("again"), Finished())
    assert sorted(ended) == sorted(runs)
    assert said == {run_id: f"{model} again" for run_id, model in zip(runs, MODELS, strict=True)}


@pytest.mark.parametrize("temporary", [False, True])
async def test_the_python_clients_compare(several: Several, temporary: bool):
    """Both: the runs in the order of the models; each is read as it comes; one is kept."""
    async with AsyncClient(several.api.url) as client:
        runs = await client.compare("which?", MODELS, temporary=temporary)
        for model in MODELS:
            several.models[model].say(TextDelta(f"by {model}"), Finished())
        assert ["".join([piece async for piece in run.text()]) for run in runs] == [f"by {model}" for model in MODELS]
        assert [run.message.model for run in runs] == MODELS
        conversation = await client.conversation(runs[0].conversation_id)
        assert conversation["compared"] == [run.id for run in runs]
        await client.select_branch(runs[2].id)
        conversation = await client.conversation(runs[0].conversation_id)
        assert (conversation["messages"][-1]["id"], conversation["compared"]) == (runs[2].id, [])

    def in_a_thread() -> list[str]:
        with Client(several.api.url) as client:
            runs = client.compare("again?", MODELS[:2], conversation_id=conversation["id"])
            return ["".join(run.text()) for run in runs]

    waiting = asyncio.create_task(asyncio.to_thread(in_a_thread))
    for model in MODELS[:2]:
        several.models[model].say(TextDelta(f"again by {model}"), Finished())
    assert await waiting == [f"again by {model}" for model in MODELS[:2]]
