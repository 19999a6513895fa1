"""Entries and messages as protocol buffers, and errors as gRPC statuses.

Knows the messages of ``proto/``, not connections. Rules: as in ``encoding``, an entry is encoded once for all its
readers; statuses follow the one table of ``problems``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, assert_never

from grpc import StatusCode

from streamchat.chat import events as e
from streamchat.chat.messages import Message
from streamchat.chat.wire import message_to_wire
from streamchat.errors import StreamchatError
from streamchat.runs.log import Entry, Snapshot
from streamchat.v1 import runs_pb2 as pb
from streamchat.web.encoding import json_bytes
from streamchat.web.problems import status_of

CODES: Mapping[int, StatusCode] = {
    400: StatusCode.INVALID_ARGUMENT,
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
    """The gRPC status that says this error."""
    return CODES.get(status_of(error), StatusCode.INTERNAL)


def entry_bytes(entry: Entry) -> bytes:
    return entry_pb(entry).SerializeToString()


def snapshot_bytes(snapshot: Snapshot) -> bytes:
    return pb.Entry(seq=snapshot.seq, snapshot=message_pb(snapshot.message)).SerializeToString()


def alive_bytes(seq: int) -> bytes:
    """Nothing new."""
    return pb.Entry(seq=seq).SerializeToString()


def run_pb(conversation_id: str, snapshot: Snapshot) -> pb.Run:
    message = snapshot.message
    return pb.Run(run_id=message.id, conversation_id=conversation_id, seq=snapshot.seq, message=message_pb(message))


def message_pb(message: Message) -> pb.Message:
    wire = message_to_wire(message)
    made = pb.Message(
        id=message.id,
        role=message.role,
        status=message.status.upper(),
        model=message.model,
        text=message.text,
        parts_json=_json(wire["parts"]),
        stop_reason=message.stop_reason or "",
    )
    if (error := message.error) is not None:
        made.error.CopyFrom(_failed(error.message, error.kind, error.retryable, error.retry_after))
    if message.usage is not None:
        made.usage.CopyFrom(_usage(message.usage))
    return made


def entry_pb(entry: Entry) -> pb.Entry:
    seq = entry.seq
    match entry.event:
        case e.TextDelta(text):
            return pb.Entry(seq=seq, text_delta=text)
        case e.ReasoningDelta(text):
            return pb.Entry(seq=seq, reasoning_delta=text)
        case e.SourceAdded(url, title):
            return pb.Entry(seq=seq, source=pb.Source(url=url, title=title))
        case e.UsageReported() as usage:
            return pb.Entry(seq=seq, usage=_usage(usage))
        case e.Notice(kind, text, data):
            told = pb.Notice(kind=kind, text=text, data_json="" if data is None else _json(data))
            return pb.Entry(seq=seq, notice=told)
        case e.Waiting(call_ids):
            return pb.Entry(seq=seq, waiting=pb.Waiting(call_ids=call_ids))
        case e.Finished() | e.Stopped() | e.Failed() | e.Interrupted() as ending:
            return _ending(seq, ending)
        case event:
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
        case e.ToolCallReady(call_id, arguments):
            ready = pb.ToolCallReady(call_id=call_id, arguments_json=_json(arguments))
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
