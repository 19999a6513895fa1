"""OpenAI Responses: parses requests and encodes answers. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streamchat.simulator import openai_errors
from streamchat.simulator import steps as s
from streamchat.simulator.request import Ask, BadRequest, Tool, Turn, forced_tool, text_of, tool_text
from streamchat.simulator.responses_output import call_item, message_item, reasoning_item, reply
from streamchat.simulator.responses_stream import ResponsesStream
from streamchat.simulator.wire_format import Problem, Reply


class ResponsesWire:
    """Implements ``wire_format.Wire``."""

    name = "responses"
    path = "/v1/responses"

    def parse(self, body: Mapping[str, Any]) -> Ask:
        """Parse the JSON body of a request. Raises ``BadRequest``."""
        items = body.get("input")
        turns: list[Turn] = []
        results: list[str] = []
        if isinstance(items, str):
            turns.append(Turn("user", items))
        elif isinstance(items, list):
            for item in items:
                _item(item, turns, results)
        else:
            raise BadRequest("input must be a string or a list of items.")
        form = (body.get("text") or {}).get("format") or {}
        return Ask(
            scene=str(body.get("model", "")),
            turns=tuple(turns),
            results=tuple(results),
            tools=tuple(_tool(tool) for tool in body.get("tools") or () if tool.get("type") == "function"),
            stream=bool(body.get("stream")),
            max_tokens=body.get("max_output_tokens"),
            schema=form.get("schema"),
            tool_choice=forced_tool(body.get("tool_choice")),
            one_call=body.get("parallel_tool_calls") is False,
        )

    def stream(self, ask: Ask, number: int, created: float) -> ResponsesStream:
        """Return an encoder for one answer."""
        return ResponsesStream(ask, number, created)

    def whole(self, ask: Ask, answer: s.Whole, number: int, created: float) -> dict[str, Any]:
        """Return the ``response`` object of an answer without streaming."""
        output = []
        if answer.reasoning and answer.seal:
            output.append(reasoning_item(number, 0, answer.reasoning, answer.seal.signature))
        if answer.text or answer.refusal:
            output.append(message_item(number, len(output), answer.text, answer.refusal))
        output += [call_item(number, len(output) + i, call, "completed") for i, call in enumerate(answer.calls)]
        counts = (answer.tokens, answer.reasoning_tokens)
        return reply(ask, number, created, answer.reason, output, counts)

    def problem(self, problem: Problem) -> Reply:
        """Return OpenAI's error response for a problem."""
        return openai_errors.problem(problem)


def _item(item: Any, turns: list[Turn], results: list[str]) -> None:
    if not isinstance(item, Mapping):
        raise BadRequest("input items must be objects.")
    if item.get("type") == "function_call_output":
        results.append(tool_text(item.get("output")))
    elif item.get("type", "message") == "message" and item.get("role") == "user":
        turns.append(Turn("user", text_of(item.get("content"))))
        results.clear()
    elif item.get("type", "message") == "message" and item.get("role") == "assistant":
        turns.append(Turn("assistant", text_of(item.get("content"))))


def _tool(tool: Mapping[str, Any]) -> Tool:
    return Tool(str(tool.get("name", "")), tool.get("parameters") or {"type": "object"})
