"""A conversation as one stream: its messages, and the events of its answers, as Server-Sent Events or JSON messages.

Knows the steps of a ``ConversationReader``, not connections. Rules:

* ``message``: a question, or an answer that begins. All other events are those of a run, with its ``run_id`` and its
  own ``seq``.
* ``deleted`` is the last event: the conversation is gone.
* ``id`` (``cursor`` in JSON messages) is the position in the conversation after the event: a reader resumes with it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing
from typing import Any

from streamchat.chat.wire import event_to_wire, message_to_wire
from streamchat.errors import NotFound
from streamchat.protocols.encoding import COMMENT, DONE, PING, RETRY, json_bytes
from streamchat.runs.conversation_reader import ConversationReader, Step
from streamchat.runs.log import Snapshot


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


def sse(steps: Iterable[Step] | None) -> Iterator[bytes]:
    """Return the steps as Server-Sent Events; a comment for a heartbeat."""
    if steps is None:
        yield COMMENT
        return
    for step in steps:
        event = event_of(step)
        cursor, name = str(step.cursor).encode(), event["type"].encode()
        yield b"id: %b\nevent: %b\ndata: %b\n\n" % (cursor, name, json_bytes(event))


def messages(steps: Iterable[Step] | None) -> Iterator[str]:
    """Return the steps as messages of a WebSocket."""
    if steps is None:
        yield PING
        return
    for step in steps:
        yield json_bytes({"cursor": str(step.cursor), **event_of(step)}).decode()


async def sse_stream(reader: ConversationReader) -> AsyncGenerator[Iterable[bytes], None]:
    """Yield the chunks of an event stream. It ends with ``deleted`` if the conversation is."""
    yield (RETRY,)
    try:
        async with aclosing(reader.batches()) as batches:
            async for steps in batches:
                yield sse(steps)
    except NotFound:
        yield (b'event: deleted\ndata: {"type":"deleted"}\n\n', DONE)


async def message_stream(reader: ConversationReader) -> AsyncGenerator[Iterable[str], None]:
    """Yield the messages of a WebSocket. They end with ``deleted`` if the conversation is."""
    try:
        async with aclosing(reader.batches()) as batches:
            async for steps in batches:
                yield messages(steps)
    except NotFound:
        yield ('{"type":"deleted"}',)
