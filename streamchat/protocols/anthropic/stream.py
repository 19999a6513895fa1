"""An answer as a message of Anthropic's Messages API: event by event, or whole. Pure.

Rules:

* Blocks come one after the other (``serialize_calls``), each stopped before the next is started.
* Thinking carries a handle instead of the provider's signature (``reasoning_handles``); hidden thinking is redacted.
* A failed answer ends with an ``error`` event and without ``message_stop``.
* The whole message is the sum of the stream's blocks: there is one writer for both.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from streamchat.chat import events as e
from streamchat.chat.messages import Message
from streamchat.errors import StreamchatError
from streamchat.protocols.encoding import json_bytes
from streamchat.protocols.reasoning_handles import handle
from streamchat.protocols.replay import missing
from streamchat.protocols.serialize_calls import InOrder
from streamchat.protocols.vendor_errors import Failure, anthropic_error, anthropic_failure, anthropic_status, error_of

STOP = {"length": "max_tokens", "tool-calls": "tool_use", "refusal": "refusal", "content-filter": "refusal",
        "pause": "pause_turn"}  # fmt: skip
Events = list[dict[str, Any]]
_FILTERED = "The content filter ended this answer."


class MessagesWriter:
    """Implements ``Dialect``. ``input_tokens``: an estimate for ``message_start``; the end has what was counted."""

    heartbeat = b'event: ping\ndata: {"type":"ping"}\n\n'

    def __init__(self, model: str, input_tokens: int = 0) -> None:
        self._model = model
        self._estimate = input_tokens
        self._order = InOrder()
        self._blocks: Events = []
        self._pieces: list[str] = []
        self._open: str | None = None
        self._refusal = ""
        self._usage = e.UsageReported()
        self._stop: dict[str, Any] = {}

    def begin(self, run_id: str, created: int, reasoning_count: int = 0) -> None:
        """See ``Dialect``."""
        self._run_id, self._reasoning_count = run_id, reasoning_count

    def open(self) -> bytes:
        """See ``Writer``."""
        usage = {**self._counts(), "input_tokens": self._estimate}
        start = {"type": "message_start", "message": {**self._message(), "content": [], "usage": usage}}
        return _encode(start) + self.heartbeat

    def add(self, event: e.Event) -> bytes:
        """See ``Writer``."""
        return b"".join(
            _encode(converted) for due_event in self._order.add(event) for converted in self._convert(due_event)
        )

    def whole(self, message: Message) -> Mapping[str, Any]:
        """See ``Dialect``."""
        for event in missing(Message(message.id, "assistant", status="streaming"), message):
            for due in self._order.add(event):
                self._convert(due)
        return {**self._message(), "content": self._blocks, **self._stop}

    def failure(self, error: StreamchatError) -> Failure:
        """See ``Dialect``."""
        return anthropic_failure(error)

    def _convert(self, event: e.Event) -> Events:
        match event:
            case e.TextDelta(text):
                events = [] if self._open == "text" else self._enter({"type": "text", "text": ""})
                return events + self._grow(text, {"type": "text_delta", "text": text})
            case e.ReasoningDelta(text, opaque):
                return self._reasoning(text, is_closed=opaque is not None)
            case e.Notice("refusal", text):
                self._refusal += text
                return self._close()
            case e.SourceAdded() | e.Notice():
                return self._close() if self._open == "thinking" else []
            case e.UsageReported():
                self._usage = event
            case e.ToolCallStarted(call_id, name):
                return self._enter({"type": "tool_use", "id": call_id, "name": name, "input": {}})
            case e.ToolCallArguments(_, fragment) if self._open == "tool_use" and fragment:
                return self._grow(fragment, {"type": "input_json_delta", "partial_json": fragment})
            case e.ToolCallReady(_, arguments) if self._open == "tool_use":
                return self._ready(arguments)
            case e.ToolResult() if self._open == "tool_use":
                return self._close()
            case e.Finished(reason):
                return self._finish(reason)
            case e.Stopped() | e.Failed() | e.Interrupted():
                error = error_of(event)
                return [anthropic_error(error, anthropic_status(error))]
        return []

    def _reasoning(self, text: str, *, is_closed: bool) -> Events:
        events: Events = []
        if self._open != "thinking":
            self._reasoning_count += 1
            if not text:  # only the provider's opaque data: hidden thinking
                block = {"type": "redacted_thinking", "data": handle(self._run_id, self._reasoning_count - 1)}
                return self._enter(block) + self._close() if is_closed else []
            events = self._enter({"type": "thinking", "thinking": "", "signature": ""})
        if text:
            events += self._grow(text, {"type": "thinking_delta", "thinking": text})
        return events + self._close() if is_closed else events

    def _ready(self, arguments: Mapping[str, Any]) -> Events:
        events: Events = []
        if not self._pieces:
            whole = json.dumps(arguments, ensure_ascii=False)
            events = self._grow(whole, {"type": "input_json_delta", "partial_json": whole})
        self._blocks[-1]["input"] = dict(arguments)
        return events + self._close()

    def _enter(self, block: dict[str, Any]) -> Events:
        events = self._close()
        self._blocks.append(dict(block))
        self._open, self._pieces = block["type"], []
        return [*events, {"type": "content_block_start", "index": len(self._blocks) - 1, "content_block": block}]

    def _grow(self, text: str, delta: dict[str, Any]) -> Events:
        self._pieces.append(text)
        return [self._delta(delta)]

    def _delta(self, delta: dict[str, Any]) -> dict[str, Any]:
        return {"type": "content_block_delta", "index": len(self._blocks) - 1, "delta": delta}

    def _close(self) -> Events:
        if self._open is None:
            return []
        kind, self._open = self._open, None
        block, events = self._blocks[-1], []
        if kind == "thinking":
            block["signature"] = handle(self._run_id, self._reasoning_count - 1)
            events = [self._delta({"type": "signature_delta", "signature": block["signature"]})]
        if kind in ("thinking", "text"):
            block[kind] = "".join(self._pieces)
        return [*events, {"type": "content_block_stop", "index": len(self._blocks) - 1}]

    def _finish(self, reason: str) -> Events:
        events = self._close()
        self._stop = {"stop_reason": STOP.get(reason, "end_turn"), "stop_sequence": None, "stop_details": None}
        if self._stop["stop_reason"] == "refusal":
            explanation = self._refusal or _FILTERED
            self._stop["stop_details"] = {"type": "refusal", "category": None, "explanation": explanation}
        delta = {"type": "message_delta", "delta": self._stop, "usage": self._counts()}
        return [*events, delta, {"type": "message_stop"}]

    def _message(self) -> dict[str, Any]:
        head = {"id": f"msg_{self._run_id}", "type": "message", "role": "assistant", "model": self._model}
        return {**head, "stop_reason": None, "stop_sequence": None, "usage": self._counts()}

    def _counts(self) -> dict[str, Any]:
        """Return the token counts. This format counts tokens of the provider's cache beside the input."""
        usage = self._usage
        cached, written = usage.cached or 0, usage.written or 0
        return {
            "input_tokens": max(0, (usage.input or 0) - cached - written),
            "cache_read_input_tokens": cached,
            "cache_creation_input_tokens": written,
            "output_tokens": usage.output or 0,
        }


def _encode(event: Mapping[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (event["type"].encode(), json_bytes(event))
