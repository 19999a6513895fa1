"""One cursor over all answers of a conversation: who reads it has every message and every event once, from anywhere."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import websockets

from streamchat.chat.events import Finished, TextDelta
from streamchat.chat.sse import SSEDecoder
from tests.integration.web.conftest import Api, shared

PATIENCE = 60
ENDINGS = {"finished", "stopped", "failed", "interrupted"}


@dataclass
class Reader:
    """Follows a conversation. ``events``: each with its cursor."""

    api: Api
    where: str
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    ended: bool = False

    async def read(self, after: str) -> None:
        path = f"/api/conversations/{self.where}/events?after={after}"
        async with self.api.client.stream("GET", path, timeout=PATIENCE) as answer:
            assert answer.status_code == 200, await answer.aread()
            decoder = SSEDecoder()
            async for data in answer.aiter_raw():
                for event in decoder.feed(data):
                    if event.data == "[DONE]":
                        self.ended = True
                        return
                    said = json.loads(event.data)
                    assert event.event == said["type"]
                    self.events.append((event.id, said))

    async def until(self, true: Callable[[list[dict[str, Any]]], object]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not true([event for _, event in self.events]):
                await asyncio.sleep(0.01)

    def texts(self) -> dict[str, str]:
        """The text of each answer, as a client makes it of what it gets."""
        texts: dict[str, str] = {}
        for _, event in self.events:
            if event["type"] == "text-delta":
                texts[event["run_id"]] = texts.get(event["run_id"], "") + event["text"]
            elif event["type"] == "snapshot":
                texts[event["run_id"]] = event["message"]["text"]
        return texts


@asynccontextmanager
async def following(api: Api, where: str, after: str = "") -> AsyncIterator[Reader]:
    reader = Reader(api, where)
    task = asyncio.create_task(reader.read(after))
    yield reader
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def endings(count: int) -> Callable[[list[dict[str, Any]]], bool]:
    return lambda events: sum(event["type"] in ENDINGS for event in events) >= count


async def ask(api: Api, where: str | None, *words: str) -> tuple[str, str]:
    """A whole answer, each word an event. Returns the run and the conversation."""
    body = {"message": f"about {' '.join(words)}"} | ({"conversation_id": where} if where else {})
    started = (await api.client.post("/api/runs", json=body)).json()
    for word in words:
        before = api.world.log.snapshot(started["run_id"]).seq
        api.provider.say(TextDelta(word))
        while api.world.log.snapshot(started["run_id"]).seq == before:
            await asyncio.sleep(0.001)
    api.provider.say(Finished("stop"))
    await api.world.ended(started["run_id"])
    return started["run_id"], started["conversation_id"]


async def test_a_device_follows_without_knowing_runs(api: Api):
    """Two answers, one before and one after it came: questions and answers in their order, each event once."""
    first, where = await ask(api, None, "one ", "two")
    async with following(api, where) as reader:
        await reader.until(endings(1))
        second, _ = await ask(api, where, "three ", "four")
        await reader.until(endings(2))
    assert reader.texts() == {first: "one two", second: "three four"}
    kinds = [(event["type"], event.get("role", event.get("run_id"))) for _, event in reader.events]
    assert [kind for kind in kinds if kind[0] in {"message", *ENDINGS}] == [
        ("message", "user"),
        ("message", "assistant"),
        ("finished", first),
        ("message", "user"),
        ("message", "assistant"),
        ("finished", second),
    ]
    questions = [event for _, event in reader.events if event["type"] == "message"]
    assert questions[0]["message"]["text"] == "about one  two"
    assert questions[1] == {
        "type": "message",
        "role": "assistant",
        "parent_id": questions[0]["message"]["id"],
        "run_id": first,
        "model": questions[1]["model"],
    }


async def test_from_every_cursor_on_nothing_is_missing_and_nothing_comes_twice(api: Api):
    """What was read up to a cursor, and what comes after it, are the conversation; also in the middle of an answer, and
    with two answers at once."""
    _, where = await ask(api, None, *"abc")
    async with following(api, where) as whole:
        await whole.until(endings(1))
        started = (await api.client.post("/api/runs", json={"message": "x", "conversation_id": where})).json()["run_id"]
        for word in "defgh":
            api.provider.say(TextDelta(word))
        await whole.until(lambda _: whole.texts().get(started) == "defgh")
        for place in range(len(whole.events)):
            async with following(api, where, whole.events[place][0]) as reader:
                reader.events = whole.events[: place + 1]
                await reader.until(lambda _: reader.texts() == whole.texts())
                numbers = [(e["run_id"], e["seq"]) for _, e in reader.events if e["type"] == "text-delta"]
                assert len(numbers) == len(set(numbers))
                messages = [e for _, e in reader.events if e["type"] == "message"]
                assert messages == [e for _, e in whole.events if e["type"] == "message"]
        middle = whole.events[-2][0]
        api.provider.say(Finished("stop"))
        await whole.until(endings(2))
    async with following(api, where, middle) as late:
        await late.until(endings(1))
        assert late.texts() == {started: "h"} or late.texts() == {started: "defgh"}  # from the log, or as a snapshot
    async with following(api, where, whole.events[-1][0]) as done:
        run_id, _ = await ask(api, where, "new")
        await done.until(endings(1))
        assert done.texts() == {run_id: "new"}


async def test_only_what_comes_from_now_on(api: Api):
    """``latest``: neither old messages nor old answers."""
    _, where = await ask(api, None, "old")
    async with following(api, where, "latest") as reader:
        await asyncio.sleep(0)
        run_id, _ = await ask(api, where, "new")
        async with asyncio.timeout(PATIENCE):
            while not reader.events:  # it may have come after that answer
                run_id, _ = await ask(api, where, "new")
        await reader.until(endings(1))
        assert set(reader.texts().values()) == {"new"}
        assert run_id in reader.texts()


async def test_a_long_conversation(api: Api):
    """More messages than are read at a time come all, in their order."""
    where = None
    for number in range(60):
        _, where = await ask(api, where, f"{number}")
    async with following(api, where or "") as reader:
        await reader.until(endings(60))
    assert list(reader.texts().values()) == [str(number) for number in range(60)]


async def test_the_end_of_a_conversation(api: Api):
    """A conversation that is deleted says so, and the stream ends."""
    _, where = await ask(api, None, "one")
    async with following(api, where) as reader:
        await reader.until(endings(1))
        assert (await api.client.delete(f"/api/conversations/{where}")).status_code == 200
        await reader.until(lambda events: events[-1]["type"] == "deleted")
        async with asyncio.timeout(PATIENCE):
            while not reader.ended:
                await asyncio.sleep(0.01)
    assert (await api.client.get(f"/api/conversations/{where}/events")).status_code == 404


@shared
@pytest.mark.parametrize("after", ["x", "-1", "1,2", "1:2", "1,2:", "9" * 30, "1," * 300, "٣", "1,2:3,"])
async def test_what_is_no_cursor(shared_api: Api, after: str):
    """It is refused, over SSE and over the WebSocket."""
    _, where = await ask(shared_api, None, "one")
    answer = await shared_api.client.get(f"/api/conversations/{where}/events", params={"after": after})
    assert answer.status_code == 400
    async with websockets.connect(
        f"ws://127.0.0.1:{shared_api.port}/api/conversations/{where}/ws?after={after}"
    ) as socket:
        assert json.loads(await socket.recv())["type"] == "problem"
        await socket.wait_closed()
    assert socket.close_code == 4400


async def test_a_cursor_beyond_the_end(api: Api):
    """One of another conversation, or made up: nothing old comes, and what comes next does."""
    _, where = await ask(api, None, "one")
    async with following(api, where, "2,1:7,2:9999") as reader:
        run_id, _ = await ask(api, where, "new")
        await reader.until(lambda _: reader.texts().get(run_id) == "new")


async def test_an_ending_has_its_times_also_just_after_it(api: Api, monkeypatch: pytest.MonkeyPatch):
    """They are stored after the ending; until then the log has them."""
    _, where = await ask(api, None, "one")
    async with following(api, where) as first:
        await first.until(endings(1))
    messages_after = api.world.store.messages_after

    async def without_times(*how: Any) -> Any:
        placed = await messages_after(*how)
        return [replace(one, message=replace(one.message, timing=None)) for one in placed]

    monkeypatch.setattr(api.world.store, "messages_after", without_times)
    async with following(api, where) as reader:
        await reader.until(endings(1))
    assert reader.events[-1][1]["type"] == "finished"
    assert reader.events[-1][1]["timing"]["tokens"] == 1


async def test_the_socket_says_what_the_stream_says(api: Api):
    """The same events, each with its cursor; pings are answered; a client that leaves ends nothing."""
    run_id, where = await ask(api, None, "one ", "two")
    async with following(api, where) as reader:
        await reader.until(endings(1))
    async with websockets.connect(f"ws://127.0.0.1:{api.port}/api/conversations/{where}/ws") as socket:
        said = [json.loads(await socket.recv()) for _ in reader.events]
        assert said == [{"cursor": cursor} | event for cursor, event in reader.events]
        await socket.send("{}")
        assert json.loads(await socket.recv()) == {"type": "pong"}
    assert (await api.client.get(f"/api/runs/{run_id}")).json()["status"] == "finished"
