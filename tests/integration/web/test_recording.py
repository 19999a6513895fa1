"""An answer as a recording, and a recording as an answer."""

from __future__ import annotations

import pytest

from streamchat.chat.events import Event, Failed, Finished, ReasoningDelta, TextDelta, ToolCallStarted
from streamchat.chat.wire import event_from_wire
from streamchat.simulator import replay
from streamchat.simulator.steps import End, Fault, Reasoning, Text
from tests.integration.web.conftest import Api


async def test_a_recording_has_every_event_and_its_time(api: Api):
    """The events are those of the log; times begin after the run was opened and never go down."""
    said = [ReasoningDelta("Hm. "), TextDelta("Hello "), TextDelta("wörld n=500 rate=0 🚀"), Finished("length")]
    run_id = await api.said(*said)
    answer = await api.client.get(f"/api/runs/{run_id}/recording")
    assert answer.headers["content-disposition"] == f'attachment; filename="recording-{run_id[:8]}.json"'
    recording = answer.json()
    assert (recording["format"], recording["version"], recording["status"]) == ("streamchat-recording", 1, "finished")
    assert [event_from_wire(event) for event in recording["events"]] == said
    times = [event["at_ms"] for event in recording["events"]]
    assert times == sorted(times)
    assert times[0] >= 0


@pytest.mark.parametrize(
    ("ending", "last"), [(Finished("length"), End("length")), (Failed("It broke.", "overloaded"), Fault("cut"))]
)
async def test_the_simulator_reads_what_the_server_wrote(api: Api, ending: Event, last: object):
    """Text, thinking and times come back; what failed is cut at its place; words around it are still words."""
    run_id = await api.said(ReasoningDelta("Hm. "), TextDelta("a n=500 "), TextDelta("b"), ending)
    text = (await api.client.get(f"/api/runs/{run_id}/recording")).text
    rest, recording = replay.find(f'speed=2 <file name="r.json">\n{text}\n</file>')
    assert recording is not None
    tokens = [step for step in recording.steps if isinstance(step, (Text, Reasoning))]
    assert tokens == [Reasoning("Hm. "), Text("a n=500 "), Text("b")]
    assert recording.steps[-1] == last
    assert len(recording.times) == len(tokens)
    assert "n=500" not in rest
    assert rest.startswith("speed=2 ")


async def test_a_tool_call_is_recorded_and_not_played(api: Api):
    """A replay runs no tools."""
    run_id = await api.said(TextDelta("Look. "), ToolCallStarted("c", "calculate"), Failed("It broke.", "overloaded"))
    text = (await api.client.get(f"/api/runs/{run_id}/recording")).text
    assert "tool-call-start" in text
    assert replay.find(text)[1] == replay.Recording((Text("Look. "), Fault("cut")), replay.find(text)[1].times)  # pyrefly: ignore[missing-attribute]


async def test_a_recording_ends_where_it_is_cut(api: Api):
    """``until`` an event; one that never came is refused."""
    run_id = await api.said(TextDelta("One "), TextDelta("two"), Finished())
    cut = (await api.client.get(f"/api/runs/{run_id}/recording?until=1")).json()
    assert [event_from_wire(event) for event in cut["events"]] == [TextDelta("One ")]
    assert cut["status"] == "streaming"
    assert (await api.client.get(f"/api/runs/{run_id}/recording?until=9")).status_code == 422


async def test_what_is_not_there_cannot_be_recorded(api: Api):
    """An unknown run, and one whose events are gone, are a 404 with a sentence."""
    run_id = await api.said(TextDelta("Hello"), Finished())
    api.world.log.forget(run_id)
    for missing in (run_id, "unknown"):
        answer = await api.client.get(f"/api/runs/{missing}/recording")
        assert answer.status_code == 404
        assert answer.json()["error"]["message"]
