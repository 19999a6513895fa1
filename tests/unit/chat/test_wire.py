"""The wire form: exact for storage, without what nobody should see for readers, patient with newer programs."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings

from streamchat.chat import events as e
from streamchat.chat.fold import fold
from streamchat.chat.messages import FilePart, ImagePart, Message, TextPart
from streamchat.chat.wire import (
    EVENT_NAMES,
    event_from_wire,
    event_to_wire,
    message_from_wire,
    message_to_wire,
    part_from_wire,
    part_to_wire,
)
from tests.unit.chat.speaking import EMPTY, RUNS

patient = settings(deadline=None)


@patient
@given(RUNS)
def test_events_round_trip(run: list[e.Event]) -> None:
    """Through JSON and back an event is the same."""
    for event in run:
        assert event_from_wire(json.loads(json.dumps(event_to_wire(event, public=False)))) == event


@patient
@given(RUNS)
def test_messages_round_trip(run: list[e.Event]) -> None:
    """Through JSON and back a message is the same, at its end and before it."""
    for count in (len(run) // 2, len(run)):
        message = fold(EMPTY, run[:count])
        assert message_from_wire(json.loads(json.dumps(message_to_wire(message, public=False)))) == message


@patient
@given(RUNS)
def test_readers_see_nothing_opaque(run: list[e.Event]) -> None:
    """What goes back to the provider, and the raw text of arguments, are never sent to a reader."""
    for event in run:
        assert not {"opaque", "raw"} & set(event_to_wire(event))
    for part in message_to_wire(fold(EMPTY, run))["parts"]:
        assert not {"opaque", "raw"} & set(part)


@patient
@given(RUNS)
def test_a_reader_folds_the_same_text(run: list[e.Event]) -> None:
    """What a reader gets folds to the same text and states."""
    heard = fold(EMPTY, [event_from_wire(event_to_wire(event)) for event in run])
    ours = fold(EMPTY, run)
    assert (heard.text, heard.status, heard.error, heard.usage) == (ours.text, ours.status, ours.error, ours.usage)


def test_every_event_has_a_name() -> None:
    """None is named ``error``: browsers take that for a lost connection."""
    assert set(EVENT_NAMES) == set(e.Event.__args__) | set()  # pyrefly: ignore[missing-attribute]
    assert len(set(EVENT_NAMES.values())) == len(EVENT_NAMES)
    assert "error" not in EVENT_NAMES.values()


def test_shapes() -> None:
    """Short: what is at its default is not sent."""
    assert event_to_wire(e.TextDelta("a")) == {"type": "text-delta", "text": "a"}
    assert event_to_wire(e.Finished()) == {"type": "finished"}
    assert event_to_wire(e.Waiting(("a",))) == {"type": "waiting", "call_ids": ["a"]}
    assert message_to_wire(Message("1", "user", (TextPart("a"),))) == {
        "id": "1",
        "role": "user",
        "status": "finished",
        "model": "",
        "text": "a",
        "parts": [{"type": "text", "text": "a"}],
        "stop_reason": None,
    }


@pytest.mark.parametrize(
    "part", [ImagePart("image/png", "QUJD", "a.png"), FilePart("a.txt", "x"), FilePart("b", "", "y")]
)
def test_attachments_round_trip(part: ImagePart | FilePart) -> None:
    """Also what people attach."""
    assert part_from_wire(json.loads(json.dumps(part_to_wire(part)))) == part


def test_a_newer_program_wrote_it() -> None:
    """Unknown fields are ignored, unknown kinds and missing fields are told."""
    assert event_from_wire({"type": "text-delta", "text": "a", "mood": "good"}) == e.TextDelta("a")
    for data in ({"type": "smell"}, {}, {"type": "text-delta"}):
        with pytest.raises(ValueError, match="."):
            event_from_wire(data)
    with pytest.raises(ValueError, match="unknown part"):
        part_from_wire({"type": "smell"})
