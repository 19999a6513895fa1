"""A conversation as one stream: its messages, and the events of its answers, as Server-Sent Events or JSON messages.

Knows the steps of a ``ConversationReader``, not connections. Rules:

* ``message``: a question, or an answer that begins. All other events are those of a run, with its ``run_id`` and its
  own ``seq``.
* ``deleted`` is the last event: the conversation is gone.
* ``id`` (``cursor`` in JSON messages) is the position in the conversation after the event: a reader resumes with it.
* An entry of a run is encoded once for all who follow its conversation; each has only its own cursor put before it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import aclosing
from typing import Any, Generic

from streamchat.chat.wire import event_to_wire, message_to_wire
from streamchat.errors import NotFound
from streamchat.protocols.encoding import (
    COMMENT,
    DONE,
    PING,
    RETRY,
    EncodedEntryCache,
    Piece,
    chunked,
    event_json,
    event_name,
    json_bytes,
    named_entry_cache,
)
from streamchat.runs.conversation_reader import ConversationReader, Step
from streamchat.runs.log import Entry, Snapshot


class SharedEntries(Generic[Piece]):
    """The entries of the runs that one reader follows, encoded once for all of them. ``encode``: a named function."""

    def __init__(self, encode: Callable[[str, Entry], Piece]) -> None:
        self._encode = encode
        self._caches: dict[str, EncodedEntryCache[Piece]] = {}

    def __call__(self, step: Step, entry: Entry) -> Piece:
        """Return the encoded entry of a step."""
        run_id = step.placed.message.id
        cache = self._caches.get(run_id)
        if cache is None:
            cache = self._caches[run_id] = named_entry_cache(run_id, self._encode)
        encoded = cache(entry)
        if entry.last:
            del self._caches[run_id]
        return encoded


def event_of(step: Step) -> dict[str, Any]:
    """Return the event of a step, with its ``type``."""
    placed, event = step.placed, step.event
    if event is None:
        message = placed.message
        fields: dict[str, Any] = {"type": "message", "role": message.role, "parent_id": placed.parent_id}
        if message.role == "assistant":  # its events follow
            return fields | {"run_id": message.id, "model": message.model}
        return fields | {"message": message_to_wire(message)}
    if isinstance(event, Snapshot):
        message = message_to_wire(event.message)
        return {"type": "snapshot", "run_id": placed.message.id, "seq": event.seq, "message": message}
    return {"run_id": placed.message.id, "seq": step.seq} | event_to_wire(event)


def sse_entry(run_id: str, entry: Entry) -> bytes:
    """Return an entry of a run as an event of the stream, but for its ``id``."""
    return b"event: %b\ndata: %b\n\n" % (event_name(entry.event).encode(), _entry_json(run_id, entry))


def message_entry(run_id: str, entry: Entry) -> str:
    """Return an entry of a run as a message of a WebSocket, but for its beginning with the cursor."""
    return f",{_entry_json(run_id, entry)[1:].decode()}"


def _entry_json(run_id: str, entry: Entry) -> bytes:
    return b'{"run_id":%b,"seq":%d,%b' % (json_bytes(run_id), entry.seq, event_json(entry.event)[1:])


def sse(steps: Iterable[Step] | None, shared: SharedEntries[bytes]) -> Iterator[bytes]:
    """Return the steps as Server-Sent Events; a comment for a heartbeat."""
    if steps is None:
        yield COMMENT
        return
    for step in steps:
        if step.entry is not None:
            yield b"id: %b\n%b" % (step.cursor.encode(), shared(step, step.entry))
        else:
            event = event_of(step)
            name = event["type"].encode()
            yield b"id: %b\nevent: %b\ndata: %b\n\n" % (step.cursor.encode(), name, json_bytes(event))


def messages(steps: Iterable[Step] | None, shared: SharedEntries[str]) -> Iterator[str]:
    """Return the steps as messages of a WebSocket."""
    if steps is None:
        yield PING
        return
    for step in steps:
        if step.entry is not None:
            yield f'{{"cursor":"{step.cursor}"{shared(step, step.entry)}'
        else:
            yield json_bytes({"cursor": step.cursor, **event_of(step)}).decode()


async def sse_stream(reader: ConversationReader) -> AsyncGenerator[Iterable[bytes], None]:
    """Yield the chunks of an event stream. It ends with ``deleted`` if the conversation is."""
    shared = SharedEntries(sse_entry)
    yield (RETRY,)
    try:
        async with aclosing(reader.batches()) as batches:
            async for steps in batches:
                yield chunked(sse(steps, shared))
    except NotFound:
        yield (b'event: deleted\ndata: {"type":"deleted"}\n\n', DONE)


async def message_stream(reader: ConversationReader) -> AsyncGenerator[Iterable[str], None]:
    """Yield the messages of a WebSocket. They end with ``deleted`` if the conversation is."""
    shared = SharedEntries(message_entry)
    try:
        async with aclosing(reader.batches()) as batches:
            async for steps in batches:
                yield messages(steps, shared)
    except NotFound:
        yield ('{"type":"deleted"}',)
