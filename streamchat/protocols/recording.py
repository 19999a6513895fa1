"""A recording of an answer: its events with their times, as one JSON document.

Pure. ``simulator/replay.py`` reads the same form. Rules:

* ``at_ms``: milliseconds from the moment in which the run was opened, or from the first event if that is not
  known; they never go down.
* An event is in its public form: nothing opaque is in a recording.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from streamchat.chat.messages import Message
from streamchat.chat.wire import event_to_wire
from streamchat.runs.log import Entry

FORMAT = "streamchat-recording"
VERSION = 1


def recording(message: Message, entries: Sequence[Entry], opened_at: float | None) -> dict[str, Any]:
    """Return the recording. ``opened_at``: Unix seconds; ``None``: not known."""
    start = opened_at if opened_at is not None else entries[0].at if entries else 0.0
    events = [{"at_ms": round(max(0.0, entry.at - start) * 1000, 1), **event_to_wire(entry.event)} for entry in entries]
    # The format comes first: it is how a recording is found in a message.
    return {"format": FORMAT, "version": VERSION, "model": message.model, "status": message.status, "events": events}
