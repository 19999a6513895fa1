"""Our own protocol: a run as Server-Sent Events, as messages of a WebSocket, or whole as JSON at its end.

Knows the wire format, not connections. Rules:

* An entry is encoded once, and the same bytes go to every reader that is there: the readers of a run share an
  ``EncodedEntryCache``, which is gone with the last of them.
* ``id`` is always our own number: nothing from outside can become a line of the stream.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Generic, TypeVar
from weakref import WeakValueDictionary

from pydantic_core import PydanticSerializationError, to_json

from streamchat.chat.events import Event, Failed, TextDelta
from streamchat.chat.json_depth import CUT, MAX_DEPTH
from streamchat.chat.outcome import ending_of
from streamchat.chat.wire import EVENT_NAMES, event_to_wire, message_to_wire
from streamchat.errors import NotFound
from streamchat.runs.log import AnswerView, Entry, Snapshot
from streamchat.runs.reader import Encoder

CACHE_BYTES = 4 * 1024 * 1024
CHUNK_BYTES = 64 * 1024
# Lines without a blank line after them: clients that treat every block as an event get no empty one.
RETRY = b"retry: 1000\n"
COMMENT = b": still here\n"
DONE = b"data: [DONE]\n\n"
PING = '{"type":"ping"}'
_TEXT = EVENT_NAMES[TextDelta].encode()


def json_bytes(value: Any) -> bytes:
    """Return compact JSON in UTF-8. Values that JSON does not have (NaN, lone surrogates) never break it."""
    try:
        return to_json(value, inf_nan_mode="null")
    except (PydanticSerializationError, UnicodeEncodeError):
        return json.dumps(_plain(value), separators=(",", ":")).encode()


def event_json(event: Event) -> bytes:
    """Return the event as one JSON object, on one line."""
    return json_bytes(event_to_wire(event))


def event_name(event: Event) -> str:
    """Return the wire name of the event."""
    return EVENT_NAMES[type(event)]


def sse_entry(entry: Entry) -> bytes:
    """Return one entry as an event of the stream."""
    return sse_numbered(entry.seq, entry.event)


def sse_numbered(seq: int, event: Event) -> bytes:
    """Return one event of the log, with its number."""
    name = _TEXT if type(event) is TextDelta else event_name(event).encode()
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (seq, name, event_json(event))


def sse_unnumbered(event: Event) -> bytes:
    """Return an event that is not in the log and has no number."""
    return b"event: %b\ndata: %b\n\n" % (event_name(event).encode(), event_json(event))


def snapshot_json(snapshot: Snapshot) -> bytes:
    """Return the folded message and the number of the last event in it."""
    message = message_to_wire(snapshot.message)
    return json_bytes({"type": "snapshot", "seq": snapshot.seq, "message": message})


def sse_snapshot(snapshot: Snapshot) -> bytes:
    """Return the event that replaces all events up to its number."""
    return b"id: %d\nevent: snapshot\ndata: %b\n\n" % (snapshot.seq, snapshot_json(snapshot))


def frame_entry(entry: Entry) -> str:
    """Return one entry as a message of a WebSocket."""
    return frame_numbered(entry.seq, entry.event)


def frame_numbered(seq: int, event: Event) -> str:
    """Return one event of the log as a message of a WebSocket: the same JSON, with its number in it."""
    return f'{{"seq":{seq},{event_json(event)[1:].decode()}'


Piece = TypeVar("Piece", bytes, str)


class EncodedEntryCache(Generic[Piece]):
    """The encoded entries of one run. Above ``CACHE_BYTES`` it is cleared: the limit costs time, not correctness.

    A number is not enough to know an entry: a worker that takes over gives those again that no other had received.
    """

    def __init__(self, encode: Callable[[Entry], Piece]) -> None:
        self._encode = encode
        self._encoded: dict[int, tuple[Event, Piece]] = {}
        self._size = 0

    def __call__(self, entry: Entry) -> Piece:
        """Return the entry, encoded for the first of its readers."""
        known = self._encoded.get(entry.seq)
        if known is not None and known[0] is entry.event:
            return known[1]
        data = self._encode(entry)
        if self._size > CACHE_BYTES:
            self._encoded.clear()
            self._size = 0
        self._encoded[entry.seq] = entry.event, data
        self._size += len(data)
        return data


_caches: WeakValueDictionary[tuple[str, Any], EncodedEntryCache[Any]] = WeakValueDictionary()


def entry_cache(run_id: str, encode: Callable[[Entry], Piece]) -> EncodedEntryCache[Piece]:
    """Return the cache of encoded entries that the readers of this run share. Keep a reference while reading."""
    return _cache(run_id, encode, encode)


def named_entry_cache(run_id: str, encode: Callable[[str, Entry], Piece]) -> EncodedEntryCache[Piece]:
    """Return the same of entries that are encoded together with the id of their run."""
    return _cache(run_id, encode, partial(encode, run_id))


def _cache(run_id: str, key: Any, encode: Callable[[Entry], Piece]) -> EncodedEntryCache[Piece]:
    cache = _caches.get((run_id, key))
    if cache is None:
        cache = _caches[run_id, key] = EncodedEntryCache(encode)
    return cache


class SseEncoder(Encoder[bytes]):
    """A run as Server-Sent Events, up to its ending and ``[DONE]``."""

    def __init__(self, run_id: str) -> None:
        self._encode = entry_cache(run_id, sse_entry)

    def open(self) -> Iterable[bytes]:
        """See ``Encoder``."""
        return (RETRY,)

    def heartbeat(self) -> Iterable[bytes]:
        """See ``Encoder``."""
        return (COMMENT,)

    def snapshot(self, snapshot: Snapshot) -> Iterable[bytes]:
        """See ``Encoder``."""
        yield sse_snapshot(snapshot)
        if snapshot.message.ended:
            yield sse_numbered(snapshot.seq, ending_of(snapshot.message))

    def entries(self, entries: Sequence[Entry], answer: AnswerView) -> Iterable[bytes]:
        """See ``Encoder``."""
        if len(entries) == 1:
            return (self._encode(entries[0]),)
        return chunked(map(self._encode, entries))

    def deleted(self, error: NotFound) -> Iterable[bytes]:
        """See ``Encoder``."""
        return (sse_unnumbered(Failed(error.user_message, error.kind, retryable=False)),)

    def close(self) -> Iterable[bytes]:
        """See ``Encoder``."""
        return (DONE,)


def chunked(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the pieces joined to chunks of at least ``CHUNK_BYTES``."""
    chunk: list[bytes] = []
    size = 0
    for piece in pieces:
        chunk.append(piece)
        size += len(piece)
        if size >= CHUNK_BYTES:
            yield b"".join(chunk)
            chunk, size = [], 0
    if chunk:
        yield b"".join(chunk)


