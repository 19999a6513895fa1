"""Events of Anthropic's Messages API to ours. No I/O.

Rules:

* ``stop_reason`` completes the answer, with or without a ``message_stop`` after it.
* A second ``message_start`` is a repetition (ignored), a further message after a complete one
  (continues), or a splice in the middle of an answer: that aborts it, two answers are never joined.
* Blocks are identified by index; content that must go back is kept verbatim in ``opaque``.
* Unknown events, deltas and blocks are no error; an unknown block is kept. A delta's own type decides what it is.
* The initial content of a block may be repeated in its first delta; a whole message after deltas is ignored.
* Arguments for no block, or for two at one index, belong to the only call that waits for some, or to none.
* Only text and calls can break an answer; an invalid field beside them is ignored.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from streamchat.chat import events as e
from streamchat.errors import StreamBroken
from streamchat.providers.anthropic.blocks import describe, error_of, read_usage, readable_content
from streamchat.providers.event_builder import LIMITS, Call, EventBuilder, Limits
from streamchat.providers.finish_reasons import is_unknown, sort_reason
from streamchat.providers.tolerant_json import decode_object

LINGER, LINGER_AFTER_STOP = 2.0, 0.3
_NONSENSE = (TypeError, AttributeError, KeyError, IndexError, ValueError)


@dataclass(slots=True)
class _Block:
    """A content block.

    ``first_text`` and ``first_arguments``: the content that it started with, until deltas arrive. ``ambiguous``: it
    replaced an incomplete call at the same index, so that further arguments may belong to either.
    """

    kind: str
    start: dict[str, Any]
    call: Call | None = None
    first_text: str = ""
    first_arguments: str = ""
    stopped: bool = False
    ambiguous: bool = False
    signature: list[str] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)


class AnthropicNormaliser:
    """Normalises one message.

    ``known``: calls that the run already has. ``trimmed``: white space that was cut from the end of a partial answer
    before it was sent, so that it is not there twice if the model repeats it.
    """

    def __init__(
        self, known: Mapping[str, e.Opaque | None] | None = None, *, trimmed: str = "", limits: Limits = LIMITS
    ) -> None:
        self.builder = EventBuilder(known, limits)
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
        """See ``Normaliser``."""
        if self._stopped:
            return LINGER_AFTER_STOP
        return LINGER if self._reason is not None else None

    def done(self) -> None:
        """Ignore the marker: it is not part of this API, but some proxies add it."""

    def feed(self, name: str, data: dict[str, Any]) -> None:
        """See ``Normaliser``."""
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
        elif kind == "message" and isinstance(data.get("content"), list) and not self.builder.has_content:
            self.whole(data)

    def whole(self, data: dict[str, Any]) -> None:
        """See ``Normaliser``."""
        if data.get("type") != "message" and not isinstance(data.get("content"), list):
            raise ValueError("not a message")
        self._message_start(data)
        self._message_delta(data, data.get("usage"))

    def finish(self) -> None:
        """See ``Normaliser``."""
        if self._reason is None:
            self.flush()
            raise StreamBroken("The answer was cut off before its end.", kind="cut", retryable=True)
        for block in self._blocks.values():
            self._emit_first_arguments(block)
            if block.call is not None and not block.stopped and not block.call.pieces:
                block.call.lost = True
        reason = sort_reason(self._reason)
        if reason == "broken":
            self.flush()
            raise StreamBroken(f"The provider aborted the answer ({self._reason[:40]}).", kind="cut", retryable=True)
        open_calls = any(not call.by_provider and not call.answered for call in self.builder.calls)
        if reason == "tool-calls" and not open_calls:
            reason = "stop"
        elif is_unknown(reason) and self.builder.all_complete():
            reason = "tool-calls"
        elif reason == "stop" and open_calls and self._last and self._last.kind == "tool_use":
            reason = "tool-calls"
        self.builder.finish(reason, read_usage(self._usage), {"anthropic": self._opaque} if self._opaque else None)

    def flush(self) -> None:
        """See ``Normaliser``."""
        self.builder.release()
        if (usage := read_usage(self._usage)) is not None:
            self.builder.emit(usage)

    def _message_start(self, message: dict[str, Any]) -> None:
        identity, first = str(message.get("id") or ""), self._id is None
        if not first and not self._reason and (self.builder.has_content or self._blocks or identity != self._id):
            text = "The provider began another answer in the middle of this one."
            raise StreamBroken(text, kind="spliced", retryable=True)
        if not first:
            self.builder.settle("next")
            self._blocks, self._reason, self._stopped = {}, None, False
        self._id = identity
        self._add_usage(message.get("usage"))
        for index, block in enumerate((message.get("content") if first else None) or ()):
            self._start(index, block)
            self._stop(index)
        if reason := message.get("stop_reason"):
            self._reason = str(reason)

    def _message_delta(self, delta: dict[str, Any], usage: dict[str, Any] | None) -> None:
        self._add_usage(usage)
        if container := delta.get("container"):
            self._opaque["container"] = container
        if (details := delta.get("stop_details")) and isinstance(details, dict):
            self._opaque["stop_details"] = details
            if explanation := details.get("explanation"):
                self.builder.emit(e.Notice("refusal", str(explanation)))
        if reason := delta.get("stop_reason"):
            self._reason = str(reason)

    def _start(self, index: Any, start: dict[str, Any]) -> None:
        kind = str(start.get("type"))
        before = self._blocks.get(index)
        if before is not None and before.start == start and not before.stopped and start.get("id"):
            return
        block = _Block(kind, start)
        if before is not None and before.call is not None and kind.endswith("tool_use"):
            # Two calls at one index: further arguments may belong to either, unless the first is complete.
            block.ambiguous = not (before.stopped or before.call.complete)
            self._emit_first_arguments(before)
        self._blocks[index] = self._last = block
        if kind == "text":
            self._text(start.get("text") or "")
            block.first_text = start.get("text") or ""
            with suppress(*_NONSENSE):
                for citation in start.get("citations") or ():
                    self._add_source(citation)
        elif kind == "thinking":
            self.builder.reasoning(start.get("thinking") or "")
            block.first_text = start.get("thinking") or ""
            block.signature.append(str(start.get("signature") or ""))
        elif kind == "redacted_thinking":
            self.builder.close_reasoning({"anthropic": start})
        elif kind.endswith("tool_use"):
            self._start_call(block, index)
        elif kind.endswith("_tool_result"):
            self._result(index, start)

    def _delta(self, index: Any, delta: dict[str, Any]) -> None:
        kind = delta.get("type")
        if kind == "text_delta":
            self._text(self._new_text(index, "text", delta.get("text") or ""))
        elif kind == "thinking_delta":
            self.builder.reasoning(self._new_text(index, "thinking", delta.get("thinking") or ""))
        elif kind == "input_json_delta":
            self._arguments(self._blocks.get(index), index, delta.get("partial_json"))
        elif kind == "citations_delta":
            with suppress(*_NONSENSE):
                self._add_source(delta.get("citation") or {})
        elif (block := self._blocks.get(index)) is not None:
            if kind == "signature_delta":
                block.signature.append(str(delta.get("signature") or ""))
            else:
                block.extra.update((key, value) for key, value in delta.items() if key != "type")

    def _new_text(self, index: Any, kind: str, text: str) -> str:
        """Return the delta without the block's initial text, if its first delta repeats that."""
        block = self._blocks.get(index)
        if block is None or not block.first_text or block.kind != kind:
            return text
        first_text, block.first_text = block.first_text, ""
        return text.removeprefix(first_text)

    def _arguments(self, block: _Block | None, index: Any, arguments: Any) -> None:
        if isinstance(arguments, dict | list):
            arguments = json.dumps(arguments)
        if not arguments:
            return
        if block is None or block.call is None or block.call.closed or block.ambiguous:
            self.builder.stray(index, arguments)
        else:
            block.first_arguments = ""
            self.builder.arguments(block.call, arguments)

    def _emit_first_arguments(self, block: _Block) -> None:
        """Emit the arguments that a call started with, if no others arrived."""
        first_arguments, block.first_arguments = block.first_arguments, ""
        if first_arguments and block.call is not None:
            self.builder.arguments(block.call, first_arguments)

    def _stop(self, index: Any) -> None:
        block = self._blocks.get(index)
        if block is None:
            return
        block.stopped = True
        self._emit_first_arguments(block)
        if block.kind == "thinking":
            # The text is the part's own; with the signature it is the block again.
            self.builder.close_reasoning({"anthropic": {"type": "thinking", "signature": "".join(block.signature)}})
        elif block.call is not None and block.call.by_provider:
            arguments = decode_object(block.call.raw)
            call = {**block.start, "input": arguments or {}}
            block.call.opaque = {"anthropic": {"call": call, "of": self._id, "at": index}}
            if arguments is not None:
                self.builder.ready(block.call, arguments)
        elif block.kind not in ("text", "tool_use", "redacted_thinking") and not block.kind.endswith("_tool_result"):
            self._add_notice({**block.start, **block.extra})

    def _text(self, text: str) -> None:
        if self._trimmed and text:
            text, self._trimmed = text.removeprefix(self._trimmed), ""
        self.builder.text(text)

    def _start_call(self, block: _Block, index: Any) -> None:
        start = block.start
        by_provider = block.kind != "tool_use"
        opaque = {"anthropic": {key: value for key, value in start.items() if key != "input"}}
        provider_id, name = str(start.get("id") or ""), str(start.get("name") or block.kind.removesuffix("_tool_use"))
        block.call = self.builder.call(provider_id, name, by_provider=by_provider, opaque=opaque)
        if by_provider:
            self._server_calls[provider_id] = block.call
        if arguments := start.get("input"):
            block.first_arguments = arguments if isinstance(arguments, str) else json.dumps(arguments)
        self.builder.claim(index, block.call)

    def _result(self, index: Any, block: dict[str, Any]) -> None:
        provider_id, name = str(block.get("tool_use_id") or ""), str(block["type"]).removesuffix("_tool_result")
        call = self._server_calls.get(provider_id)
        if call is None and provider_id in self.builder.known:
            call = Call(provider_id, provider_id, name, True, dict(self.builder.known[provider_id] or {}))
        if call is None:
            call = self._server_calls[provider_id] = self.builder.call(provider_id, name, by_provider=True)
        opaque = (call.opaque or {}).get("anthropic") or {}
        call.opaque = {"anthropic": {**opaque, "result": block, "result_of": self._id, "result_at": index}}
        content = block.get("content")
        error = error_of(block, content)
        if error is None:
            self.builder.result(call, "done", result=readable_content(content))
        else:
            self.builder.result(call, "error", error=error, result=readable_content(content))

    def _add_source(self, citation: dict[str, Any]) -> None:
        url = str(citation.get("url") or citation.get("source") or "")
        title = str(citation.get("title") or citation.get("document_title") or "")
        self.builder.source(url, title, {"anthropic": citation})

    def _add_notice(self, block: dict[str, Any]) -> None:
        """Keep a block that is not for display, but must go back unchanged."""
        self.builder.emit(e.Notice(str(block.get("type")), describe(block), opaque={"anthropic": block}))

    def _add_usage(self, usage: Mapping[str, Any] | None) -> None:
        if isinstance(usage, Mapping):
            self._usage.update((key, value) for key, value in usage.items() if value is not None)
