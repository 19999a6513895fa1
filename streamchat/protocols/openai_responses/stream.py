"""An answer as a response of OpenAI's Responses API: event by event, or whole. Pure.

Rules:

* Items come one after the other (``serialize_calls``), each closed before the next; events are numbered from 0.
* A failed answer ends with ``response.failed``, one that was cut off with ``response.incomplete``; only
  the provider's own end gives ``response.completed``.
* The whole response is the sum of the stream's events: there is one writer for both.
* A client that goes on after an event gets what the log has. If it has only a snapshot, nothing says how much of a text
  the client has: then it gets each item once it is done, whole, and the ending.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from streamchat.chat import events as e
from streamchat.chat.messages import Message
from streamchat.errors import ErrorKind, StreamchatError
from streamchat.protocols.encoding import COMMENT, json_bytes
from streamchat.protocols.openai_responses.items import CallItem, Events, Item, MessageItem, ReasoningItem
from streamchat.protocols.openai_responses.request import PREFIX
from streamchat.protocols.reasoning_handles import handle
from streamchat.protocols.replay import missing
from streamchat.protocols.serialize_calls import InOrder
from streamchat.protocols.vendor_errors import Failure, error_of, openai_failure

_INCOMPLETE = {"length": "max_output_tokens", "content-filter": "content_filter"}
_CODES: Mapping[ErrorKind, str] = {
    "rate-limited": "rate_limit_exceeded",
    "quota": "rate_limit_exceeded",
    "refused": "invalid_prompt",
    "context-too-long": "context_length_exceeded",
}


class ResponsesWriter:
    """Implements ``Dialect``. ``echo``: the fields that a response repeats of its request. ``after``: the number of the
    last event that the client has already.
    """

    heartbeat = COMMENT

    def __init__(self, model: str, echo: Mapping[str, Any], after: int = -1) -> None:
        self._model = model
        self._after = after
        self._skips = False
        self._echo = echo
        self._order = InOrder()
        self._output: list[dict[str, Any]] = []
        self._open: Item | None = None
        self._sources: list[tuple[str, str]] = []
        self._usage: e.UsageReported | None = None
        self._number = 0

    def begin(self, run_id: str, created: int, reasoning_count: int = 0) -> None:
        """See ``Dialect``."""
        self._run_id, self._created, self._reasoning_count = run_id, created, reasoning_count

    def open(self) -> bytes:
        """See ``Writer``."""
        response = {"response": self._response("in_progress")}
        return self._encode_all([("response.created", response), ("response.in_progress", response)])

    def add(self, event: e.Event) -> bytes:
        """See ``Writer``."""
        return b"".join(self._encode_all(self._convert(due_event)) for due_event in self._order.add(event))

    def resync(self, is_snapshot: bool) -> None:
        """Note whether the events that follow are made from a snapshot, and not those that clients have counted."""
        self._skips = is_snapshot and self._after >= self._number
        if self._skips:
            self._number = self._after + 1

    def whole(self, message: Message) -> Mapping[str, Any]:
        """See ``Dialect``."""
        last: Events = []
        for event in missing(Message(message.id, "assistant", status="streaming"), message):
            for due_event in self._order.add(event):
                last = self._convert(due_event)
        return last[-1][1]["response"] if message.ended else self._response("in_progress")

    def failure(self, error: StreamchatError) -> Failure:
        """See ``Dialect``."""
        return openai_failure(error)

    def _encode_all(self, events: Events) -> bytes:
        return b"".join(map(self._encode, events))

    def _encode(self, event: tuple[str, dict[str, Any]]) -> bytes:
        kind, fields = event
        if self._skips and kind.endswith((".added", ".delta")):
            return b""
        data: dict[str, Any] = {"type": kind, "sequence_number": self._number, **fields}
        self._number += 1
        if data["sequence_number"] <= self._after:
            return b""
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), json_bytes(data))

    def _convert(self, event: e.Event) -> Events:
        match event:
            case e.TextDelta(text):
                events, item = self._message()
                return events + item.add(len(self._output), text)
            case e.Notice("refusal", text):
                events, item = self._message()
                return events + item.refuse(len(self._output), text)
            case e.ReasoningDelta(text, opaque):
                return self._reasoning(text, is_closed=opaque is not None)
            case e.SourceAdded(url, title):
                if isinstance(self._open, MessageItem):
                    return self._open.cite(len(self._output), url, title)
                self._sources.append((url, title))
                return self._close()
            case e.UsageReported():
                self._usage = event
                return []
            case e.Finished() | e.Stopped() | e.Failed() | e.Interrupted():
                return self._end(event)
        return self._convert_call(event)

    def _convert_call(self, event: e.Event) -> Events:
        match event:
            case e.ToolCallStarted(call_id, name):
                events = self._close()
                return events + self._enter(CallItem(self._item_id("fc"), call_id, name))
            case e.ToolCallArguments(_, fragment) if isinstance(self._open, CallItem) and fragment:
                return self._open.add(len(self._output), fragment)
            case e.ToolCallReady(_, arguments) if isinstance(self._open, CallItem):
                events: Events = []
                if not self._open.pieces:
                    events = self._open.add(len(self._output), json.dumps(arguments, ensure_ascii=False))
                return events + self._close()
            case e.ToolResult() if isinstance(self._open, CallItem):
                return self._close("incomplete")
            case e.Notice():
                return self._close() if isinstance(self._open, ReasoningItem) else []
        return []

    def _message(self) -> tuple[Events, MessageItem]:
        if isinstance(self._open, MessageItem):
            return [], self._open
        events = self._close()
        item = MessageItem(self._item_id("msg"))
        events += self._enter(item)
        for url, title in self._sources:
            events += item.cite(len(self._output), url, title)
        self._sources = []
        return events, item

    def _reasoning(self, text: str, *, is_closed: bool) -> Events:
        events: Events = []
        if not isinstance(self._open, ReasoningItem):
            events = self._close()
            events += self._enter(ReasoningItem(self._item_id("rs"), handle(self._run_id, self._reasoning_count)))
            self._reasoning_count += 1
        assert isinstance(self._open, ReasoningItem)
        events += self._open.add(len(self._output), text)
        return events + self._close() if is_closed else events

    def _enter(self, item: Item) -> Events:
        self._open = item
        return item.open(len(self._output))

    def _item_id(self, prefix: str) -> str:
        return f"{prefix}_{self._run_id}_{len(self._output)}"

    def _close(self, status: str = "completed") -> Events:
        if self._open is None:
            return []
        item, self._open = self._open, None
        events = item.close(len(self._output), status)
        self._output.append(item.done(status))
        return events

    def _end(self, ending: e.Ending) -> Events:
        if isinstance(ending, e.Finished):
            if reason := _INCOMPLETE.get(ending.reason):
                events = self._close("incomplete")
                response = {**self._response("incomplete"), "incomplete_details": {"reason": reason}}
                return [*events, ("response.incomplete", {"response": response})]
            events = self._close()
            return [*events, ("response.completed", {"response": self._response("completed")})]
        events = self._close("incomplete")
        error = error_of(ending)
        error_body = {"code": _CODES.get(error.kind, "server_error"), "message": error.user_message}
        status = "cancelled" if error.kind == "stopped" else "failed"
        return [*events, ("response.failed", {"response": {**self._response(status), "error": error_body}})]

    def _response(self, status: str) -> dict[str, Any]:
        return {
            "id": PREFIX + self._run_id,
            "object": "response",
            "created_at": self._created,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": None,
            "model": self._model,
            "output": list(self._output),
            "usage": _usage(self._usage),
            **self._echo,
        }


def _usage(usage: e.UsageReported | None) -> dict[str, Any] | None:
    if usage is None:
        return None
    return {
        "input_tokens": usage.input or 0,
        "input_tokens_details": {"cached_tokens": usage.cached or 0, "cache_write_tokens": usage.written or 0},
        "output_tokens": usage.output or 0,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning or 0},
        "total_tokens": (usage.input or 0) + (usage.output or 0),
    }
