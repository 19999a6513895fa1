"""Messages into a running answer, and those that wait for it, with the outcome in the log."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import websockets

from streamchat.chat.events import Event, Finished, TextDelta, ToolCallReady, ToolCallStarted
from streamchat.chat.messages import Message, NoticePart, TextPart
from streamchat.chat.request import MAX_QUEUED, NewRun
from streamchat.runs.queue import AnswerQueue
from streamchat.runs.takeover import Budget
from streamchat.tools import tool
from tests.integration.runs.conftest import make_world
from tests.integration.web.conftest import Api, MakeApi, parsed

gate = threading.Event()
TWO = (TextPart("two"),)


@tool
async def look(what: str) -> str:
    """Look something up, once the gate is open."""
    await asyncio.to_thread(gate.wait, 30)
    return f"saw {what}"


@pytest.fixture
async def api(make_api: MakeApi) -> AsyncIterator[Api]:
    gate.clear()
    async with make_api(tools=[look]) as made:
        yield made
    gate.set()


def call(call_id: str = "c", name: str = "look") -> list[Event]:
    return [ToolCallStarted(call_id, name), ToolCallReady(call_id, {"what": call_id}), Finished("tool-calls")]


def told(message: Message) -> list[tuple[str, dict[str, Any]]]:
    return [(part.kind, dict(part.data or {})) for part in message.parts if isinstance(part, NoticePart)]


async def post(api: Api, path: str, **body: Any) -> dict[str, Any]:
    answer = await api.client.post(path, json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def seen(api: Api, run_id: str, seq: int) -> None:
    while api.world.log.snapshot(run_id).seq < seq:
        await asyncio.sleep(0.005)


async def test_taken_at_the_next_tool_round(api: Api):
    """The tools of the round run, then the answer ends; the message is answered next and knows their results."""
    run_id = await api.start("one")
    api.provider.say(TextDelta("Wait. "), *call())
    await seen(api, run_id, 4)
    body = {"message": "rather this", "at": "round", "client_message_id": "s1"}
    steered = await post(api, f"/api/runs/{run_id}/steer", **body)
    assert (await api.client.post(f"/api/runs/{run_id}/steer", json=body)).json() == steered
    follower = steered["run_id"]
    await seen(api, follower, 1)
    assert told(api.world.log.snapshot(follower).message) == [("queued", {"place": 1, "run_id": run_id})]
    assert api.world.log.snapshot(run_id).message.status == "streaming"
    gate.set()
    first = await api.world.ended(run_id)
    assert (first.status, first.stop_reason) == ("finished", "steered")
    assert told(first) == [("steered", {"run_id": follower, "outcome": "round", "round": 1})]
    api.provider.say(TextDelta("This."), Finished())
    second = await api.world.ended(follower)
    assert told(second) == [("steered", {"run_id": run_id, "outcome": "round", "round": 1})]
    assert second.text == "This."
    *_, answered, question = api.provider.requests[-1].messages
    assert question.text == "rather this"
    assert any(getattr(part, "result", None) == "saw c" for part in answered.parts)
    notices = [event for event in parsed(await api.events(f"/api/runs/{follower}/events")) if event["type"] == "notice"]
    assert [one["data"].get("outcome") for one in notices] == [None, "round"]
    assert await api.world.stored(follower) == second


async def test_an_answer_without_another_round_ends_by_itself(api: Api):
    """The message is answered after it, and the log says that it came too late for a round."""
    run_id = await api.start("one")
    api.provider.say(TextDelta("Half. "))
    await seen(api, run_id, 1)
    follower = (await post(api, f"/api/runs/{run_id}/steer", message="rather this", at="round"))["run_id"]
    api.provider.say(TextDelta("Done."), Finished(), TextDelta("This."), Finished())
    assert (await api.world.ended(run_id)).stop_reason == "stop"
    assert told(await api.world.ended(follower)) == [("steered", {"run_id": run_id, "outcome": "too-late"})]
    assert [m.text for m in api.provider.requests[-1].messages] == ["one", "Half. Done.", "rather this"]


@pytest.mark.parametrize("ended", [False, True])
async def test_steered_at_once(api: Api, ended: bool):
    """Sent after the stop, or too late: an entry of the answer says which."""
    run_id = await api.start("one")
    api.provider.say(TextDelta("Half. "), *([Finished()] if ended else []))
    await seen(api, run_id, 2 if ended else 1)
    follower = (await post(api, f"/api/runs/{run_id}/steer", message="rather this"))["run_id"]
    api.provider.say(Finished())
    outcome = "too-late" if ended else "stopped"
    assert told(await api.world.ended(follower)) == [("steered", {"run_id": run_id, "outcome": outcome})]


async def test_messages_wait_for_the_answers_before_them(api: Api):
    """In their order, each with the answer before as its history; without ``queue`` it is refused as ever."""
    run_id = await api.start("one")
    conversation = await api.world.runs.conversation_of("local", run_id)
    path = f"/api/conversations/{conversation}/messages"
    assert (await api.client.post(path, json={"message": "two"})).status_code == 409
    second = (await post(api, path, message="two", queue=True))["run_id"]
    third = (await post(api, "/api/runs", message="three", queue=True, conversation_id=conversation))["run_id"]
    await seen(api, third, 1)
    assert len(api.provider.requests) == 1
    api.provider.say(TextDelta("1"), Finished(), TextDelta("2"), Finished(), TextDelta("3"), Finished())
    assert (await api.world.ended(third)).text == "3"
    assert [m.text for m in api.provider.requests[-1].messages] == ["one", "1", "two", "2", "three"]
    ((kind, data),) = told(await api.world.stored(second))
    assert (kind, data["place"], data["run_id"]) == ("queued", 0, run_id)
    shown = (await api.client.get(f"/api/conversations/{conversation}")).json()["messages"]
    assert [one["text"] for one in shown] == ["one", "1", "two", "2", "three", "3"]


async def three(api: Api) -> tuple[str, str, str, str]:
    """A conversation whose answer to "one" is in progress, and the answers to "two" and "three", which wait for it."""
    run_id = await api.start("one")
    conversation = await api.world.runs.conversation_of("local", run_id)
    path = f"/api/conversations/{conversation}/messages"
    second, third = [(await post(api, path, message=text, queue=True))["run_id"] for text in ("two", "three")]
    return conversation, run_id, second, third


async def test_what_waits_can_be_stopped_and_what_it_waits_for_too(api: Api):
    """Neither asks the provider for the other."""
    conversation, run_id, second, third = await three(api)
    assert (await api.client.delete(f"/api/runs/{second}")).json()["status"] == "stopped"
    assert (await api.client.delete(f"/api/runs/{run_id}")).json()["status"] == "stopped"
    api.provider.say(TextDelta("3"), Finished())
    assert (await api.world.ended(third)).text == "3"
    assert len(api.provider.requests) == 2


async def test_a_deleted_question_is_asked_of_nobody(api: Api):
    """Its answer, which waited, says so; the one behind it is answered without it."""
    conversation, run_id, second, third = await three(api)
    messages = (await api.client.get(f"/api/conversations/{conversation}")).json()["messages"]
    (question,) = [one["id"] for one in messages if one["text"] == "two"]
    assert (await api.client.delete(f"/api/messages/{question}")).status_code == 200
    api.provider.say(TextDelta("1"), Finished(), TextDelta("3"), Finished())
    assert (await api.world.ended(third)).text == "3"
    refused = await api.world.ended(second)
    assert refused.error is not None
    assert (refused.status, refused.error.message) == ("failed", "Its question was deleted while it waited.")
    asked = [[message.text for message in request.messages] for request in api.provider.requests]
    assert len(asked) == 2
    assert "two" not in asked[-1]


async def test_the_queue_is_bounded(api: Api):
    """So many wait; the next one, and a steer past what waits, are refused with a sentence."""
    run_id = await api.start("one")
    conversation = await api.world.runs.conversation_of("local", run_id)
    path = f"/api/conversations/{conversation}/messages"
    for number in range(MAX_QUEUED):
        new = NewRun(client_message_id=f"q{number}", model="", conversation_id=conversation, parts=TWO, queued=True)
        await api.world.runs.start("local", new)
    assert (await api.client.post(path, json={"message": "x", "queue": True})).status_code == 422
    steer = {"message": "x", "at": "round"}
    assert (await api.client.post(f"/api/runs/{run_id}/steer", json=steer)).status_code == 409
    await api.world.runs.stop("local", conversation)


async def test_over_the_socket(api: Api):
    """A command queues, another one steers; what is wrong is a problem."""
    run_id = await api.start("one")
    async with websockets.connect(f"ws://127.0.0.1:{api.port}/api/runs/{run_id}/ws") as socket:

        async def said(**command: Any) -> dict[str, Any]:
            await socket.send(json.dumps(command))
            return json.loads(await socket.recv())

        first = await said(type="queue", id=1, message="two", client_message_id="q1")
        again = await said(type="queue", id=2, message="two", client_message_id="q1")
        assert first["type"] == "ok"
        assert first["run_id"] == again["run_id"]
        assert (await said(type="queue", message=""))["type"] == "problem"
        assert (await said(type="steer", message="x", at="later"))["type"] == "problem"
        assert (await said(type="steer", message="x", at="round"))["error"]["kind"] == "still-answering"
        api.provider.say(Finished(), TextDelta("2"), Finished())
        assert (await api.world.ended(first["run_id"])).text == "2"


def queued(conversation_id: str) -> NewRun:
    more = {"conversation_id": conversation_id, "parts": TWO, "queued": True}
    return NewRun(client_message_id="q", model="fake:one", **more)


async def test_what_waits_outlives_its_process(tmp_path: Path):
    """The server is restarted while a message waits: the next process goes on with both, in their order."""
    budget = Budget(tries=1)
    async with make_world(tmp_path, budget=budget, worker="a") as world:
        first = await world.start("one")
        world.provider.say(TextDelta("1"))
        while world.log.snapshot(first.run_id).seq < 1:
            await asyncio.sleep(0.005)
        new = NewRun(
            client_message_id="q", model="fake:one", conversation_id=first.conversation_id, parts=TWO, queued=True
        )
        second = await world.runs.start("local", new)
    async with make_world(tmp_path, budget=budget, worker="b") as world:
        for run_id in (second.run_id, first.run_id):
            epoch = (await world.store.answer("local", run_id)).epoch
            assert await world.runs.take_over(run_id, epoch, silence=1, released=True)
        world.provider.say(TextDelta(" and more"), Finished(), TextDelta("2"), Finished())
        assert (await world.ended(second.run_id)).text == "2"
        texts = [message.text for message in world.provider.requests[-1].messages]
        assert texts == ["one", "1 and more", "two"]


async def test_a_message_that_waits_takes_no_place_of_the_one_before(tmp_path: Path):
    """With one answer at a time, the second is in line for that place only once the first has ended."""
    async with make_world(tmp_path, queue=AnswerQueue(1)) as world:
        first = await world.start("one")
        new = NewRun(
            client_message_id="q", model="fake:one", conversation_id=first.conversation_id, parts=TWO, queued=True
        )
        second = await world.runs.start("local", new)
        world.provider.say(TextDelta("1"), Finished(), TextDelta("2"), Finished())
        assert (await world.ended(second.run_id)).text == "2"
