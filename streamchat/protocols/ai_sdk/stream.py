"""An answer as the AI SDK's UI message stream, which ``useChat`` and assistant-ui read. Pure.

Rules:

* Every text and every reasoning has an id, a start and an end; a call has its input, then its output.
* A step is one response of the model: text after results starts another.
* An answer that waits for approval ends the stream with its approval requests; the client's next request brings
  the decisions, and the stream of that one continues the same message (``continues``).
* Content for the page only (progress, notices) is sent as transient data.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streamchat.chat import events as e
from streamchat.chat.messages import Message, ToolCallPart
from streamchat.protocols.encoding import COMMENT, DONE, json_bytes
from streamchat.protocols.vendor_errors import error_of

HEADERS = {"x-vercel-ai-ui-message-stream": "v1"}
_REASONS = {"stop": "stop", "length": "length", "tool-calls": "tool-calls", "content-filter": "content-filter",
            "refusal": "content-filter"}  # fmt: skip
Chunks = list[dict[str, Any]]


class UIMessageWriter:
    """Writes the stream. ``metadata``: kept with the message. ``continues``: the answer as the client has it.

    ``new_step``: what continues it is another step: its calls were of the front end's tools.
    """

    heartbeat = COMMENT

    def __init__(
        self, message_id: str, metadata: Mapping[str, Any], continues: Message | None = None, *, new_step: bool = False
    ) -> None:
        self._message_id = message_id
        self._metadata = dict(metadata)
        self._open: tuple[str, str] | None = None
        self._number = len(continues.parts) if continues else 0
        self._in_step = continues is not None and not new_step
        self._answered = False
        self._raw: dict[str, list[str]] = {}
        calls = [part for part in continues.parts if isinstance(part, ToolCallPart)] if continues else []
        self._names = {part.id: part.name for part in calls}
        self._inputs: dict[str, Any] = {part.id: part.arguments for part in calls if part.arguments is not None}

    def open(self) -> bytes:
        """See ``Writer``."""
        start = {"type": "start", "messageId": self._message_id, "messageMetadata": self._metadata}
        return _encode([start])

    def add(self, event: e.Event) -> bytes:
        """See ``Writer``; an approval request ends the stream as well."""
        data = _encode(self._event_chunks(event))
        return data + DONE if isinstance(event, (e.Waiting, *e.ENDINGS)) else data

    def _event_chunks(self, event: e.Event) -> Chunks:
        match event:
            case e.TextDelta(text) | e.Notice("refusal", text):
                return self._text_chunks("text", text)
            case e.ReasoningDelta(text, opaque):
                chunks = self._text_chunks("reasoning", text) if text else []
                return chunks + self._close() if opaque is not None else chunks
            case e.SourceAdded(url, title):
                self._number += 1
                source = {"type": "source-url", "sourceId": f"s{self._number}", "url": url}
                return [*self._close(), *self._start_step(), source | ({"title": title} if title else {})]
            case e.Notice(kind, text, data):
                notice = {"kind": kind, "text": text, "data": dict(data or {})}
                return [{"type": "data-notice", "data": notice, "transient": True}]
            case e.UsageReported():
                self._metadata["usage"] = _usage(event)
                return []
            case e.Waiting(call_ids):
                requests = [_tool_chunk("tool-approval-request", call_id, approvalId=call_id) for call_id in call_ids]
                return [*self._close(), *requests, *self._finish("tool-calls")]
            case e.Finished() | e.Stopped() | e.Failed() | e.Interrupted():
                return [*self._close(), *self._end(event)]
        return self._call_chunks(event)

    def _call_chunks(self, event: e.Event) -> Chunks:
        match event:
            case e.ToolCallStarted(call_id, name, by_provider):
                self._names[call_id] = name
                start = _tool_chunk("tool-input-start", call_id, toolName=name)
                chunks = [*self._close(), *self._start_step()]
                return [*chunks, start | ({"providerExecuted": True} if by_provider else {})]
            case e.ToolCallArguments(call_id, fragment) if fragment:
                self._raw.setdefault(call_id, []).append(fragment)
                return [_tool_chunk("tool-input-delta", call_id, inputTextDelta=fragment)]
            case e.ToolCallReady(call_id, arguments) if self._inputs.get(call_id) != arguments:
                self._inputs[call_id] = dict(arguments)
                return [_tool_chunk("tool-input-available", call_id, toolName=self._names[call_id], input=arguments)]
            case e.ToolProgress(call_id, text) if text:
                data = {"toolCallId": call_id, "text": text}
                return [{"type": "data-tool-progress", "data": data, "transient": True}]
            case e.ToolResult():
                return self._result_chunks(event)
        return []

    def _result_chunks(self, event: e.ToolResult) -> Chunks:
        self._answered = True
        call_id, error = event.call_id, event.error or "The tool was not run."
        if event.state == "done":
            return [_tool_chunk("tool-output-available", call_id, output=event.result)]
        if event.state == "denied":
            return [_tool_chunk("tool-output-denied", call_id)]
        if call_id not in self._inputs:  # what came is no input
            raw = "".join(self._raw.get(call_id, ()))
            named = {"toolName": self._names[call_id], "input": raw}
            return [_tool_chunk("tool-input-error", call_id, **named, errorText=error)]
        return [_tool_chunk("tool-output-error", call_id, errorText=error)]

    def _text_chunks(self, kind: str, text: str) -> Chunks:
        chunks: Chunks = []
        if self._answered:
            chunks += [*self._close(), *self._finish_step()]
        if self._open is None or self._open[0] != kind:
            chunks += [*self._close(), *self._start_step()]
            self._number += 1
            self._open = (kind, f"p{self._number}")
            chunks.append({"type": f"{kind}-start", "id": self._open[1]})
        return [*chunks, {"type": f"{kind}-delta", "id": self._open[1], "delta": text}]

    def _close(self) -> Chunks:
        if self._open is None:
            return []
        (kind, part_id), self._open = self._open, None
        return [{"type": f"{kind}-end", "id": part_id}]

    def _start_step(self) -> Chunks:
        if self._in_step:
            return []
        self._in_step = True
        return [{"type": "start-step"}]

    def _finish_step(self) -> Chunks:
        self._answered = False
        if not self._in_step:
            return []
        self._in_step = False
        return [{"type": "finish-step"}]

    def _finish(self, reason: str) -> Chunks:
        return [*self._finish_step(), {"type": "finish", "finishReason": reason, "messageMetadata": self._metadata}]

    def _end(self, ending: e.Ending) -> Chunks:
        match ending:
            case e.Finished(reason):
                return self._finish(_REASONS.get(reason, "other"))
            case e.Stopped():
                return [*self._finish_step(), {"type": "abort", "reason": error_of(ending).user_message}]
        return [{"type": "error", "errorText": error_of(ending).user_message}]


def _tool_chunk(kind: str, call_id: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "toolCallId": call_id, **more}


def _usage(usage: e.UsageReported) -> dict[str, Any]:
    notice = {"inputTokens": usage.input, "outputTokens": usage.output, "reasoningTokens": usage.reasoning}
    return {name: count for name, count in notice.items() if count is not None}


def _encode(chunks: Chunks) -> bytes:
    return b"".join(b"data: %b\n\n" % json_bytes(chunk) for chunk in chunks)
