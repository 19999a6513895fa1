"""An answer as a response of OpenAI's Responses API: event by event, or whole. Pure.

Rules:

* Items come one after the other (``order``), each closed before the next is opened; events are numbered from 0.
* An answer that did not end well ends with ``response.failed``, one that was cut with ``response.incomplete``; nothing
  but the provider's own end gives ``response.completed``.
* The whole response is what the stream's events add up to: there is one writer for both.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from streamchat.chat import events as e
from streamchat.chat.messages import Message
from streamchat.errors import StreamchatError
from streamchat.web.encoding import COMMENT, json_bytes
from streamchat.web.vendors.faults import STOPPED, error_of, openai_answer
from streamchat.web.vendors.marks import mark
from streamchat.web.vendors.order import InOrder
from streamchat.web.vendors.responses_items import CallItem, Item, MessageItem, ReasoningItem, Said
from streamchat.web.vendors.responses_request import PREFIX
from streamchat.web.vendors.told import missing

_INCOMPLETE = {"length": "max_output_tokens", "content-filter": "content_filter"}
_CODES = {"rate-limited": "rate_limit_exceeded", "quota": "rate_limit_exceeded", "refused": "invalid_prompt",
          "context-too-long": "context_length_exceeded"}  # fmt: skip


class ResponsesWriter:
    """``echo``: the fields that a response repeats of its request. ``after``: the number of the last event that the
    client has already."""

    beat = COMMENT

    def __init__(self, model: str, echo: Mapping[str, Any], after: int = -1) -> None:
        self._model = model
        self._after = after
        self._echo = echo
        self._order = InOrder()
        self._output: list[dict[str, Any]] = []
        self._open: Item | None = None
        self._sources: list[tuple[str, str]] = []
        self._usage: e.UsageReported | None = None
        self._number = 0

    def begin(self, run_id: str, created: int, thoughts: int = 0) -> None:
        self._run_id, self._created, self._thoughts = run_id, created, thoughts

    def open(self) -> bytes:
        response = {"response": self._response("in_progress")}
        return self._told([("response.created", response), ("response.in_progress", response)])

    def add(self, event: e.Event) -> bytes:
        return b"".join(self._told(self._one(due)) for due in self._order.add(event))

    def whole(self, message: Message) -> Mapping[str, Any]:
        last: Said = []
        for event in missing(Message(message.id, "assistant", status="streaming"), message):
            for due in self._order.add(event):
                last = self._one(due)
        return last[-1][1]["response"] if message.ended else self._response("in_progress")

    def fault(self, error: StreamchatError, headers: Mapping[str, str]) -> Response:
        return openai_answer(error, None, headers)

    def _told(self, said: Said) -> bytes:
        return b"".join(map(self._encoded, said))

    def _encoded(self, said: tuple[str, dict[str, Any]]) -> bytes:
        kind, fields = said
        data = {"type": kind, "sequence_number": self._number, **fields}
        self._number += 1
        if data["sequence_number"] <= self._after:
            return b""
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), json_bytes(data))

    def _one(self, event: e.Event) -> Said:
        match event:
            case e.TextDelta(text):
                said, item = self._message()
                return said + item.say(len(self._output), text)
            case e.Notice("refusal", text):
                said, item = self._message()
                return said + item.refuse(len(self._output), text)
            case e.ReasoningDelta(text, opaque):
                return self._think(text, sealed=opaque is not None)
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
        return self._called(event)

    def _called(self, event: e.Event) -> Said:
        match event:
            case e.ToolCallStarted(call_id, name):
                said = self._close()
                return said + self._enter(CallItem(self._item_id("fc"), call_id, name))
            case e.ToolCallArguments(_, fragment) if isinstance(self._open, CallItem) and fragment:
                return self._open.say(len(self._output), fragment)
            case e.ToolCallReady(_, arguments) if isinstance(self._open, CallItem):
                said: Said = []
                if not self._open.pieces:
                    said = self._open.say(len(self._output), json.dumps(arguments, ensure_ascii=False))
                return said + self._close()
            case e.ToolResult() if isinstance(self._open, CallItem):
                return self._close("incomplete")
            case e.Notice():
                return self._close() if isinstance(self._open, ReasoningItem) else []
        return []

    def _message(self) -> tuple[Said, MessageItem]:
        if isinstance(self._open, MessageItem):
            return [], self._open
        said = self._close()
        item = MessageItem(self._item_id("msg"))
        said += self._enter(item)
        for url, title in self._sources:
            said += item.cite(len(self._output), url, title)
        self._sources = []
        return said, item

    def _think(self, text: str, *, sealed: bool) -> Said:
        said: Said = []
        if not isinstance(self._open, ReasoningItem):
            said = self._close()
            said += self._enter(ReasoningItem(self._item_id("rs"), mark(self._run_id, self._thoughts)))
            self._thoughts += 1
        assert isinstance(self._open, ReasoningItem)
        said += self._open.say(len(self._output), text)
        return said + self._close() if sealed else said

    def _enter(self, item: Item) -> Said:
        self._open = item
        return item.open(len(self._output))

    def _item_id(self, prefix: str) -> str:
        return f"{prefix}_{self._run_id}_{len(self._output)}"

    def _close(self, status: str = "completed") -> Said:
        if self._open is None:
            return []
        item, self._open = self._open, None
        said = item.close(len(self._output), status)
        self._output.append(item.done(status))
        return said

    def _end(self, ending: e.Ending) -> Said:
        if isinstance(ending, e.Finished):
            if reason := _INCOMPLETE.get(ending.reason):
                said = self._close("incomplete")
                response = {**self._response("incomplete"), "incomplete_details": {"reason": reason}}
                return [*said, ("response.incomplete", {"response": response})]
            said = self._close()
            return [*said, ("response.completed", {"response": self._response("completed")})]
        said = self._close("incomplete")
        error = error_of(ending)
        told = {"code": _CODES.get(error.kind, "server_error"), "message": error.user_message}
        status = "cancelled" if error.user_message == STOPPED else "failed"
        return [*said, ("response.failed", {"response": {**self._response(status), "error": told}})]

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
            "store": True,
            "usage": _usage(self._usage),
            **self._echo,
        }


def _usage(usage: e.UsageReported | None) -> dict[str, Any] | None:
    if usage is None:
        return None
    return {
        "input_tokens": usage.input or 0,
        "input_tokens_details": {"cached_tokens": usage.cached or 0, "cache_write_tokens": 0},
        "output_tokens": usage.output or 0,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning or 0},
        "total_tokens": (usage.input or 0) + (usage.output or 0),
    }
