"""Encoders as pure functions: whatever of a run comes as a snapshot and whatever as entries, a client ends with the
same answer; the parts of a stream that are not the answer have their fixed form."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamchat.chat import events as e
from streamchat.chat.fold import Folding, fold
from streamchat.chat.sse import SSEDecoder
from streamchat.chat.wire import event_from_wire, message_from_wire, message_to_wire
from streamchat.errors import NotFound
from streamchat.protocols.ag_ui.stream import AgUiWriter
from streamchat.protocols.ai_sdk.stream import UIMessageWriter
from streamchat.protocols.anthropic.stream import MessagesWriter
from streamchat.protocols.encoding import FinalEncoder, SseEncoder, WebSocketEncoder
from streamchat.protocols.openai_chat.stream import ChatWriter
from streamchat.protocols.openai_responses.stream import ResponsesWriter
from streamchat.protocols.page.stream import PageEncoder
from streamchat.protocols.plain.stream import PlainEncoder, text_form, token_form
from streamchat.protocols.replay import Replay
from streamchat.protocols.vendor_stream import VendorEncoder
from streamchat.runs.log import Entry, Snapshot
from streamchat.runs.reader import Encoder
from tests.support.entries import EMPTY, numbered

texts = st.text("ab \n😀é", min_size=1, max_size=5)
runs = st.tuples(
    st.lists(st.one_of(texts.map(e.TextDelta), texts.map(e.ReasoningDelta)), min_size=1, max_size=12),
    st.sampled_from([e.Finished(), e.Stopped(), e.Failed("no", "provider")]),
).map(lambda run: [*run[0], run[1]])
GONE = NotFound("There is no such answer.")


def stream(encoder: Encoder[Any], run: list[e.Event], first: int | None, cuts: list[int]) -> list[Any]:
    """All pieces: a snapshot of the first so many entries, if any, then the rest in batches cut at these numbers."""
    first = None if first is None else min(first, len(run))
    entries, folding = numbered(run), Folding(EMPTY)
    pieces = list(encoder.open())
    for event in run[: first or 0]:
        folding.add(event)
    if first is not None:
        pieces += encoder.snapshot(Snapshot(first, folding.message))
    places = sorted({first or 0, *(cut for cut in cuts if (first or 0) < cut < len(run)), len(run)})
    for start, end in zip(places, places[1:], strict=False):
        batch: list[Entry] = entries[start:end]
        for entry in batch:
            folding.add(entry.event)
        pieces += encoder.entries(batch, folding)
    return [*pieces, *encoder.close()]


def sse(pieces: Iterable[bytes]) -> list[tuple[str, str, str]]:
    """Name, id and data of each event."""
    decoder = SSEDecoder()
    return [(event.event, event.id, event.data) for event in decoder.feed(b"".join(pieces))]


def rebuilt(frames: list[dict[str, Any]]) -> dict[str, Any]:
    """The message that a client of our own protocol makes of JSON frames."""
    message = EMPTY
    for frame in frames:
        if frame["type"] == "snapshot":
            message = message_from_wire(frame["message"])
        elif not message.ended:
            message = fold(message, event_from_wire(frame))
    return message_to_wire(message)


def fresh() -> str:
    """A run of which nobody has encoded anything: readers of the same run share what is encoded."""
    return str(next(_numbers))


_numbers = count()
cutting = st.lists(st.integers(0, 13), max_size=5)
beginnings = st.none() | st.integers(0, 13)


@given(runs, beginnings, cutting)
def test_server_sent_events(run: list[e.Event], first: int | None, cuts: list[int]):
    """The client has the answer, each number once, and the last event is ``[DONE]``."""
    *events, (name, _, done) = sse(stream(SseEncoder(fresh()), run, first, cuts))
    assert (name, done) == ("message", "[DONE]")
    assert rebuilt([{"type": name, **json.loads(data)} for name, _, data in events]) == message_to_wire(
        fold(EMPTY, run)
    )
    assert [int(number) for _, number, _ in events][-1] == len(run)


@given(runs, beginnings, cutting)
def test_messages_of_a_websocket(run: list[e.Event], first: int | None, cuts: list[int]):
    """The same JSON, with the number in it."""
    frames = [json.loads(text) for text in stream(WebSocketEncoder(fresh()), run, first, cuts)]
    assert rebuilt(frames) == message_to_wire(fold(EMPTY, run))
    assert [frame["seq"] for frame in frames][-1] == len(run)


@given(runs, beginnings, cutting)
def test_the_whole_at_its_end(run: list[e.Event], first: int | None, cuts: list[int]):
    """One document, of the answer as it ended; nothing before."""
    encoder = FinalEncoder(lambda final: f"{final.seq} {final.message.text}".encode(), filler=b" ")
    assert stream(encoder, run, first, cuts) == [f"{len(run)} {fold(EMPTY, run).text}".encode()]
    assert list(encoder.heartbeat()) == [b" "]


@given(runs, beginnings, cutting, st.sampled_from([text_form, token_form]))
def test_the_plain_forms(run: list[e.Event], first: int | None, cuts: list[int], form: Any):
    """The pieces of text are the answer's text; only what went wrong has an event of its own."""
    *events, (_, _, done) = sse(stream(PlainEncoder("r", form), run, first, cuts))
    assert done == "[DONE]"
    pieces = [data for name, _, data in events if name == "message"]
    if form is token_form:
        tokens = [json.loads(data) for data in pieces]
        assert [token["token_num"] for token in tokens] == list(range(1, len(tokens) + 1))
        pieces = [token["content"] for token in tokens]
    assert "".join(pieces) == fold(EMPTY, run).text
    assert [name for name, _, _ in events if name != "message"] == (["failed"] if isinstance(run[-1], e.Failed) else [])


