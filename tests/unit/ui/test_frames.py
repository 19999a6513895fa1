"""The frames of a live answer: what the page appends is what was said."""

from __future__ import annotations

import json
from zlib import crc32

from hypothesis import given
from hypothesis import strategies as st

from streamchat.chat.events import (
    Event,
    Finished,
    Notice,
    ReasoningDelta,
    TextDelta,
    ToolCallArguments,
    ToolCallReady,
    ToolCallStarted,
    ToolResult,
    UsageReported,
)
from streamchat.chat.fold import Folding, fold
from streamchat.chat.messages import Message, utf16_length
from streamchat.chat.wire import message_to_wire
from streamchat.protocols.page.stream import PageEncoder, view
from streamchat.runs.log import Snapshot
from tests.support.entries import numbered

EMPTY = Message("m", "assistant", status="streaming", model="fake:one")

texts = st.text(st.sampled_from("ab \n👩‍👩‍👧é漢"), min_size=1, max_size=6)
deltas = st.one_of(
    st.builds(TextDelta, texts),
    st.builds(ReasoningDelta, texts, st.sampled_from([None, {"signature": "x"}])),
    st.builds(Notice, st.just("seam"), texts),
    st.builds(UsageReported, st.integers(0, 9)),
)


def page(frames: list[dict]) -> dict:
    """What a browser makes of the frames: the rules of the transcript component, in Python."""
    message = dict(view(EMPTY, 0))
    parts: list[dict] = message["parts"]
    at = None
    for frame in frames:
        if "k" not in frame:
            if (at := frame.get("p", at)) == len(parts):
                parts.append({"type": frame.get("y", "text"), "text": ""})
            assert at is not None
            part = parts[at]
            if "o" in frame:
                assert utf16_length(part["text"]) == frame["o"], "a gap"
                assert part["type"] == frame.get("y", "text")
            part["text"] += frame["t"]
        elif frame["k"] == "part":
            parts[frame["p"] : frame["p"] + 1] = [frame["part"]]
        elif frame["k"] == "end":
            message |= {k: v for k, v in frame.items() if k in ("status", "stop_reason", "error", "usage")}
            assert frame["length"] == utf16_length("".join(p["text"] for p in parts if p["type"] == "text"))
        if "c" in frame:
            assert frame["c"] == crc32("".join(p["text"] for p in parts if p["type"] == "text").encode())
        if "s" in frame:
            assert frame["s"] > message["seq"]
            message["seq"] = frame["s"]
    return message


def frames_of(events: list[Event], cuts: list[int]) -> list[dict]:
    """All frames when the reader looks after each of these numbers of entries."""
    entries, log = numbered(events, begins=EMPTY), Folding(EMPTY)
    answer, frames = PageEncoder(), []
    answer.view(Snapshot(0, EMPTY))
    for start, end in zip([0, *cuts], [*cuts, len(entries)], strict=True):
        for event in events[start:end]:
            log.add(event)
        frames += [json.loads(json.dumps(frame)) for frame in answer.entries(entries[start:end], log)]
    return frames


@given(st.lists(deltas, max_size=30), st.data())
def test_the_page_has_what_was_said_however_often_it_looks(events, data):
    """Joined or one by one, the frames rebuild exactly the folded message."""
    events = [*events, Finished()]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(events)), max_size=8)))
    expected = message_to_wire(fold(EMPTY, events))
    got = page(frames_of(events, cuts))
    assert got["parts"] == [p | ({"text": p["text"]} if "text" in p else {}) for p in expected["parts"]]
    assert (got["status"], got["stop_reason"]) == ("finished", "stop")
    assert got.get("usage") == expected.get("usage")


def test_a_token_costs_the_same_at_the_end_as_at_the_start():
    """The size of a frame does not grow with the answer."""
    answer = PageEncoder()
    answer.view(Snapshot(0, EMPTY))
    sizes = []
    for entry in numbered([TextDelta("word ")] * 5000):
        (frame,) = answer.entries([entry], Folding(EMPTY))
        sizes.append(len(json.dumps({key: frame[key] for key in ("m", "t")})))
        assert set(frame) in ({"m", "t"}, {"m", "t", "s", "p", "o"}, {"m", "t", "s", "p", "o", "c"})
    assert max(sizes) == min(sizes)


def test_the_checksum_comes_from_time_to_time():
    """Every 25th entry or so carries it, with its place, and the end always. Between them is nothing but text."""
    frames = frames_of([*[TextDelta("wörd ")] * 1000, Finished()], list(range(1, 1001)))
    end = frames.pop()
    assert sum("c" in frame for frame in frames) == 40
    assert all("s" in frame for frame in frames if "c" in frame)
    assert sum("o" in frame for frame in frames) == 41
    assert end["c"] == crc32(("wörd " * 1000).encode())


def test_fragments_of_json_are_never_sent():
    """Arguments reach the page once they parsed."""
    events: list[Event] = [
        ToolCallStarted("1", "f"),
        ToolCallArguments("1", '{"a": "se'),
        ToolCallArguments("1", 'cret"}'),
        ToolCallReady("1", {"a": "secret"}),
        ToolResult("1", "done", 3),
        Finished(),
    ]
    frames = frames_of(events, [1, 2, 3, 4, 5])
    changes = [frame["set"]["0"] for frame in frames[1:-1]]
    assert [frame["part"]["state"] for frame in frames[:1]] == ["receiving"]
    assert [change["state"] for change in changes if "state" in change] == ["ready", "done"]
    assert changes[-2]["arguments"] == {"a": "secret"}
    assert '\\"' not in json.dumps(frames)


def test_nothing_opaque_reaches_the_page():
    """Signatures and encrypted reasoning stay on the server."""
    events: list[Event] = [
        ReasoningDelta("hm"),
        ReasoningDelta("", {"signature": "SIGN"}),
        TextDelta("a"),
        Finished("stop", {"id": "SIGN"}),
    ]
    assert "SIGN" not in json.dumps(frames_of(events, []))
    assert "SIGN" not in json.dumps(view(fold(EMPTY, events), 4))
