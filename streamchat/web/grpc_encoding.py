"""Log entries and messages as protocol buffers, and errors as gRPC status codes.

Knows the messages of ``proto/``, not connections. Rules: an entry is encoded once for all its readers, as in
``protocols.encoding``; status codes follow the HTTP statuses of ``protocols.http_status``.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, assert_never

from grpc import StatusCode

from streamchat.chat import events as e
from streamchat.chat.messages import Message
from streamchat.chat.outcome import ending_of
from streamchat.chat.wire import message_to_wire
from streamchat.errors import NotFound, StreamchatError
from streamchat.protocols.conversation_events import SharedEntries
from streamchat.protocols.encoding import entry_cache, json_bytes
from streamchat.protocols.http_status import status_of
from streamchat.runs.conversation_reader import ConversationReader, Step
from streamchat.runs.log import AnswerView, Entry, Snapshot
from streamchat.runs.reader import Encoder
from streamchat.v1 import runs_pb2 as pb

CODES: Mapping[int, StatusCode] = {
    400: StatusCode.INVALID_ARGUMENT,
    401: StatusCode.UNAUTHENTICATED,
    403: StatusCode.PERMISSION_DENIED,
    404: StatusCode.NOT_FOUND,
    408: StatusCode.DEADLINE_EXCEEDED,
    409: StatusCode.FAILED_PRECONDITION,
    413: StatusCode.INVALID_ARGUMENT,
    415: StatusCode.INVALID_ARGUMENT,
    422: StatusCode.INVALID_ARGUMENT,
    429: StatusCode.RESOURCE_EXHAUSTED,
    502: StatusCode.UNAVAILABLE,
    503: StatusCode.UNAVAILABLE,
}


def code_of(error: StreamchatError) -> StatusCode:
    """Return the gRPC status code for an error; ``INTERNAL`` if its HTTP status has none."""
    return CODES.get(status_of(error), StatusCode.INTERNAL)


class GrpcEncoder(Encoder[bytes]):
    """Encodes a run as ``Entry`` messages, up to its ending. ``after``: number of the last entry the client has."""

    def __init__(self, run_id: str, after: int) -> None:
        self._encode = entry_cache(run_id, entry_bytes)
        self._seq = after

    def heartbeat(self) -> Iterable[bytes]:
        """Return an entry without an event."""
        return (alive_bytes(self._seq),)

    def snapshot(self, snapshot: Snapshot) -> Iterable[bytes]:
        """Return the message so far, and its ending if it has one."""
        self._seq = snapshot.seq
        yield snapshot_bytes(snapshot)
        if snapshot.message.ended:
            yield event_pb(snapshot.seq, ending_of(snapshot.message)).SerializeToString()

    def entries(self, entries: Sequence[Entry], answer: AnswerView) -> Iterable[bytes]:
        """Return one message per entry."""
        self._seq = entries[-1].seq
        return map(self._encode, entries)


def entry_bytes(entry: Entry) -> bytes:
    """Return a log entry as a serialised ``Entry``."""
    return event_pb(entry.seq, entry.event).SerializeToString()


def snapshot_bytes(snapshot: Snapshot) -> bytes:
    """Return the message so far as a serialised ``Entry``."""
    return pb.Entry(seq=snapshot.seq, snapshot=message_pb(snapshot.message)).SerializeToString()


def alive_bytes(seq: int) -> bytes:
    """Return a serialised ``Entry`` without an event, as a sign of life."""
    return pb.Entry(seq=seq).SerializeToString()


async def conversation_stream(reader: ConversationReader) -> AsyncGenerator[Iterable[bytes], None]:
    """Yield serialised ``ConversationEvent``s. They end with ``deleted`` if the conversation is."""
    shared = SharedEntries(_conversation_entry)
    try:
        async with aclosing(reader.batches()) as batches:
            async for steps in batches:
                yield (_ALIVE,) if steps is None else [_step_bytes(step, shared) for step in steps]
    except NotFound:
        yield (pb.ConversationEvent(deleted=True).SerializeToString(),)


_ALIVE = pb.ConversationEvent().SerializeToString()


def _conversation_entry(run_id: str, entry: Entry) -> bytes:
    return pb.ConversationEvent(run_id=run_id, entry=event_pb(entry.seq, entry.event)).SerializeToString()


def _step_bytes(step: Step, shared: SharedEntries[bytes]) -> bytes:
    """Return a step, serialised. Serialised messages can be put together: the second one completes the first."""
    cursor, message = pb.ConversationEvent(cursor=step.cursor), step.placed.message
    if step.entry is not None:
        return cursor.SerializeToString() + shared(step, step.entry)
    cursor.run_id = message.id if message.role == "assistant" else ""
    if step.event is None:
        cursor.message.message.CopyFrom(message_pb(message))
        if step.placed.parent_id is not None:
            cursor.message.parent_id = step.placed.parent_id
    elif isinstance(step.event, Snapshot):
        cursor.entry.CopyFrom(pb.Entry(seq=step.event.seq, snapshot=message_pb(step.event.message)))
    else:
        cursor.entry.CopyFrom(event_pb(step.seq, step.event))
    return cursor.SerializeToString()


def run_pb(conversation_id: str, snapshot: Snapshot) -> pb.Run:
    """Return a run with its message as of ``snapshot.seq``."""
    message = snapshot.message
    return pb.Run(run_id=message.id, conversation_id=conversation_id, seq=snapshot.seq, message=message_pb(message))


def message_pb(message: Message) -> pb.Message:
    """Return a message; its parts are JSON in the wire form."""
    wire = message_to_wire(message)
    encoded = pb.Message(
        id=message.id,
        role=message.role,
        status=message.status.upper(),
        model=message.model,
        text=message.text,
        parts_json=_json(wire["parts"]),
        stop_reason=message.stop_reason or "",
    )
    if (error := message.error) is not None:
        encoded.error.CopyFrom(_failed(error.message, error.kind, error.retryable, error.retry_after))
    if message.usage is not None:
        encoded.usage.CopyFrom(_usage(message.usage))
    return encoded


def event_pb(seq: int, event: e.Event) -> pb.Entry:
    """Return a log event with its number."""
    match event:
        case e.TextDelta(text):
            return pb.Entry(seq=seq, text_delta=text)
        case e.ReasoningDelta(text):
            return pb.Entry(seq=seq, reasoning_delta=text)
        case e.SourceAdded(url, title):
            return pb.Entry(seq=seq, source=pb.Source(url=url, title=title))
        case e.UsageReported() as usage:
            return pb.Entry(seq=seq, usage=_usage(usage))
        case e.Notice(kind, text, data):
            notice = pb.Notice(kind=kind, text=text, data_json="" if data is None else _json(data))
            return pb.Entry(seq=seq, notice=notice)
        case e.Waiting(call_ids):
            return pb.Entry(seq=seq, waiting=pb.Waiting(call_ids=call_ids))
        case e.Finished() | e.Stopped() | e.Failed() | e.Interrupted() as ending:
            return _ending(seq, ending)
        case _:
            return _tool(seq, event)


def _tool(
    seq: int, event: e.ToolCallStarted | e.ToolCallArguments | e.ToolCallReady | e.ToolProgress | e.ToolResult
) -> pb.Entry:
    match event:
        case e.ToolCallStarted(call_id, name, by_provider):
            start = pb.ToolCallStart(call_id=call_id, name=name, by_provider=by_provider)
            return pb.Entry(seq=seq, tool_call_start=start)
        case e.ToolCallArguments(call_id, fragment):
            return pb.Entry(seq=seq, tool_call_arguments=pb.ToolCallArguments(call_id=call_id, fragment=fragment))
        case e.ToolCallReady(call_id, arguments, _, schema):
            shown = "" if schema is None else _json(schema)
            ready = pb.ToolCallReady(call_id=call_id, arguments_json=_json(arguments), schema_json=shown)
            return pb.Entry(seq=seq, tool_call_ready=ready)
        case e.ToolProgress(call_id, text):
            return pb.Entry(seq=seq, tool_progress=pb.ToolProgress(call_id=call_id, text=text))
        case e.ToolResult(call_id, state, result, error, _, duration):
            ended = pb.ToolResult(call_id=call_id, state=state, error=error or "", duration_ms=duration)
            ended.result_json = _json(result)
            return pb.Entry(seq=seq, tool_result=ended)
        case _:
            assert_never(event)


def _ending(seq: int, event: e.Ending) -> pb.Entry:
    match event:
        case e.Finished(reason):
            return pb.Entry(seq=seq, finished=pb.Finished(reason=reason))
        case e.Stopped(after_ms, kept):
            return pb.Entry(seq=seq, stopped=pb.Stopped(after_ms=after_ms, kept=kept))
        case e.Failed(message, kind, retryable, after):
            return pb.Entry(seq=seq, failed=_failed(message, kind, retryable, after))
        case e.Interrupted(message, kind):
            return pb.Entry(seq=seq, interrupted=pb.Interrupted(message=message, kind=kind))
        case _:
            assert_never(event)


def _failed(message: str, kind: str, retryable: bool, after: float | None) -> pb.Failed:
    return pb.Failed(message=message, kind=kind, retryable=retryable, retry_after=after)


def _usage(usage: e.UsageReported) -> pb.Usage:
    return pb.Usage(input=usage.input, output=usage.output, cached=usage.cached, reasoning=usage.reasoning)


def _json(value: Any) -> str:
    return json_bytes(value).decode()