@given(runs, st.integers(0, 13), st.integers(0, 13), st.booleans())
def test_a_snapshot_in_the_middle_repeats_no_text(run: list[e.Event], first: int, behind: int, resumed: bool):
    """A plain reader that falls behind gets the rest; one that reconnected too, once its place is known."""
    entries = numbered(run)
    first = min(first, len(run))
    last = min(first + behind, len(run))
    encoder, folding = PlainEncoder("r", text_form, resumed=resumed), Folding(EMPTY)
    skipped = 0
    if resumed:  # what it read before is not sent again
        skipped = min(1, first)
        folding.add(run[0]) if skipped else None
    before = folding.message.text
    pieces: list[bytes] = []
    for entry in entries[skipped:first]:
        folding.add(entry.event)
        pieces += encoder.entries([entry], folding)
    known = not resumed or any(isinstance(event, e.TextDelta) for event in run[skipped:first])
    for entry in entries[first:last]:
        folding.add(entry.event)
    for _ in range(2):  # the same once more adds nothing
        pieces += encoder.snapshot(Snapshot(last, folding.message))
    for entry in entries[last:]:
        folding.add(entry.event)
        pieces += encoder.entries([entry], folding)
    if known:
        text = "".join(data for name, _, data in sse(pieces) if name == "message")
        assert before + text == folding.message.text
    else:
        assert encoder.done


def test_a_plain_reader_that_has_a_part_gets_no_snapshot():
    """What it has cannot be taken back: it is told where the whole answer is, and its stream ends."""
    encoder = PlainEncoder("r", text_form, resumed=True)
    (end,) = encoder.snapshot(Snapshot(3, fold(EMPTY, e.TextDelta("abc"))))
    assert encoder.done
    ((name, number, data),) = sse([end])
    assert (name, number, json.loads(data)["kind"]) == ("interrupted", "r:3", "not-kept")


def begun(writer: Any) -> Any:
    writer.begin("r", 0)
    return writer


WRITERS: dict[str, Callable[[], Any]] = {
    "chat": lambda: begun(ChatWriter("m")),
    "responses": lambda: begun(ResponsesWriter("m", {})),
    "messages": lambda: begun(MessagesWriter("m")),
    "ai-sdk": lambda: UIMessageWriter("r", {}),
    "ag-ui": lambda: AgUiWriter("t", "r", "m"),
}


