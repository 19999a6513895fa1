"""OpenAI chat completions: parses requests and encodes answers. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streamchat.simulator import openai_errors, sse_writer
from streamchat.simulator import steps as s
from streamchat.simulator.request import Ask, Tool, Turn, forced_tool, require, stop_texts, text_of, tool_text
from streamchat.simulator.wire_format import Problem, Reply

_FINISH = {"tool-calls": "tool_calls", "content-filter": "content_filter", "refusal": "stop", "pause": "stop"}


class ChatWire:
    """Implements ``wire_format.Wire``."""

    name = "chat"
    path = "/v1/chat/completions"

    def parse(self, body: Mapping[str, Any]) -> Ask:
        """Parse the JSON body of a request. Raises ``BadRequest``."""
        messages = body.get("messages")
        require(isinstance(messages, list) and messages, "messages must be a list with at least one message.")
        turns: list[Turn] = []
        results: list[str] = []
        for message in messages or ():
            require(isinstance(message, Mapping), "A message must be an object.")
            match message.get("role"):
                case "user":
                    turns.append(Turn("user", text_of(message.get("content"))))
                    results.clear()
                case "assistant" if not message.get("tool_calls"):
                    turns.append(Turn("assistant", text_of(message.get("content"))))
                case "tool":
                    results.append(tool_text(message.get("content")))
        form = body.get("response_format") or {}
        return Ask(
            scene=str(body.get("model", "")),
            turns=tuple(turns),
            results=tuple(results),
            tools=tuple(_tool(tool["function"]) for tool in body.get("tools") or () if "function" in tool),
            stream=bool(body.get("stream")),
            usage=bool((body.get("stream_options") or {}).get("include_usage")),
            max_tokens=body.get("max_completion_tokens") or body.get("max_tokens"),
            stop=stop_texts(body.get("stop")),
            schema=(form.get("json_schema") or {}).get("schema"),
            seed=body.get("seed"),
            tool_choice=forced_tool(body.get("tool_choice")),
            one_call=body.get("parallel_tool_calls") is False,
        )

    def stream(self, ask: Ask, number: int, created: float) -> ChatStream:
        """Return an encoder for one answer."""
        return ChatStream(ask, number, created)

    def whole(self, ask: Ask, answer: s.Whole, number: int, created: float) -> dict[str, Any]:
        """Return the ``chat.completion`` object of an answer without streaming."""
        message: dict[str, Any] = {
            "role": "assistant",
            "content": answer.text or None,
            "refusal": answer.refusal or None,
        }
        if answer.reasoning:
            message["reasoning_content"] = answer.reasoning
        if answer.calls:
            message["tool_calls"] = [
                {"id": call.call_id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
                for call in answer.calls
            ]
        finish = _FINISH.get(answer.reason, answer.reason)
        return {
            **_head("chat.completion", ask, number, created),
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
            "usage": _usage(ask, answer.tokens, answer.reasoning_tokens),
        }

    def problem(self, problem: Problem) -> Reply:
        """Return OpenAI's error response for a problem."""
        return openai_errors.problem(problem)


class ChatStream:
    """Implements ``wire_format.Stream``: ``chat.completion.chunk`` objects, a chunk with the usage, and ``[DONE]``."""

    def __init__(self, ask: Ask, number: int, created: float) -> None:
        self._ask = ask
        self._head = _head("chat.completion.chunk", ask, number, created)
        self._tokens = self._thoughts = 0

    def open(self) -> bytes:
        """Return the chunk with the role."""
        return self._chunk({"role": "assistant", "content": "", "refusal": None})

    def step(self, step: s.Step) -> bytes:
        """Return the events of a step, or ``b""`` if it has none."""
        self._tokens += isinstance(step, s.TOKENS)
        match step:
            case s.Text(text):
                return self._chunk({"content": text})
            case s.Reasoning(text):
                self._thoughts += 1
                return self._chunk({"reasoning_content": text})
            case s.Refusal(text):
                return self._chunk({"refusal": text})
            case s.CallStart(index, call_id, name):
                call = {"index": index, "id": call_id, "type": "function", "function": {"name": name, "arguments": ""}}
                return self._chunk({"tool_calls": [call]})
            case s.Arguments(index, fragment):
                return self._chunk({"tool_calls": [{"index": index, "function": {"arguments": fragment}}]})
            case s.End(reason, marker):
                return self._end(reason, marker)
        return b""

    def ping(self) -> bytes:
        """Return an SSE comment."""
        return b": ping\n\n"

    def error(self, kind: str) -> bytes:
        """Return an error in the middle of the stream."""
        text = "The server is currently overloaded with other requests. Sorry about that!"
        if kind == "error-event":  # as some compatible servers send it: a named event without the key "error"
            return b"event: error\ndata: %b\n\n" % sse_writer.dump({"message": text, "code": "server_error"})
        return sse_writer.data(
            {"error": {"message": text, "type": "server_error", "param": None, "code": "overloaded"}}
        )

    def _chunk(self, delta: Mapping[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return sse_writer.data({**self._head, "choices": [choice]})

    def _end(self, reason: str, marker: bool) -> bytes:
        payload = self._chunk({}, _FINISH.get(reason, reason))
        if self._ask.usage:
            usage = _usage(self._ask, self._tokens, self._thoughts)
            payload += sse_writer.data({**self._head, "choices": [], "usage": usage})
        return payload + b"data: [DONE]\n\n" if marker else payload


def _tool(function: Mapping[str, Any]) -> Tool:
    return Tool(str(function.get("name", "")), function.get("parameters") or {"type": "object"})


def _head(kind: str, ask: Ask, number: int, created: float) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-sim{number:08d}",
        "object": kind,
        "created": int(created),
        "model": ask.scene,
        "service_tier": "default",
        "system_fingerprint": "fp_simulator",
    }


def _usage(ask: Ask, tokens: int, thoughts: int) -> dict[str, Any]:
    return {
        "prompt_tokens": ask.input_tokens,
        "completion_tokens": tokens,
        "total_tokens": ask.input_tokens + tokens,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": thoughts},
    }
