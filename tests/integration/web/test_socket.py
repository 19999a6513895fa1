"""Follow, stop and decide over one WebSocket."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
import websockets

from streamchat.chat.events import Finished, TextDelta
from tests.integration.web.conftest import Api, MakeApi, parsed
from tests.integration.web.test_events import SAID


def address(api: Api, run_id: str, query: str = "") -> str:
    return f"ws://127.0.0.1:{api.port}/api/runs/{run_id}/ws{query}"


async def frames(api: Api, run_id: str, query: str = "") -> list[dict[str, Any]]:
    """All that is said until the server closes."""
    async with websockets.connect(address(api, run_id, query)) as socket:
        return [json.loads(text) async for text in socket]


async def test_the_socket_says_what_the_stream_says(api: Api):
    """From every place on: the same events with the same numbers, one ending, then ``done``."""
    run_id = await api.said(*SAID)
    for place in range(len(SAID)):
        told = await frames(api, run_id, f"?after={place}")
        assert told.pop() == {"type": "done"}
        events = parsed(await api.events(f"/api/runs/{run_id}/events?after={place}"))
        assert told == [{"seq": place + 1 + n} | data for n, data in enumerate(events)]


async def test_stop_over_the_socket(api: Api):
    """The command is answered, the ending follows, and the provider's connection is closed."""
    run_id = await api.start()
    api.provider.say(TextDelta("Half"))
    async with websockets.connect(address(api, run_id)) as socket:
        assert json.loads(await socket.recv())["text"] == "Half"
        await socket.send(json.dumps({"type": "stop", "id": "s1"}))
        rest = [json.loads(text) async for text in socket]
    assert {"type": "ok", "id": "s1"} in rest
    assert [frame["type"] for frame in rest if "seq" in frame] == ["stopped"]
    assert api.provider.closed == 1


async def test_steer_over_the_socket(api: Api):
    """It stops, and the answer to the message follows in the same conversation; sent again it is the same answer."""
    run_id = await api.start("one")
    api.provider.say(TextDelta("half"))
    command = {"type": "steer", "id": 1, "message": "rather this", "client_message_id": "s1"}
    async with websockets.connect(address(api, run_id)) as socket:
        assert json.loads(await socket.recv())["text"] == "half"
        await socket.send(json.dumps({"type": "steer", "message": ""}))
        assert json.loads(await socket.recv())["type"] == "problem"
        await socket.send(json.dumps(command))
        rest = [json.loads(text) async for text in socket]
    (done,) = [frame for frame in rest if frame["type"] == "ok"]
    assert [frame["type"] for frame in rest if "seq" in frame] == ["stopped"]
    body = {"message": "rather this", "client_message_id": "s1"}
    again = await api.client.post(f"/api/runs/{run_id}/steer", json=body)
    assert again.status_code == 200
    assert done == {"type": "ok", "id": 1, **again.json()}
    assert [m.text for m in api.provider.requests[-1].messages] == ["one", "half", "rather this"]
    api.provider.say(Finished())
    await api.world.ended(done["run_id"])


@pytest.mark.parametrize(
    "command",
    [
        "",
        "{",
        "[]",
        "null",
        '"stop"',
        '{"type": "sto"}',
        '{"type": "decide"}',
        "[" * 50_000,
        '{"type": "stop", "id": []}',
    ],
)
async def test_what_is_no_command_is_told_and_changes_nothing(api: Api, command: str):
    """A problem with a sentence comes back; the connection and the run go on."""
    run_id = await api.start()
    async with websockets.connect(address(api, run_id)) as socket:
        await socket.send(command)
        assert json.loads(await socket.recv())["error"]["kind"] == "bad-request"
        await socket.send(b"\x00\xff")
        assert json.loads(await socket.recv())["error"]["kind"] == "bad-request"
        await socket.send('{"type": "ping"}')
        assert json.loads(await socket.recv()) == {"type": "pong"}
        api.provider.say(Finished())
        assert [json.loads(text)["type"] async for text in socket] == ["finished", "done"]


async def test_a_decision_about_nothing_is_a_problem(api: Api):
    """Nobody can approve what does not wait."""
    run_id = await api.start()
    async with websockets.connect(address(api, run_id)) as socket:
        await socket.send(json.dumps({"type": "decide", "id": 7, "call_id": "c1", "approve": True}))
        told = json.loads(await socket.recv())
        assert (told["type"], told["id"]) == ("problem", 7)
        api.provider.say(Finished())


@pytest.mark.parametrize(("path", "code"), [("nothere", 4404), ("{run}?after=x", 4400), ("a%0d%0ab", 4404)])
async def test_what_cannot_be_followed_is_told_and_closed(api: Api, path: str, code: int):
    """The close code is 4000 and the HTTP status; a sentence comes before it."""
    run_id = await api.start()
    name, _, query = path.replace("{run}", run_id).partition("?")
    async with websockets.connect(address(api, name, f"?{query}")) as socket:
        assert json.loads(await socket.recv())["type"] == "problem"
        await socket.wait_closed()
    assert socket.close_code == code
    api.provider.say(Finished())


async def test_silence_is_filled_on_the_socket(make_api: MakeApi, monkeypatch: pytest.MonkeyPatch):
    """A ping comes after each while of silence."""
    monkeypatch.setattr("streamchat.runs.reader.HEARTBEAT_SECONDS", 0.05)
    async with make_api() as api:
        run_id = await api.start()
        async with websockets.connect(address(api, run_id)) as socket:
            for _ in range(3):
                assert json.loads(await socket.recv()) == {"type": "ping"}
            api.provider.say(Finished())


async def test_a_client_that_leaves_ends_its_reader_and_not_the_run(api: Api):
    """The run goes on; the log rings for nobody any more."""
    run_id = await api.start()
    async with websockets.connect(address(api, run_id)):
        while not api.world.log.listened(run_id):
            await asyncio.sleep(0.005)
    async with asyncio.timeout(10):
        while api.world.log.listened(run_id):
            await asyncio.sleep(0.005)
    api.provider.say(TextDelta("all"), Finished())
    assert (await api.world.ended(run_id)).status == "finished"
