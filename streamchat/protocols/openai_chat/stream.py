"""An answer as a chat completion: chunk by chunk, or whole. Pure.

Rules: one call after the other (``serialize_calls``); reasoning is ``reasoning_content``, as compatible servers name
it;
a failed answer has an error and no ``[DONE]``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from streamchat.chat import events as e
from streamchat.chat.messages import Message, NoticePart, ReasoningPart, SourcePart, ToolCallPart
from streamchat.errors import StreamchatError
from streamchat.protocols.encoding import COMMENT, DONE, json_bytes
from streamchat.protocols.serialize_calls import InOrder
from streamchat.protocols.vendor_errors import Failure, error_of, openai_error, openai_failure, openai_status

FINISH = {"length": "length", "tool-calls": "tool_calls", "content-filter": "content_filter"}


class ChatWriter:
    """Implements ``Dialect``. ``include_usage``: a chunk with the token counts comes before the end."""

    heartbeat = COMMENT

    def __init__(self, model: str, *, include_usage: bool = False) -> None:
        self._model = model
        self._include_usage = include_usage
        self._order = InOrder()
        self._calls: dict[str, int] = {}
        self._with_arguments: set[str] = set()
        self._usage: e.UsageReported | None = None
        self._head: dict[str, Any] = {}

    def begin(self, run_id: str, created: int, reasoning_count: int = 0) -> None:
        """See ``Dialect``."""
        self._id, self._created = f"chatcmpl-{run_id}", created
        self._head = {"id": self._id, "object": "chat.completion.chunk", "created": created, "model": self._model}

    def open(self) -> bytes:
        """See ``Writer``."""
        return self._delta({"role": "assistant", "content": ""})

    def add(self, event: e.Event) -> bytes:
        """See ``Writer``."""
        return b"".join(map(self._convert, self._order.add(event)))

    def _convert(self, event: e.Event) -> bytes:
        match event:
            case e.TextDelta(text):
                return self._delta({"content": text})
            case e.ReasoningDelta(text) if text:
                return self._delta({"reasoning_content": text})
            case e.Notice("refusal", text):
                return self._delta({"refusal": text})
            case e.SourceAdded(url, title):
                return self._delta({"annotations": [_citation(url, title)]})
            case e.UsageReported():
                self._usage = event
            case e.ToolCallStarted(call_id, name):
                number = self._calls[call_id] = len(self._calls)
                function = {"name": name, "arguments": ""}
                return self._delta({"tool_calls": [_call_delta(number, function, call_id)]})
            case e.ToolCallArguments(call_id, fragment) if fragment:
                return self._arguments(call_id, fragment)
            case e.ToolCallReady(call_id, arguments) if call_id not in self._with_arguments:
                return self._arguments(call_id, json.dumps(arguments, ensure_ascii=False))
            case e.Finished(reason):
                return self._finish(reason)
            case e.Stopped() | e.Failed() | e.Interrupted():
                error = error_of(event)
                return _encode(openai_error(error, openai_status(error)))
        return b""

    def _arguments(self, call_id: str, fragment: str) -> bytes:
        if call_id not in self._calls:
            return b""
        self._with_arguments.add(call_id)
        return self._delta({"tool_calls": [_call_delta(self._calls[call_id], {"arguments": fragment})]})

    def _delta(self, delta: dict[str, Any], finish: str | None = None) -> bytes:
        return self._chunk([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}])

    def _chunk(self, choices: list[dict[str, Any]], **more: Any) -> bytes:
        chunk = {**self._head, "choices": choices, **more}
        if self._include_usage and not more:
            chunk["usage"] = None
        return _encode(chunk)

    def _finish(self, reason: str) -> bytes:
        last = self._delta({}, FINISH.get(reason, "stop"))
        if self._include_usage:
            last += self._chunk([], usage=usage_counts(self._usage))
        return last + DONE

    def whole(self, message: Message) -> Mapping[str, Any]:
        """See ``Dialect``."""
        message_out: dict[str, Any] = {"role": "assistant", "content": message.text or None, "refusal": None}
        message_out["refusal"] = next(
            (p.text for p in message.parts if isinstance(p, NoticePart) and p.kind == "refusal"), None
        )
        if thinking := "".join(part.text for part in message.parts if isinstance(part, ReasoningPart)):
            message_out["reasoning_content"] = thinking
        if citations := [_citation(part.url, part.title) for part in message.parts if isinstance(part, SourcePart)]:
            message_out["annotations"] = citations
        calls = [part for part in message.parts if isinstance(part, ToolCallPart) and not part.by_provider]
        if calls:
            message_out["tool_calls"] = [
                {"id": part.id, "type": "function", "function": {"name": part.name, "arguments": raw_arguments(part)}}
                for part in calls
            ]
        finish = FINISH.get(message.stop_reason or "", "stop")
        choice = {"index": 0, "message": message_out, "logprobs": None, "finish_reason": finish}
        head = {"id": self._id, "object": "chat.completion", "created": self._created, "model": self._model}
        return {**head, "choices": [choice], "usage": usage_counts(message.usage)}

    def failure(self, error: StreamchatError) -> Failure:
        """See ``Dialect``."""
        return openai_failure(error)


def raw_arguments(part: ToolCallPart) -> str:
    """Return the arguments as they arrived, which may not be JSON."""
    if part.raw or part.arguments is None:
        return part.raw
    return json.dumps(part.arguments, ensure_ascii=False)


def usage_counts(usage: e.UsageReported | None) -> dict[str, Any] | None:
    """Return the token counts; ``None`` if the provider did not report any."""
    if usage is None:
        return None
    counts: dict[str, Any] = {
        "prompt_tokens": usage.input or 0,
        "completion_tokens": usage.output or 0,
        "total_tokens": (usage.input or 0) + (usage.output or 0),
    }
    if usage.cached is not None:
        counts["prompt_tokens_details"] = {"cached_tokens": usage.cached}
    if usage.reasoning is not None:
        counts["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning}
    return counts


def _call_delta(number: int, function: dict[str, Any], call_id: str | None = None) -> dict[str, Any]:
    named = {} if call_id is None else {"id": call_id, "type": "function"}
    return {"index": number, **named, "function": function}


def _citation(url: str, title: str) -> dict[str, Any]:
    citation = {"url": url, "title": title, "start_index": 0, "end_index": 0}
    return {"type": "url_citation", "url_citation": citation}


def _encode(chunk: Mapping[str, Any]) -> bytes:
    return b"data: %b\n\n" % json_bytes(chunk)
