"""Anthropic Messages: parses requests and encodes answers. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from streamchat.simulator import sse_writer
from streamchat.simulator import steps as s
from streamchat.simulator.openai_errors import masked
from streamchat.simulator.request import Ask, Tool, Turn, forced_tool, require, stop_texts, text_of, tool_text
from streamchat.simulator.wire_format import Problem, Reply

_STOP = {"stop": "end_turn", "length": "max_tokens", "tool-calls": "tool_use", "pause": "pause_turn"}
_FILTERED = "Output blocked by content filtering policy"
_PROBLEMS: dict[str, tuple[int, str, str]] = {
    "rate-limited": (429, "rate_limit_error", "This request would exceed your organization's rate limit."),
    "quota": (400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API."),
    "overloaded": (529, "overloaded_error", "Overloaded"),
    "bad-key": (401, "authentication_error", "invalid x-api-key: {key}"),
    "context-too-long": (400, "invalid_request_error", "prompt is too long: 210431 tokens > 200000 maximum"),
    "not-found": (404, "not_found_error", "model: {text}"),
    "bad-path": (404, "not_found_error", "Not Found: {text}"),
    "bad-request": (400, "invalid_request_error", "{text}"),
}


class AnthropicWire:
    """Implements ``wire_format.Wire``."""

    name = "anthropic"
    path = "/v1/messages"

    def parse(self, body: Mapping[str, Any]) -> Ask:
        """Parse the JSON body of a request. Raises ``BadRequest``."""
        messages = body.get("messages")
        require(isinstance(messages, list) and messages, "messages: at least one message is required")
        require(isinstance(body.get("max_tokens"), int), "max_tokens: Field required")
        turns: list[Turn] = []
        results: list[str] = []
        for message in messages or ():
            require(isinstance(message, Mapping), "messages: each must be an object")
            self._turn(message, turns, results)
        form = ((body.get("output_config") or {}).get("format") or body.get("output_format")) or {}
        return Ask(
            scene=str(body.get("model", "")),
            turns=tuple(turns),
            results=tuple(results),
            tools=tuple(_tool(tool) for tool in body.get("tools") or () if "name" in tool),
            stream=bool(body.get("stream")),
            max_tokens=body.get("max_tokens"),
            stop=stop_texts(body.get("stop_sequences")),
            schema=form.get("schema"),
            tool_choice=forced_tool(body.get("tool_choice")),
            one_call=(body.get("tool_choice") or {}).get("disable_parallel_tool_use") is True,
        )

    def _turn(self, message: Mapping[str, Any], turns: list[Turn], results: list[str]) -> None:
        content = message.get("content")
        blocks = [block for block in content if isinstance(block, Mapping)] if isinstance(content, list) else []
        if message.get("role") == "assistant":
            if not any(block.get("type") == "tool_use" for block in blocks):
                turns.append(Turn("assistant", text_of(content)))
            return
        texts = [tool_text(block.get("content")) for block in blocks if block.get("type") == "tool_result"]
        if texts:  # tool results are sent as a user message
            results.extend(texts)
            return
        turns.append(Turn("user", text_of(content)))
        results.clear()

    def stream(self, ask: Ask, number: int, created: float) -> AnthropicStream:
        """Return an encoder for one answer."""
        return AnthropicStream(ask, number)

    def whole(self, ask: Ask, answer: s.Whole, number: int, created: float) -> dict[str, Any]:
        """Return the ``message`` object of an answer without streaming."""
        content: list[dict[str, Any]] = []
        if answer.reasoning and answer.seal:
            seal = answer.seal
            content.append({"type": "thinking", "thinking": answer.reasoning, "signature": seal.signature})
            content.append({"type": "redacted_thinking", "data": seal.redacted})
        if answer.text:
            content.append({"type": "text", "text": answer.text, "citations": None})
        for call in answer.calls:
            arguments = _object(call.arguments)
            content.append({"type": "tool_use", "id": f"toolu_{call.call_id}", "name": call.name, "input": arguments})
        stop, details = _stop_reason(answer.reason, answer.refusal)
        message = _message(ask, number) | {"content": content, "stop_reason": stop, **details}
        return message | {"usage": _usage(ask, answer.tokens)}

    def problem(self, problem: Problem) -> Reply:
        """Return Anthropic's error response for a problem."""
        status, kind, text = _PROBLEMS.get(problem.kind, (500, "api_error", "Internal server error"))
        headers = {} if problem.retry_after is None else {"retry-after": f"{problem.retry_after:g}"}
        return Reply(
            status,
            sse_writer.dump(_error(kind, text.format(text=problem.text, key=masked(problem.key)))),
            headers=headers,
        )


