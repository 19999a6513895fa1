"""A response that is read again from its beginning adds exactly what the answer does not have of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streamchat.chat import events as e
from streamchat.chat.fold import fold
from streamchat.chat.messages import Message, NoticePart, Part, ReasoningPart, TextPart, ToolCallPart
from streamchat.runs.upstream import Checkpoint, Diverged, Replay

RESPONSE: list[e.Event] = [
    e.ReasoningDelta("think "),
    e.ReasoningDelta("hard", {"responses": [1]}),
    e.TextDelta("a 🙂 b"),
    e.SourceAdded("https://a.example", "A"),
    e.TextDelta(" c"),
    e.ToolCallStarted("s", "web_search", by_provider=True),
    e.ToolProgress("s", "searching"),
    e.ToolCallReady("s", {"q": 1}),
    e.ToolResult("s", "done", result=[1]),
    e.Notice("compaction", "The provider summarised the earlier conversation."),
    e.ToolCallStarted("x", "first"),
    e.ToolCallStarted("y", "second"),
    e.ToolCallArguments("x", '{"a"'),
    e.ToolCallArguments("y", '{"b": 2}'),
    e.ToolCallArguments("x", ": 1}"),
    e.ToolCallReady("x", {"a": 1}),
    e.ToolResult("y", "invalid", error="The arguments were lost in transit."),
]
BEGINNINGS: list[tuple[Part, ...]] = [
    (),
    (TextPart("before "),),
    (ReasoningPart("before"),),
    (ReasoningPart("before", {"responses": [0]}),),
    (TextPart("one"), ToolCallPart("w", "old", state="done"), NoticePart("continued", "…")),
]


def split(events: list[e.Event]) -> list[e.Event]:
    """The same response in smaller pieces."""
    smaller: list[e.Event] = []
    for event in events:
        if isinstance(event, e.TextDelta):
            smaller += [e.TextDelta(letter) for letter in event.text]
        elif isinstance(event, e.ToolCallArguments):
            smaller += [e.ToolCallArguments(event.call_id, letter) for letter in event.fragment]
        else:
            smaller.append(event)
    return smaller


@pytest.mark.parametrize("beginning", BEGINNINGS, ids=["empty", "text", "open", "closed", "round"])
@pytest.mark.parametrize("first", [RESPONSE, split(RESPONSE)], ids=["joined", "split"])
@pytest.mark.parametrize("again", [RESPONSE, split(RESPONSE)], ids=["joined", "split"])
def test_every_place_of_a_break(beginning: tuple[Part, ...], first: list[e.Event], again: list[e.Event]):
    """Wherever the first reading broke off, and however the pieces are cut: the answer is that of a whole reading."""
    start = Message("a", "assistant", beginning, status="streaming", usage=e.UsageReported(1, 2))
    checkpoint = Checkpoint.of("resp_1", 0, start)
    assert Checkpoint.from_json(checkpoint.to_json()) == checkpoint
    whole = fold(start, first)
    for cut in range(len(first) + 1):
        answer = fold(start, first[:cut])
        assert checkpoint.start(answer) == start
        replay = Replay(checkpoint.start(answer), answer)
        new = [event for event in map(replay.new, again) if event is not None]
        assert fold(answer, new) == whole
        assert (new == []) is (cut == len(first))


def test_usage_and_the_end_always_pass():
    """They are totals, and the end is never in the log."""
    start = Message("a", "assistant", (), status="streaming")
    replay = Replay(start, fold(start, RESPONSE))
    assert [replay.new(event) for event in (e.UsageReported(1), e.Finished())] == [e.UsageReported(1), e.Finished()]


@pytest.mark.parametrize(
    "other",
    [e.TextDelta("other"), e.ReasoningDelta("other"), e.ToolCallStarted("x", "first"), e.Notice("kind", "text")],
)
def test_another_response_is_refused(other: e.Event):
    """What is not the beginning of the same response adds nothing to the answer."""
    start = Message("a", "assistant", (), status="streaming")
    replay = Replay(start, fold(start, [e.TextDelta("first"), e.SourceAdded("https://a.example")]))
    with pytest.raises(Diverged):
        replay.new(other)


def test_text_that_would_come_too_late_is_refused():
    """A part that has another one behind it does not grow any more."""
    start = Message("a", "assistant", (), status="streaming")
    replay = Replay(start, fold(start, [e.TextDelta("first"), e.SourceAdded("https://a.example")]))
    with pytest.raises(Diverged):
        replay.new(e.TextDelta("first, and more"))


def test_a_checkpoint_of_a_longer_answer_is_refused():
    """An answer that has less than when the response began was not stored with this checkpoint."""
    start = Message("a", "assistant", (TextPart("long text"), TextPart("b")), status="streaming")
    checkpoint = Checkpoint.of("resp_1", 0, start)
    for shorter in ((), (TextPart("long text"),), (TextPart("long text"), TextPart(""))):
        with pytest.raises(Diverged):
            checkpoint.start(replace(start, parts=shorter))


@pytest.mark.parametrize("data", [None, {}, {"response_id": "r", "newer": 1}, {"parts": 3}])
def test_what_cannot_be_read_is_no_checkpoint(data: dict | None):
    """The row may be of another version."""
    assert Checkpoint.from_json(data) is None