def text_in(value: Any) -> str:
    """The pieces of the answer's text in one event of a vendor's stream."""
    match value:
        case {"object": "chat.completion.chunk", "choices": [{"delta": {"content": str(text)}}]}:
            return text
        case {"type": "response.output_text.delta", "delta": str(text)}:
            return text
        case {"type": "content_block_delta", "delta": {"type": "text_delta", "text": str(text)}}:
            return text
        case {"type": "text-delta" | "TEXT_MESSAGE_CONTENT", "delta": str(text)}:
            return text
    return ""


@pytest.mark.parametrize("shape", WRITERS)
@given(run=runs, first=beginnings, cuts=cutting)
def test_vendors(shape: str, run: list[e.Event], first: int | None, cuts: list[int]):
    """The deltas of the stream are the answer's text, and the encoder knows how it ended and that it began."""
    encoder = VendorEncoder(WRITERS[shape](), Replay(EMPTY))
    events = sse(stream(encoder, run, first, cuts))
    values = [json.loads(data) for _, _, data in events if data != "[DONE]"]
    assert "".join(map(text_in, values)) == fold(EMPTY, run).text
    assert type(encoder.ending) is type(run[-1])
    assert encoder.has_content


def test_a_stream_that_ends_where_a_person_is_asked():
    """Only the protocol whose clients answer in their next request."""
    asked = numbered([e.ToolCallStarted("c", "f"), e.ToolCallReady("c", {}), e.Waiting(("c",))])
    for ends in (False, True):
        encoder = VendorEncoder(UIMessageWriter("r", {}), Replay(EMPTY), ends_waiting=ends)
        list(encoder.entries(asked, Folding(EMPTY)))
        assert encoder.done is ends


@pytest.mark.parametrize("shape", WRITERS)
def test_deleted_while_a_vendor_reads(shape: str):
    """Before the headers it is an error status, after them the shape's error in the stream."""
    encoder = VendorEncoder(WRITERS[shape](), Replay(EMPTY))
    list(encoder.open())
    with pytest.raises(NotFound):
        encoder.deleted(GONE)
    encoder.headers_sent = True
    assert GONE.user_message.encode() in b"".join(encoder.deleted(GONE))


def test_a_number_that_is_given_again_is_another_entry():
    """A worker that took over numbers on from what it had received: what is shared is not what had the number."""
    reader, other = SseEncoder("again"), SseEncoder("again")
    for text in ("old", "new"):
        (entry,) = numbered([e.TextDelta(text)])
        answer = Folding(EMPTY)
        pieces = {b"".join(each.entries([entry], answer)) for each in (reader, other)}
        assert [json.loads(data)["text"] for _, _, data in sse([*pieces])] == [text]


@pytest.mark.parametrize("encoder", [SseEncoder("r"), PlainEncoder("r", text_form)])
def test_deleted_while_it_is_read(encoder: Encoder[bytes]):
    """A stream of events says so in one that has no number, and then ends."""
    ((name, number, data),) = sse([*encoder.deleted(GONE)])
    assert (name, number, json.loads(data)["message"]) == ("failed", "", GONE.user_message)
    assert list(encoder.close()) == [b"data: [DONE]\n\n"]


def test_deleted_while_its_end_is_waited_for():
    """The status was sent: the body says what happened, and nothing comes after it."""
    encoder = FinalEncoder(lambda final: b"an answer", gone=lambda error: error.user_message.encode())
    assert [*encoder.deleted(GONE), *encoder.close()] == [GONE.user_message.encode()]


@pytest.mark.parametrize("encoder", [WebSocketEncoder("r"), FinalEncoder(lambda final: b""), PageEncoder()])
def test_a_protocol_without_a_word_for_it_raises(encoder: Encoder[Any]):
    """Then its connection says what happened."""
    with pytest.raises(NotFound):
        encoder.deleted(GONE)


def test_heartbeats_are_no_events():
    """What fills a silence is nothing that a client would take for a piece of the answer."""
    for encoder in (SseEncoder("r"), PlainEncoder("r", text_form)):
        assert sse([*encoder.heartbeat(), b"\n"]) == []
    assert [json.loads(text) for text in WebSocketEncoder("r").heartbeat()] == [{"type": "ping"}]
