"""Entries of a log as bytes for readers: Server-Sent Events and JSON frames.

Knows the wire form, not connections. Rules:

* An entry is encoded once, and the same bytes go to every reader that is there: a ``Shelf`` is shared by the readers
  of a run and gone with the last of them.
* What is named ``id`` is always our own number: nothing from outside can become a line of the stream.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar
from weakref import WeakValueDictionary

from pydantic_core import PydanticSerializationError, to_json

from streamchat.chat.events import Event, TextDelta
from streamchat.chat.wire import EVENT_NAMES, event_to_wire, message_to_wire
from streamchat.runs.log import Entry, Snapshot

SHELF_BYTES = 4 * 1024 * 1024
# Lines without a blank one behind them: readers that take every block for an event meet none that is empty.
RETRY = b"retry: 1000\n"
COMMENT = b": still here\n"
DONE = b"data: [DONE]\n\n"
_TEXT = EVENT_NAMES[TextDelta].encode()


def json_bytes(value: Any) -> bytes:
    """Compact JSON in UTF-8. What JSON has no word for (NaN, halves of characters) never breaks it."""
    try:
        return to_json(value, inf_nan_mode="null")
    except (PydanticSerializationError, UnicodeEncodeError):
        return json.dumps(_plain(value), separators=(",", ":")).encode()


def event_json(event: Event) -> bytes:
    """The event as one JSON object, on one line."""
    return json_bytes(event_to_wire(event))


def event_name(event: Event) -> str:
    return EVENT_NAMES[type(event)]


def sse_entry(entry: Entry) -> bytes:
    """One numbered event of the stream."""
    event = entry.event
    name = _TEXT if type(event) is TextDelta else event_name(event).encode()
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (entry.seq, name, event_json(event))


def sse_unnumbered(event: Event) -> bytes:
    """An event that is not of the log: it has no number."""
    return b"event: %b\ndata: %b\n\n" % (event_name(event).encode(), event_json(event))


def snapshot_json(snapshot: Snapshot) -> bytes:
    """The folded message and the number of the last event in it."""
    message = message_to_wire(snapshot.message)
    return json_bytes({"type": "snapshot", "seq": snapshot.seq, "message": message})


def sse_snapshot(snapshot: Snapshot) -> bytes:
    """What stands for all events up to its number."""
    return b"id: %d\nevent: snapshot\ndata: %b\n\n" % (snapshot.seq, snapshot_json(snapshot))


def frame_entry(entry: Entry) -> str:
    """One numbered event as a message of a WebSocket: the same JSON, with its number in it."""
    return f'{{"seq":{entry.seq},{event_json(entry.event)[1:].decode()}'


Piece = TypeVar("Piece", bytes, str)


class Shelf(Generic[Piece]):
    """The encoded entries of one run. Over ``SHELF_BYTES`` it begins anew: memory has a bound, not correctness."""

    def __init__(self, encode: Callable[[Entry], Piece]) -> None:
        self._encode = encode
        self._kept: dict[int, Piece] = {}
        self._size = 0

    def __call__(self, entry: Entry) -> Piece:
        """The entry, encoded by whoever of its readers came first."""
        kept = self._kept.get(entry.seq)
        if kept is None:
            kept = self._encode(entry)
            if self._size > SHELF_BYTES:
                self._kept.clear()
                self._size = 0
            self._kept[entry.seq] = kept
            self._size += len(kept)
        return kept


_shelves: WeakValueDictionary[tuple[str, Any], Shelf[Any]] = WeakValueDictionary()


def shelf(run_id: str, encode: Callable[[Entry], Piece]) -> Shelf[Piece]:
    """The shelf that the readers of this run share. Hold it for as long as you read."""
    found = _shelves.get((run_id, encode))
    if found is None:
        found = _shelves[run_id, encode] = Shelf(encode)
    return found


def _plain(value: Any) -> Any:
    """The same of values that JSON knows."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if value - value == 0 else None
    return value if value is None or isinstance(value, str | int) else str(value)