class AnthropicStream:
    """Implements ``wire_format.Stream``: named events; each content block has a start, deltas and a stop."""

    def __init__(self, ask: Ask, number: int) -> None:
        self._ask = ask
        self._number = number
        self._blocks = self._tokens = 0
        self._open: tuple[str, int] | None = None
        self._calls: dict[int, int] = {}
        self._refusal = ""

    def open(self) -> bytes:
        """Return ``message_start`` and a ping."""
        message = _message(self._ask, self._number) | {"usage": _usage(self._ask, 1)}
        return sse_writer.event({"type": "message_start", "message": message}) + self.ping()

    def ping(self) -> bytes:
        """Return a ``ping`` event."""
        return sse_writer.event({"type": "ping"})

    def step(self, step: s.Step) -> bytes:
        """Return the events of a step, or ``b""`` if it has none."""
        self._tokens += isinstance(step, s.TOKENS)
        match step:
            case s.Text(text):
                payload = self._enter("text", {"text": ""})
                return payload + self._delta({"type": "text_delta", "text": text})
            case s.Reasoning(text):
                payload = self._enter("thinking", {"thinking": "", "signature": ""})
                return payload + self._delta({"type": "thinking_delta", "thinking": text})
            case s.ReasoningEnd(signature, redacted):
                payload = self._delta({"type": "signature_delta", "signature": signature}) + self._leave()
                return payload + self._enter("redacted_thinking", {"data": redacted}) + self._leave()
            case s.Refusal(text):
                self._refusal += text
            case s.CallStart(index, call_id, name):
                payload = self._leave()
                self._calls[index] = self._blocks
                return payload + self._start({"type": "tool_use", "id": f"toolu_{call_id}", "name": name, "input": {}})
            case s.Arguments(index, fragment):
                return self._delta({"type": "input_json_delta", "partial_json": fragment}, self._calls[index])
            case s.CallEnd(index):
                return sse_writer.event({"type": "content_block_stop", "index": self._calls[index]})
            case s.End(reason, marker):
                return self._end(reason, marker)
        return b""

    def error(self, kind: str) -> bytes:
        """Return an error in the middle of the stream: not JSON for ``error-event``, else ``overloaded_error``."""
        if kind == "error-event":
            return b"event: error\ndata: upstream connect error or disconnect/reset before headers\n\n"
        return sse_writer.event(_error("overloaded_error", "Overloaded"))

    def _enter(self, kind: str, fields: Mapping[str, Any]) -> bytes:
        if self._open is not None and self._open[0] == kind:
            return b""
        payload = self._leave()
        self._open = (kind, self._blocks)
        return payload + self._start({"type": kind, **fields})

    def _leave(self) -> bytes:
        if self._open is None:
            return b""
        index, self._open = self._open[1], None
        return sse_writer.event({"type": "content_block_stop", "index": index})

    def _start(self, block: Mapping[str, Any]) -> bytes:
        self._blocks += 1
        return sse_writer.event({"type": "content_block_start", "index": self._blocks - 1, "content_block": block})

    def _delta(self, delta: Mapping[str, Any], index: int | None = None) -> bytes:
        index = self._blocks - 1 if index is None else index
        return sse_writer.event({"type": "content_block_delta", "index": index, "delta": delta})

    def _end(self, reason: str, marker: bool) -> bytes:
        payload = self._leave()
        if reason == "content-filter":
            return payload + sse_writer.event(_error("invalid_request_error", _FILTERED))
        stop, details = _stop_reason(reason, self._refusal)
        delta = {"stop_reason": stop, "stop_sequence": None, **details}
        usage = _usage(self._ask, self._tokens)
        payload += sse_writer.event({"type": "message_delta", "delta": delta, "usage": usage})
        return payload + sse_writer.event({"type": "message_stop"}) if marker else payload


def _tool(tool: Mapping[str, Any]) -> Tool:
    return Tool(str(tool["name"]), tool.get("input_schema") or {"type": "object"})


def _object(arguments: str) -> Any:
    try:
        return json.loads(arguments)
    except ValueError:
        return {"INVALID_JSON": arguments}


def _stop_reason(reason: str, refusal: str) -> tuple[str, dict[str, Any]]:
    if reason in ("refusal", "content-filter"):
        details = {"type": "refusal", "category": None, "explanation": refusal or _FILTERED}
        return "refusal", {"stop_details": details}
    return _STOP.get(reason, reason), {}


def _error(kind: str, text: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": text}, "request_id": "req_simulator"}


def _message(ask: Ask, number: int) -> dict[str, Any]:
    return {
        "id": f"msg_sim{number:08d}",
        "type": "message",
        "role": "assistant",
        "model": ask.scene,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _usage(ask: Ask, tokens: int) -> dict[str, Any]:
    return {
        "input_tokens": ask.input_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": tokens,
    }
