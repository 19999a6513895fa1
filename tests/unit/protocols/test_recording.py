"""Times of a recording."""

from __future__ import annotations

from streamchat.chat.events import TextDelta
from streamchat.chat.messages import Message
from streamchat.protocols.recording import recording
from streamchat.runs.log import MemoryLog, Snapshot


def test_a_copy_of_another_workers_answer_counts_from_its_first_event():
    """Nobody told when it was opened there; when the copy was made is after all events."""
    log = MemoryLog()
    log.restore(Snapshot(0, Message("r", "assistant", status="streaming")))
    for at in (1000.0, 1000.5, 1002.0):
        log.copy("r", TextDelta("a"), at)
    entries = log.entries_after("r", 0)
    assert isinstance(entries, list)
    assert log.opened_at("r") is None
    made = recording(log.snapshot("r").message, entries, log.opened_at("r"))
    assert [event["at_ms"] for event in made["events"]] == [0.0, 500.0, 2000.0]
