"""Events of Anthropic's Messages API to ours. No I/O.

Rules:

* ``stop_reason`` completes the answer, with or without a ``message_stop`` behind it.
* A second ``message_start`` is the same one again (nothing), a further message after a complete one
  (goes on), or a splice in the middle of an answer: that breaks it off, two answers are never joined.
* Blocks are told apart by index; what a block holds that must go back is kept verbatim in ``opaque``.
* Unknown events, deltas and blocks are no error; an unknown block is kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from streamchat.chat import events as e
from streamchat.errors import StreamBroken
from streamchat.providers.anthropic_blocks import describe, error_of, read_usage, readable
from streamchat.providers.payload import decode_object
from streamchat.providers.speech import LIMITS, Call, Limits, Speaker

LINGER, LINGER_AFTER_STOP = 2.0, 0.3
_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool-calls",
    "pause_turn": "pause",
    "refusal": "refusal",
}


@dataclass(slots=True)
class _Block:
    kind: str
    start: dict[str, Any]
    call: Call | None = None
    signature: list[str] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)


class AnthropicNormaliser:
    """One message. ``known``: calls that the run already has. ``trimmed``: white space that was cut from the
    end of a partial answer before it was sent, so that the model's repeating it is not a second one."""

    def __init__(
        self, known: Mapping[str, e.Opaque | None] | None = None, *, trimmed: str = "", limits: Limits = LIMITS
    ) -> None:
        self.speaker = Speaker(known, limits)
        self.error: Any = None
        self._trimmed = trimmed
        self._id: str | None = None
        self._blocks: dict[Any, _Block] = {}
        self._last: _Block | None = None
        self._server_calls: dict[str, Call] = {}
        self._reason: str | None = None
        self._stopped = False
        self._usage: dict[str, Any] = {}
        self._opaque: dict[str, Any] = {}

    @property
    def patience(self) -> float | None:
        if self._stopped:
            return LINGER_AFTER_STOP
        return LINGER if self._reason is not None else None

    def done(self) -> None:
        """Not this API's marker; some proxies add it."""

    def feed(self, name: str, data: dict[str, Any]) -> None:
        kind = data.get("type") or name
        if kind == "content_block_delta":
            self._delta(data.get("index"), data["delta"])
        elif kind == "content_block_start":
            self._start(data.get("index"), data["content_block"])
        elif kind == "content_block_stop":
            self._stop(data.get("index"))
        elif kind == "message_start":
            self._message_start(data.get("message") or {})
        elif kind == "message_delta":
            self._message_delta(data.get("delta") or {}, data.get("usage"))
        elif kind == "message_stop":
            self._stopped = self._reason is not None

    def whole(self, data: dict[str, Any]) -> None:
        if data.get("type") != "message" and not isinstance(data.get("content"), list):
            raise ValueError("not a message")
        self._message_start(data)
        self._message_delta(data, data.get("usage"))

    def finish(self) -> None:
        if self._reason is None:
            self.flush()
            raise StreamBroken("The answer was cut off before its end.", kind="cut", retryable=True)
        reason = _REASONS.get(self._reason, self._reason)
        open_calls = any(not call.by_provider and not call.answered for call in self.speaker.calls)
        if reason == "tool-calls" and not open_calls:
            reason = "stop"
        elif reason == "stop" and open_calls and self._last and self._last.kind == "tool_use":
            reason = "tool-calls"
        self.speaker.finish(reason, read_usage(self._usage), {"anthropic": self._opaque} if self._opaque else None)

    def flush(self) -> None:
        self.speaker.release()
        if (usage := read_usage(self._usage)) is not None:
            self.speaker.say(usage)

    def _message_start(self, message: dict[str, Any]) -> None:
        identity, first = str(message.get("id") or ""), self._id is None
        if not first and not self._reason and (self.speaker.spoke or self._blocks or identity != self._id):
            text = "The provider began another answer in the middle of this one."
            raise StreamBroken(text, kind="spliced", retryable=True)
        if not first:
            self.speaker.settle("next")
            self._blocks, self._reason, self._stopped = {}, None, False
        self._id = identity
        self._count(message.get("usage"))
        for index, block in enumerate((message.get("content") if first else None) or ()):
            self._start(index, block)
            self._stop(index)
        if reason := message.get("stop_reason"):
            self._reason = str(reason)

    def _message_delta(self, delta: dict[str, Any], usage: dict[str, Any] | None) -> None:
        self._count(usage)
        if container := delta.get("container"):
            self._opaque["container"] = container
        if details := delta.get("stop_details"):
            self._opaque["stop_details"] = details
            if explanation := details.get("explanation"):
                self.speaker.say(e.Notice("refusal", str(explanation)))
        if reason := delta.get("stop_reason"):
            self._reason = str(reason)

    def _start(self, index: Any, start: dict[str, Any]) -> None:
        kind = str(start.get("type"))
        block = self._blocks[index] = self._last = _Block(kind, start)
        if kind == "text":
            self._text(start.get("text") or "")
            for citation in start.get("citations") or ():
                self._cite(citation)
        elif kind == "thinking":
            self.speaker.reasoning(start.get("thinking") or "")
            block.signature.append(start.get("signature") or "")
        elif kind == "redacted_thinking":
            self.speaker.close_reasoning({"anthropic": start})
        elif kind.endswith("tool_use"):
            self._start_call(block)
        elif kind.endswith("_tool_result"):
            self._result(index, start)

    def _delta(self, index: Any, delta: dict[str, Any]) -> None:
        kind = delta.get("type")
        if kind == "text_delta":
            self._text(delta.get("text") or "")
        elif kind == "thinking_delta":
            self.speaker.reasoning(delta.get("thinking") or "")
        elif kind == "input_json_delta":
            block = self._blocks.get(index)
            if block is not None and block.call is not None:
                self.speaker.arguments(block.call, delta.get("partial_json") or "")
        elif kind == "citations_delta":
            self._cite(delta.get("citation") or {})
        elif (block := self._blocks.get(index)) is not None:
            if kind == "signature_delta":
                block.signature.append(delta.get("signature") or "")
            else:
                block.extra.update((key, value) for key, value in delta.items() if key != "type")

    def _stop(self, index: Any) -> None:
        block = self._blocks.get(index)
        if block is None:
            return
        if block.kind == "thinking":
            # The text is the part's own; with the signature it is the block again.
            self.speaker.close_reasoning({"anthropic": {"type": "thinking", "signature": "".join(block.signature)}})
        elif block.call is not None and block.call.by_provider:
            arguments = decode_object(block.call.raw)
            call = {**block.start, "input": arguments or {}}
            block.call.opaque = {"anthropic": {"call": call, "of": self._id, "at": index}}
            if arguments is not None:
                self.speaker.ready(block.call, arguments)
        elif block.kind not in ("text", "tool_use", "redacted_thinking") and not block.kind.endswith("_tool_result"):
            self._keep({**block.start, **block.extra})

    def _text(self, text: str) -> None:
        if self._trimmed and text:
            text, self._trimmed = text.removeprefix(self._trimmed), ""
        self.speaker.text(text)

    def _start_call(self, block: _Block) -> None:
        start = block.start
        by_provider = block.kind != "tool_use"
        opaque = {"anthropic": {key: value for key, value in start.items() if key != "input"}}
        theirs, name = str(start.get("id") or ""), str(start.get("name") or block.kind.removesuffix("_tool_use"))
        block.call = self.speaker.call(theirs, name, by_provider=by_provider, opaque=opaque)
        if by_provider:
            self._server_calls[theirs] = block.call
        if arguments := start.get("input"):
            self.speaker.arguments(block.call, arguments if isinstance(arguments, str) else json.dumps(arguments))

    def _result(self, index: Any, block: dict[str, Any]) -> None:
        theirs, name = str(block.get("tool_use_id") or ""), str(block["type"]).removesuffix("_tool_result")
        call = self._server_calls.get(theirs)
        if call is None and theirs in self.speaker.known:
            call = Call(theirs, theirs, name, True, dict(self.speaker.known[theirs] or {}))
        if call is None:
            call = self._server_calls[theirs] = self.speaker.call(theirs, name, by_provider=True)
        kept = (call.opaque or {}).get("anthropic") or {}
        call.opaque = {"anthropic": {**kept, "result": block, "result_of": self._id, "result_at": index}}
        content = block.get("content")
        error = error_of(block, content)
        if error is None:
            self.speaker.result(call, "done", result=readable(content))
        else:
            self.speaker.result(call, "error", error=error, result=readable(content))

    def _cite(self, citation: dict[str, Any]) -> None:
        url = str(citation.get("url") or citation.get("source") or "")
        title = str(citation.get("title") or citation.get("document_title") or "")
        self.speaker.source(url, title, {"anthropic": citation})

    def _keep(self, block: dict[str, Any]) -> None:
        """A block that is not for reading, but must go back as it came."""
        self.speaker.say(e.Notice(str(block.get("type")), describe(block), opaque={"anthropic": block}))

    def _count(self, usage: Mapping[str, Any] | None) -> None:
        self._usage.update((key, value) for key, value in (usage or {}).items() if value is not None)
