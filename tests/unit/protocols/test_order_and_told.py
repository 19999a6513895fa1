"""What stands between the log and a vendor's writer, on event sequences of every kind."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from streamchat.chat import events as e
from streamchat.chat.fold import fold
from streamchat.chat.messages import Message, TextPart, ToolCallPart
from streamchat.protocols import conversation_in
from streamchat.protocols.conversation_in import Result, Transcript
from streamchat.protocols.replay import Replay, parts_after
from streamchat.protocols.serialize_calls import InOrder
from streamchat.runs.log import Snapshot
from tests.support.entries import numbered

EMPTY = Message("m", "assistant", status="streaming")
words = st.text("ab ", min_size=1, max_size=4)


@st.composite
def answers(draw: st.DrawFn) -> list[e.Event]:
    """Text, thinking and calls, their fragments in any order, and one ending."""
    said: list[e.Event] = []
    for number in range(draw(st.integers(0, 4))):
        said.append(e.ToolCallStarted(f"c{number}", "f", by_provider=draw(st.booleans())))
    pool = st.one_of(
        words.map(e.TextDelta),
        words.map(e.ReasoningDelta),
        st.just(e.ReasoningDelta("", {"seal": 1})),
        st.just(e.SourceAdded("https://example.com/")),
        st.just(e.Notice("refusal", "no")),
        st.integers(0, 9).map(lambda n: e.UsageReported(output=n)),
    )
    mixed: list[e.Event] = draw(st.lists(pool, max_size=12))
    for call in (event.call_id for event in said if isinstance(event, e.ToolCallStarted)):
        own: list[e.Event] = [e.ToolCallArguments(call, "{"), e.ToolCallArguments(call, "}")]
        end = draw(st.sampled_from(["ready", "invalid", "open"]))
        if end == "ready":
            own.append(e.ToolCallReady(call, {}))
            if draw(st.booleans()):
                own.append(e.ToolResult(call, "done", "x"))
        elif end == "invalid":
            own.append(e.ToolResult(call, "invalid", error="no"))
        places = sorted(draw(st.lists(st.integers(0, len(mixed)), min_size=len(own), max_size=len(own))))
        for place, event in reversed(list(zip(places, own, strict=True))):
            mixed.insert(place, event)
    return [*said, *mixed, draw(st.sampled_from([e.Finished(), e.Finished("tool-calls"), e.Stopped(), e.Failed("no")]))]


@given(answers())
def test_one_call_at_a_time_and_nothing_is_lost(events: list[e.Event]):
    """Between a call's start and its end only its own events come; every event comes once, in its own order."""
    order = InOrder()
    told = [due for event in events for due in order.add(event)]
    hidden = {event.call_id for event in events if isinstance(event, e.ToolCallStarted) and event.by_provider}
    expected = [event for event in events if getattr(event, "call_id", None) not in hidden]
    assert sorted(map(repr, told)) == sorted(map(repr, expected))
    assert told[-1] == events[-1]
    for call in {getattr(event, "call_id", None) for event in expected}:
        own = [event for event in told if getattr(event, "call_id", None) == call]
        assert own == [event for event in expected if getattr(event, "call_id", None) == call]
    open_call = None
    for event in told:
        call = getattr(event, "call_id", None)
        if isinstance(event, e.ToolCallStarted):
            assert open_call is None or not _ended(events, open_call)
            open_call = call
        elif isinstance(event, e.ToolCallReady | e.ToolResult) and call == open_call:
            open_call = None
        elif open_call is not None and _ended(events, open_call):
            assert call == open_call


def _ended(events: list[e.Event], call: str) -> bool:
    return any(isinstance(x, e.ToolCallReady | e.ToolResult) and x.call_id == call for x in events)


@given(answers(), st.data())
def test_a_snapshot_stands_for_the_events_in_it(events: list[e.Event], data: st.DataObject):
    """Wherever a snapshot comes, at the start or in the middle, what is told folds to what was said."""
    taken, resumed = sorted(data.draw(st.lists(st.integers(0, len(events)), min_size=2, max_size=2)))
    replay = Replay(EMPTY)
    first = replay.entries(numbered(events)[:taken])
    second = replay.snapshot(Snapshot(resumed, fold(EMPTY, events[:resumed])))
    ended = resumed == len(events)
    third = [] if ended else replay.entries(numbered(events)[resumed:])
    everything = [*first, *second, *third]
    assert sum(isinstance(event, e.ENDINGS) for event in everything) == 1
    assert fold(EMPTY, everything) == fold(EMPTY, events)


@given(words, words)
def test_what_an_answer_began_with_is_not_told_again(first: str, more: str):
    """Of a text that goes on, only what was added is the answer of this request."""
    begins = replace(EMPTY, parts=(ToolCallPart("c", "f", state="done"), TextPart(first)))
    whole = fold(begins, [e.TextDelta(more), e.Finished()])
    assert parts_after(begins.parts, whole.parts) == (TextPart(more),)
    assert Replay(begins).snapshot(Snapshot(2, whole))[0] == e.TextDelta(more)


def test_many_results_cost_no_search():
    """Each result finds its call by its id: fifty thousand in one request hold up nobody."""
    transcript, number = Transcript(), 50_000
    transcript.answer([conversation_in.call_part(f"c{n}", "f", {}) for n in range(number)])
    looked_at = 0

    class Id(str):
        def __eq__(self, other: object) -> bool:
            nonlocal looked_at
            looked_at += 1
            return str.__eq__(self, other)

        __hash__ = str.__hash__

    for n in range(number):
        transcript.result(Id(f"c{n}"), Result("r"))
        assert looked_at <= 10 * (n + 1)
    (turn,) = transcript.turns
    assert not transcript.results
    assert {part.state for part in turn.parts if isinstance(part, ToolCallPart)} == {"done"}


def test_a_result_belongs_to_the_latest_call_of_its_id():
    """Servers that count their calls anew in every turn are read as they mean it."""
    transcript = Transcript()
    transcript.answer([conversation_in.call_part("c1", "f", {})])
    transcript.result("c1", Result("one"))
    transcript.answer([TextPart("then"), conversation_in.call_part("c1", "f", {})])
    transcript.result("c1", Result("two"))
    transcript.user([TextPart("and")])
    transcript.answer([TextPart("hm")])
    transcript.result("c1", Result("of no call here"))
    calls = [part for turn in transcript.turns for part in turn.parts if isinstance(part, ToolCallPart)]
    assert [part.result for part in calls] == ["one", "two"]
    assert list(transcript.results) == ["c1"]