class WebSocketEncoder(Encoder[str]):
    """A run as messages of a WebSocket, up to its ending; other messages of the socket are not part of the run."""

    def __init__(self, run_id: str) -> None:
        self._encode = entry_cache(run_id, frame_entry)

    def heartbeat(self) -> Iterable[str]:
        """See ``Encoder``."""
        return (PING,)

    def snapshot(self, snapshot: Snapshot) -> Iterable[str]:
        """See ``Encoder``."""
        yield snapshot_json(snapshot).decode()
        if snapshot.message.ended:
            yield frame_numbered(snapshot.seq, ending_of(snapshot.message))

    def entries(self, entries: Sequence[Entry], answer: AnswerView) -> Iterable[str]:
        """See ``Encoder``."""
        return map(self._encode, entries)


class FinalEncoder(Encoder[bytes]):
    """Nothing until the answer has ended, then what ``body`` returns for it.

    ``filler``: sent in silence, so that no proxy gives up. ``gone``: what is returned for an answer that was deleted
    meanwhile, if its error cannot be a status any more. ``final``: the answer, once it has ended.
    """

    def __init__(
        self,
        body: Callable[[Snapshot], bytes],
        filler: bytes = b"",
        gone: Callable[[NotFound], bytes] | None = None,
    ) -> None:
        self.final: Snapshot | None = None
        self._body = body
        self._filler = filler
        self._gone = gone

    def heartbeat(self) -> Iterable[bytes]:
        """See ``Encoder``."""
        return (self._filler,) if self._filler else ()

    def snapshot(self, snapshot: Snapshot) -> Iterable[bytes]:
        """See ``Encoder``."""
        if snapshot.message.ended:
            self.final = snapshot
        return ()

    def entries(self, entries: Sequence[Entry], answer: AnswerView) -> Iterable[bytes]:
        """See ``Encoder``."""
        if entries[-1].last:
            self.final = Snapshot(entries[-1].seq, answer.message)
        return ()

    def deleted(self, error: NotFound) -> Iterable[bytes]:
        """See ``Encoder``."""
        return super().deleted(error) if self._gone is None else (self._gone(error),)

    def close(self) -> Iterable[bytes]:
        """See ``Encoder``."""
        return (self._body(self.final),) if self.final is not None else ()


def _plain(value: Any, depth: int = 0) -> Any:
    """Return the value with only types that JSON has, cut below ``MAX_DEPTH`` levels."""
    if isinstance(value, Mapping | list | tuple) and depth >= MAX_DEPTH:
        return CUT
    if isinstance(value, Mapping):
        return {str(key): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, float):
        return value if value - value == 0 else None
    return value if value is None or isinstance(value, str | int) else str(value)
