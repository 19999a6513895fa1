"""An answer that waits for a person keeps its readers, over every transport."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import websockets

from streamchat.chat import events as e
from streamchat.tools.definition import tool
from tests.integration.web.conftest import Api, MakeApi, parsed
from tests.integration.web.test_slow_readers import until


@tool(approve=True)
async def send(to: str, copies: int = 1) -> str:
    """Something that cannot be taken back."""
    return f"sent to {to}, {copies}"


@pytest.fixture
async def asking(make_api: MakeApi) -> AsyncIterator[Api]:
    async with make_api(tools=(send,)) as made:
        yield made


async def waits(api: Api) -> str:
    """A run that waits for a word about ``c1``."""
    run_id = await api.start("send it")
    api.provider.say(e.ToolCallStarted("c1", "send"), e.ToolCallReady("c1", {"to": "Ann"}), e.Finished("tool-calls"))
    await until(lambda: api.world.log.snapshot(run_id).message.status == "waiting")
    return run_id


def approved(told: list[dict], result: str) -> None:
    assert [frame["result"] for frame in told if frame["type"] == "tool-result"] == [result]
    assert told[-1]["type"] == "finished"


@pytest.mark.parametrize("forgotten", [False, True], ids=["live", "after a restart"])
async def test_readers_stay_while_it_waits_and_see_the_rest(asking: Api, forgotten: bool):
    """A stream that was open before the decision gets everything after it, with the next numbers; also where the log
    was gone meanwhile, as after a restart."""
    run_id = await waits(asking)
    if forgotten:
        asking.world.log.forget(run_id)
    seq = (await asking.client.get(f"/api/runs/{run_id}")).json()["seq"]
    reading = asyncio.create_task(asking.events(f"/api/runs/{run_id}/events?after={seq}"))
    buffered = asyncio.create_task(asking.client.get(f"/api/runs/{run_id}/events?buffer=1"))
    await asyncio.sleep(0.2)
    assert not reading.done()
    word = {"call_id": "c1", "approve": True, "arguments": {"to": "Bob", "copies": 2}}
    answer = await asking.client.post(f"/api/runs/{run_id}/decisions", json=word)
    assert answer.status_code == 200, answer.text
    asking.provider.say(e.TextDelta("Done."), e.Finished())
    events = await reading
    assert [int(event.id) for event in events[:-1]] == list(range(seq + 1, seq + len(events)))
    approved(parsed(events), "sent to Bob, 2")
    assert (await buffered).json()["message"]["text"] == "Done."


async def test_a_decision_over_the_socket(asking: Api):
    """Follow, decide and see the end over one connection; a second word about the same call is a problem."""
    run_id = await waits(asking)
    async with websockets.connect(f"ws://127.0.0.1:{asking.port}/api/runs/{run_id}/ws") as socket:
        for place in range(2):
            await socket.send(json.dumps({"type": "decide", "id": place, "call_id": "c1", "approve": True}))
        asking.provider.say(e.TextDelta("Done."), e.Finished())
        told = [json.loads(text) async for text in socket]
    assert told.pop() == {"type": "done"}
    answers = {frame["id"]: frame["type"] for frame in told if frame["type"] in ("ok", "problem")}
    assert answers == {0: "ok", 1: "problem"}
    approved([frame for frame in told if "seq" in frame], "sent to Ann, 1")


async def test_stop_ends_what_waits(asking: Api):
    """``DELETE`` ends it as *stopped*, and its readers see that."""
    run_id = await waits(asking)
    reading = asyncio.create_task(asking.events(f"/api/runs/{run_id}/events"))
    await asyncio.sleep(0.1)
    assert (await asking.client.delete(f"/api/runs/{run_id}")).json()["status"] == "stopped"
    assert parsed(await reading)[-1]["type"] == "stopped"


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ({"call_id": "c1", "approve": True, "arguments": {"to": 7, "copies": "x"}}, 422),
        ({"call_id": "nothere", "approve": True}, 404),
        ({"call_id": "c1"}, 422),
        ({"call_id": "c1", "approve": True, "arguments": []}, 422),
    ],
)
async def test_a_word_that_does_not_fit_changes_nothing(asking: Api, word: dict, status: int):
    """422 with a sentence, 404 for a call that is not in the answer; the answer waits on."""
    run_id = await waits(asking)
    answer = await asking.client.post(f"/api/runs/{run_id}/decisions", json=word)
    assert answer.status_code == status, answer.text
    assert (await asking.client.get(f"/api/runs/{run_id}")).json()["status"] == "waiting"
