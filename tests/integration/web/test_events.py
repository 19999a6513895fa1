"""Follow a run over Server-Sent Events, from any number on."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from streamchat.chat.events import (
    Failed,
    Finished,
    Notice,
    ReasoningDelta,
    SourceAdded,
    TextDelta,
    ToolCallArguments,
    ToolCallReady,
    ToolCallStarted,
    UsageReported,
)
from streamchat.chat.fold import fold
from streamchat.chat.messages import Message
from streamchat.chat.sse import SSEDecoder
from streamchat.chat.wire import event_from_wire, message_to_wire
from streamchat.protocols import encoding
from tests.integration.runs.conftest import make_world
from tests.integration.web.conftest import Api, MakeApi, parsed
from tests.support.storing import sweep

SAID = [
    ReasoningDelta("Let me think. "),
    TextDelta("Hello "),
    TextDelta("wörld 👩‍👩‍👧 日本語\u2028\u0085 \n\n"),
    ToolCallStarted("c1", "plot"),
    ToolCallArguments("c1", '{"a": 1'),
    ToolCallArguments("c1", "}"),
    ToolCallReady("c1", {"a": 1}),
    SourceAdded("https://example.org/", "Example"),
    TextDelta("data: [DONE]\r\n"),
    Notice("seam", "It goes on."),
    UsageReported(3, 4),
    Finished("stop"),
]


async def test_a_stream_has_every_event_in_order_and_one_end(api: Api):
    """Numbers from 1 without a gap, names of the contract, the ending, and then ``[DONE]`` without an id of its own."""
    run_id = await api.said(*SAID)
    events = await api.events(f"/api/runs/{run_id}/events")
    told = parsed(events)
    assert [event.id for event in events[:-1]] == [str(n + 1) for n in range(len(told))]
    assert events[-1].id == events[-2].id
    assert [event.event for event in events[:-1]] == [data["type"] for data in told]
    entries = api.world.log.entries_after(run_id, 0)
    assert isinstance(entries, list)
    kept = [entry.event for entry in entries]
    assert [event_from_wire(data) for data in told] == kept
    folded = fold(Message(run_id, "assistant", status="streaming", model=api.world.model), kept)
    assert message_to_wire(folded) == (await api.client.get(f"/api/runs/{run_id}")).json()["message"]


async def test_the_headers_of_a_stream_keep_proxies_from_holding_it(api: Api):
    """Type, no cache, no buffering, no compression, and how soon a browser reconnects."""
    run_id = await api.start()
    path, accepted = f"/api/runs/{run_id}/events", {"Accept-Encoding": "gzip, br"}
    async with api.client.stream("GET", path, headers=accepted) as answer:
        api.provider.say(Finished())
        await answer.aread()
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert "no-cache" in answer.headers["cache-control"]
    assert answer.headers["x-accel-buffering"] == "no"
    assert "content-encoding" not in answer.headers
    assert answer.content.startswith(b"retry: ")
    assert answer.content.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("by", ["header", "query"])
async def test_a_resume_at_every_place_gives_exactly_the_missing_events(api: Api, by: str):
    """From each number on, the bytes are those that an uninterrupted reader got after it."""
    run_id = await api.said(*SAID)
    path = f"/api/runs/{run_id}/events"
    whole = (await api.client.get(path)).content.removeprefix(encoding.RETRY).split(b"\n\n")
    last = api.world.log.snapshot(run_id).seq
    for place in range(1, last):
        asked: dict[str, Any] = {"headers": {"Last-Event-ID": str(place)}}
        if by == "query":
            asked = {"params": {"after": place}}
        rest = (await api.client.get(path, **asked)).content
        assert rest.startswith(encoding.RETRY)
        assert rest.removeprefix(encoding.RETRY).split(b"\n\n") == whole[place:]


async def test_a_resume_while_it_is_written_misses_nothing(api: Api):
    """Readers that leave and come back at each number see together what one that stayed saw."""
    run_id = await api.start()
    path = f"/api/runs/{run_id}/events"

    async def hop() -> list[str]:
        seen: list[str] = []
        place = 0
        while True:
            async with api.client.stream("GET", path, headers={"Last-Event-ID": str(place)} if place else {}) as answer:
                if answer.status_code == 204:
                    return seen
                decoder = SSEDecoder()
                async for data in answer.aiter_raw():
                    events = [event for event in decoder.feed(data) if event.data != "[DONE]"]
                    seen += [event.data for event in events]
                    if events:
                        place = int(events[-1].id)
                        break

    hopping = asyncio.create_task(hop())
    staying = asyncio.create_task(api.events(path))
    for n in range(50):
        api.provider.say(TextDelta(f"w{n} "))
        await asyncio.sleep(0.002)
    api.provider.say(Finished())
    stayed = [event.data for event in await staying]
    assert await asyncio.wait_for(hopping, 20) == stayed[:-1]


@pytest.mark.parametrize("place", ["-1", "1.5", "x", "1e3", " 7", "٣", "9" * 17, "1\x002", "18446744073709551616"])
async def test_a_place_that_is_no_number_is_refused(api: Api, place: str):
    """Malformed and huge places are a 400 with a sentence, never a 500 and never a start from the beginning."""
    run_id = await api.said(Finished())
    path = f"/api/runs/{run_id}/events"
    answer = await api.client.get(path, params={"after": place})
    assert answer.status_code == 400
    assert answer.json()["error"]["kind"] == "bad-request"


async def test_a_place_beyond_the_end_gets_the_whole_first(api: Api):
    """A reader that knows numbers that were never told begins anew with a snapshot, and sees the one ending."""
    run_id = await api.said(TextDelta("all"), Finished())
    asked: dict[str, Any]
    for asked in ({"params": {"after": 999}}, {"headers": {"Last-Event-ID": "999"}}):
        answer = await api.client.get(f"/api/runs/{run_id}/events", **asked)
        assert b"event: snapshot" in answer.content
        assert answer.content.count(b"event: finished") == 1
        assert answer.content.endswith(b"\n\ndata: [DONE]\n\n")


async def test_a_browser_that_reconnects_after_the_end_is_told_to_stop(api: Api):
    """``Last-Event-ID`` of the ending gets 204, live and from the store; ``?after=`` of it an empty, ended stream."""
    run_id = await api.said(TextDelta("all"), Finished())
    path = f"/api/runs/{run_id}/events"
    last = str(api.world.log.snapshot(run_id).seq)
    for _ in range(2):
        answer = await api.client.get(path, headers={"Last-Event-ID": last})
        assert (answer.status_code, answer.content) == (204, b"")
        assert (await api.events(f"{path}?after={last}"))[-1].data == "[DONE]"
        api.world.log.forget(run_id)


async def test_a_run_that_is_forgotten_is_told_from_the_store(api: Api):
    """After the log forgot it: a snapshot with the whole message, its ending, the end. Never 404."""
    run_id = await api.said(*SAID)
    api.world.log.forget(run_id)
    for path in (f"/api/runs/{run_id}/events", f"/api/runs/{run_id}/events?after=2"):
        snapshot, ending = parsed(await api.events(path))
        assert snapshot["message"] == (await api.client.get(f"/api/runs/{run_id}")).json()["message"]
        assert event_from_wire(ending) == Finished("stop")


async def test_buffered_is_the_message_once_it_has_ended(make_api: MakeApi, monkeypatch: pytest.MonkeyPatch):
    """``buffer=1`` answers with the folded message and nothing else, when it has ended; silence does not break it."""
    monkeypatch.setattr("streamchat.runs.reader.HEARTBEAT_SECONDS", 0.05)
    async with make_api() as api:
        run_id = await api.start()
        path = f"/api/runs/{run_id}/events?buffer=1"
        waiting = asyncio.create_task(api.client.get(path))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        api.provider.say(TextDelta("all"), Finished())
        early, late = await waiting, await api.client.get(path)
        assert early.json() == late.json() == (await api.client.get(f"/api/runs/{run_id}")).json()
        assert late.json()["message"]["text"] == "all"
        assert early.headers["content-type"] == late.headers["content-type"] == "application/json"


async def test_an_entry_is_encoded_once_for_all_readers(api: Api, monkeypatch: pytest.MonkeyPatch):
    """However many follow, each event becomes bytes once."""
    encoded: list[str] = []
    real = encoding.event_json
    monkeypatch.setattr(encoding, "event_json", lambda event: encoded.append(type(event).__name__) or real(event))
    run_id = await api.start()
    readers = [asyncio.create_task(api.events(f"/api/runs/{run_id}/events")) for _ in range(20)]
    await asyncio.sleep(0.1)
    for n in range(10):
        api.provider.say(TextDelta(f"{n} "))
        await asyncio.sleep(0.01)
    api.provider.say(Finished())
    streams = await asyncio.gather(*readers)
    assert all(stream == streams[0] for stream in streams)
    assert len(encoded) == len(streams[0]) - 1


async def test_halves_of_characters_and_odd_numbers_never_break_the_json(api: Api):
    """What JSON or UTF-8 has no word for is carried as near as can be; every event parses strictly."""
    odd = Notice("odd", "x", {"nan": float("nan"), "inf": [float("inf")], "half": "\ud83d"})
    run_id = await api.said(odd, Finished())
    told = parsed(await api.events(f"/api/runs/{run_id}/events"))
    assert told[0]["data"]["nan"] is None
    assert told[0]["data"]["inf"] == [None]
    json.dumps(told, allow_nan=False)


async def test_a_failure_ends_the_stream_with_its_sentence(api: Api):
    """An error is the event ``failed`` with a sentence; no event is named ``error``."""
    run_id = await api.said(TextDelta("Half"), RuntimeError("sk-secret"))
    events = await api.events(f"/api/runs/{run_id}/events")
    assert [event.event for event in events] == ["text-delta", "failed", "message"]
    assert b"sk-secret" not in events[1].raw
    assert isinstance(event_from_wire(json.loads(events[1].data)), Failed)


async def test_silence_is_filled_with_comments(make_api: MakeApi, monkeypatch: pytest.MonkeyPatch):
    """A comment comes after each while of silence, so that no proxy takes the connection for dead."""
    monkeypatch.setattr("streamchat.runs.reader.HEARTBEAT_SECONDS", 0.05)
    async with make_api() as api:
        run_id = await api.start()
        reading = asyncio.create_task(api.client.get(f"/api/runs/{run_id}/events"))
        await asyncio.sleep(0.4)
        api.provider.say(Finished())
        assert (await reading).content.count(b"\n: ") >= 3


async def test_a_reader_of_a_dead_run_sees_its_ending_wherever_it_was(api: Api, tmp_path: Path):
    """The process that wrote it is gone, and told a little more than it stored: a reader that was behind, level, or
    ahead by one event or many gets what was kept and the one ending, and then is told to stop."""
    async with make_world(tmp_path) as gone:
        begun = await gone.start()
        gone.provider.say(TextDelta("one "), TextDelta("two "))
        async with asyncio.timeout(10):
            while not (kept := await gone.store.answer("local", begun.run_id)).seq:
                await asyncio.sleep(0.01)
        await sweep(api.world.store, -3600, "The server was ended.")
        path = f"/api/runs/{begun.run_id}/events"
        for place in (kept.seq - 1, kept.seq, kept.seq + 1, kept.seq + 50):
            events = await api.events(path, {"Last-Event-ID": str(place)} if place else None)
            assert [event.event for event in events] == ["snapshot", "interrupted", "message"]
            assert json.loads(events[0].data)["message"]["text"] == kept.message.text
            assert (await api.client.get(path, headers={"Last-Event-ID": events[-1].id})).status_code == 204
