"""Bytes to numbered events, whatever the connections do."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamchat.chat import events as e
from streamchat.chat.fold import fold
from streamchat.chat.messages import Message
from streamchat.chat.wire import message_to_wire
from streamchat.client.run_state import Entry, Gap, RunState, Snapshot
from tests.support.long import examples
from tests.unit.client.wire import RUN, encode

SAID: list[e.Event] = [
    e.ReasoningDelta("Well…"),
    e.TextDelta("Grüße "),
    e.ToolCallStarted("t1", "clock"),
    e.ToolCallArguments("t1", '{"zone": '),
    e.ToolCallArguments("t1", '"UTC"}'),
    e.ToolCallReady("t1", {"zone": "UTC"}),
    e.ToolProgress("t1"),
    e.ToolResult("t1", "done", "12:00"),
    e.TextDelta("👩‍🚀\u2028 end"),
    e.UsageReported(3, 9),
    e.Finished(),
]
WIRE = [encode(n, event) for n, event in enumerate(SAID, 1)]
WHOLE = b"".join(WIRE) + b"data: [DONE]\n\n"
ALL = [Entry(n, event) for n, event in enumerate(SAID, 1)]


@settings(deadline=None, max_examples=examples(60))
@given(st.lists(st.integers(0, len(WHOLE)), max_size=8))
def test_connections_that_break_anywhere_give_every_event_once(cuts: list[int]) -> None:
    """Cut after any bytes, and opened again behind the last number: the same events as without a cut."""
    reading, heard = RunState(RUN), []
    for cut in [*cuts, len(WHOLE)]:
        rest = b"".join(WIRE[reading.seq :]) + b"data: [DONE]\n\n"
        reading.connect()
        heard += reading.feed(rest[:cut])
    assert heard == ALL
    assert reading.ended
    assert reading.message == fold(Message(RUN, "assistant", status="streaming"), SAID)


@given(st.integers(0, len(SAID) - 1), st.integers(0, len(SAID) - 1))
def test_what_was_read_is_not_read_again(first: int, second: int) -> None:
    """A server that replays more than was asked for changes nothing."""
    reading = RunState(RUN)
    heard = list(reading.feed(b"".join(WIRE[: first + 1])))
    reading.connect()
    heard += reading.feed(b"".join(WIRE[min(first, second) :]))
    assert heard == ALL


def test_a_missing_number_is_not_passed_over() -> None:
    """What came before the gap is told; then ``Gap``, and the number to go on from is that of the last one told."""
    reading, heard = RunState(RUN), []
    words = [encode(n, e.TextDelta("word ")) for n in range(1, 5)]
    with pytest.raises(Gap):
        heard.extend(reading.feed(words[0]))
        for entry in reading.feed(words[1] + words[3]):
            heard.append(entry)
    assert [entry.seq for entry in heard] == [1, 2]
    assert reading.seq == 2


def test_a_snapshot_is_the_message_from_there_on() -> None:
    """It replaces what was known, and what follows it is folded onto it."""
    half = fold(Message(RUN, "assistant", status="streaming"), SAID[:9])
    told = json.dumps({"type": "snapshot", "seq": 9, "message": message_to_wire(half)})
    reading = RunState(RUN, after=4, whole=False)
    first, *rest = reading.feed(f"id: 9\nevent: snapshot\ndata: {told}\n\n".encode() + b"".join(WIRE[9:]))
    assert first.seq == 9
    assert isinstance(first.event, Snapshot)
    assert rest == ALL[9:]
    assert reading.whole
    assert reading.message.text == half.text
    assert reading.message.usage == e.UsageReported(3, 9)


def test_what_a_newer_server_says_counts_and_changes_nothing() -> None:
    """An event of an unknown kind has its number, so that nothing is missing; unknown fields are ignored."""
    reading = RunState(RUN)
    new = b'id: 2\nevent: hologram\ndata: {"x": 1}\n\n'
    more = b'id: 3\nevent: text-delta\ndata: {"type": "text-delta", "text": "b", "mood": 1}\n\n'
    heard = list(reading.feed(encode(1, e.TextDelta("a")) + new + more))
    assert [entry.seq for entry in heard] == [1, 3]
    assert reading.message.text == "ab"


@pytest.mark.parametrize(
    "sent",
    [
        b"event: text-delta\ndata: {}\n\n",
        b"id: x\nevent: text-delta\ndata: {}\n\n",
        b"id: 99999999999999999999\nevent: text-delta\ndata: {}\n\n",
        b"id: 1\nevent: text-delta\ndata: not json\n\n",
        b"id: 1\nevent: text-delta\ndata: []\n\n",
        b'id: 1\nevent: tool-result\ndata: {"call_id": "no", "state": "done"}\n\n',
        b"id: 1\nevent: snapshot\ndata: {}\n\n",
        b"id: 1\nevent: text-delta\ndata: " + b"[" * 100_000 + b"\n\n",
        b"id: 1\nevent: text-delta\ndata: " + b"x" * 17_000_000,
    ],
)
def test_nonsense_is_a_gap(sent: bytes) -> None:
    """What cannot be read ends the connection, never the program; nothing is lost."""
    reading = RunState(RUN)
    with pytest.raises(Gap):
        list(reading.feed(sent))
    assert reading.seq == 0
    reading.connect()
    assert list(reading.feed(WHOLE)) == ALL


def test_a_long_answer_costs_linear_time() -> None:
    """Reading joins nothing per event (60,000 joins of what is there so far would outlast the test by far)."""
    reading = RunState(RUN)
    events = b"".join(encode(n, e.TextDelta("word " * 20)) for n in range(1, 60_001))
    assert sum(1 for _ in reading.feed(events)) == 60_000
    assert len(reading.message.text) == 6_000_000
