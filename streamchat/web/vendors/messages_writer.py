"""An answer as a message of Anthropic's Messages API: event by event, or whole. Pure.

Rules:

* Blocks come one after the other (``order``), each stopped before the next is started.
* Thinking carries a mark in place of the provider's signature (``marks``); a thought that is hidden is redacted.
* An answer that did not end well ends with an ``error`` event and without ``message_stop``.
* The whole message is what the stream's blocks add up to: there is one writer for both.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from streamchat.chat import events as e
from streamchat.chat.messages import Message
from streamchat.errors import StreamchatError
from streamchat.web.encoding import json_bytes
from streamchat.web.vendors.faults import anthropic_answer, anthropic_error, anthropic_status, error_of
from streamchat.web.vendors.marks import mark
from streamchat.web.vendors.order import InOrder
from streamchat.web.vendors.told import missing

STOP = {"length": "max_tokens", "tool-calls": "tool_use", "refusal": "refusal", "content-filter": "refusal",
        "pause": "pause_turn"}  # fmt: skip
Said = list[dict[str, Any]]
_FILTERED = "The content filter ended this answer."


class MessagesWriter:
    beat = b'event: ping\ndata: {"type":"ping"}\n\n'

    def __init__(self, model: str) -> None:
        self._model = model
        self._order = InOrder()
        self._blocks: Said = []
        self._pieces: list[str] = []
        self._open: str | None = None
        self._refusal = ""
        self._usage = e.UsageReported()
        self._stop: dict[str, Any] = {}

    def begin(self, run_id: str, created: int, thoughts: int = 0) -> None:
        self._run_id, self._thoughts = run_id, thoughts

    def open(self) -> bytes:
        start = {"type": "message_start", "message": {**self._message(), "content": []}}
        return _encoded(start) + self.beat

    def add(self, event: e.Event) -> bytes:
        return b"".join(_encoded(said) for due in self._order.add(event) for said in self._one(due))

    def whole(self, message: Message) -> Mapping[str, Any]:
        for event in missing(Message(message.id, "assistant", status="streaming"), message):
            for due in self._order.add(event):
                self._one(due)
        return {**self._message(), "content": self._blocks, **self._stop}

    def fault(self, error: StreamchatError, headers: Mapping[str, str]) -> Response:
        return anthropic_answer(error, None, headers)

    def _one(self, event: e.Event) -> Said:
        match event:
            case e.TextDelta(text):
                said = [] if self._open == "text" else self._enter({"type": "text", "text": ""})
                return said + self._grow(text, {"type": "text_delta", "text": text})
            case e.ReasoningDelta(text, opaque):
                return self._think(text, sealed=opaque is not None)
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

    def _think(self, text: str, *, sealed: bool) -> Said:
        said: Said = []
        if self._open != "thinking":
            self._thoughts += 1
            if not text:  # nothing but the provider's seal: a thought that it does not show
                block = {"type": "redacted_thinking", "data": mark(self._run_id, self._thoughts - 1)}
                return self._enter(block) + self._close() if sealed else []
            said = self._enter({"type": "thinking", "thinking": "", "signature": ""})
        if text:
            said += self._grow(text, {"type": "thinking_delta", "thinking": text})
        return said + self._close() if sealed else said

    def _ready(self, arguments: Mapping[str, Any]) -> Said:
        said: Said = []
        if not self._pieces:
            whole = json.dumps(arguments, ensure_ascii=False)
            said = self._grow(whole, {"type": "input_json_delta", "partial_json": whole})
        self._blocks[-1]["input"] = dict(arguments)
        return said + self._close()

    def _enter(self, block: dict[str, Any]) -> Said:
        said = self._close()
        self._blocks.append(dict(block))
        self._open, self._pieces = block["type"], []
        return [*said, {"type": "content_block_start", "index": len(self._blocks) - 1, "content_block": block}]

    def _grow(self, text: str, delta: dict[str, Any]) -> Said:
        self._pieces.append(text)
        return [self._delta(delta)]

    def _delta(self, delta: dict[str, Any]) -> dict[str, Any]:
        return {"type": "content_block_delta", "index": len(self._blocks) - 1, "delta": delta}

    def _close(self) -> Said:
        if self._open is None:
            return []
        kind, self._open = self._open, None
        block, said = self._blocks[-1], []
        if kind == "thinking":
            block["signature"] = mark(self._run_id, self._thoughts - 1)
            said = [self._delta({"type": "signature_delta", "signature": block["signature"]})]
        if kind in ("thinking", "text"):
            block[kind] = "".join(self._pieces)
        return [*said, {"type": "content_block_stop", "index": len(self._blocks) - 1}]

    def _finish(self, reason: str) -> Said:
        said = self._close()
        self._stop = {"stop_reason": STOP.get(reason, "end_turn"), "stop_sequence": None, "stop_details": None}
        if self._stop["stop_reason"] == "refusal":
            explanation = self._refusal or _FILTERED
            self._stop["stop_details"] = {"type": "refusal", "category": None, "explanation": explanation}
        delta = {"type": "message_delta", "delta": self._stop, "usage": self._counts()}
        return [*said, delta, {"type": "message_stop"}]

    def _message(self) -> dict[str, Any]:
        head = {"id": f"msg_{self._run_id}", "type": "message", "role": "assistant", "model": self._model}
        return {**head, "stop_reason": None, "stop_sequence": None, "usage": self._counts()}

    def _counts(self) -> dict[str, Any]:
        """What is read from the provider's cache is counted apart in this shape."""
        usage = self._usage
        cached = usage.cached or 0
        return {
            "input_tokens": max(0, (usage.input or 0) - cached),
            "cache_read_input_tokens": cached,
            "cache_creation_input_tokens": 0,
            "output_tokens": usage.output or 0,
        }


def _encoded(said: Mapping[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (said["type"].encode(), json_bytes(said))
