"""An answer as the AI SDK's UI message stream, which ``useChat`` and assistant-ui read. Pure.

Rules:

* Every text and every thought has an id, a start and an end; a call has its input, then its output.
* A step is what the model said in one go: after results, what it says next begins another.
* An answer that waits for a person ends the stream with its requests for approval; the client's next request brings
  the decisions, and the stream of that one goes on with the same message (``goes_on``).
* What only the page shows (progress, notices) travels as data that is not kept in the message.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streamchat.chat import events as e
from streamchat.chat.messages import Message, ToolCallPart
from streamchat.web.encoding import DONE, json_bytes
from streamchat.web.vendors.faults import error_of

HEADERS = {"x-vercel-ai-ui-message-stream": "v1"}
_REASONS = {"stop": "stop", "length": "length", "tool-calls": "tool-calls", "content-filter": "content-filter",
            "refusal": "content-filter"}  # fmt: skip
Said = list[dict[str, Any]]


class UIMessageWriter:
    """``metadata``: kept with the message. ``goes_on``: the answer as the client has it already."""

    def __init__(self, run_id: str, metadata: Mapping[str, Any], goes_on: Message | None = None) -> None:
        self._run_id = run_id
        self._metadata = dict(metadata)
        self._open: tuple[str, str] | None = None
        self._number = len(goes_on.parts) if goes_on else 0
        self._in_step = goes_on is not None
        self._answered = False
        self._raw: dict[str, list[str]] = {}
        calls = [part for part in goes_on.parts if isinstance(part, ToolCallPart)] if goes_on else []
        self._names = {part.id: part.name for part in calls}
        self._inputs: dict[str, Any] = {part.id: part.arguments for part in calls if part.arguments is not None}

    def open(self) -> bytes:
        start = {"type": "start", "messageId": self._run_id, "messageMetadata": self._metadata}
        return _encoded([start])

    def add(self, event: e.Event) -> bytes:
        said = _encoded(self._one(event))
        return said + DONE if isinstance(event, (e.Waiting, *e.ENDINGS)) else said

    def _one(self, event: e.Event) -> Said:
        match event:
            case e.TextDelta(text) | e.Notice("refusal", text):
                return self._say("text", text)
            case e.ReasoningDelta(text, opaque):
                said = self._say("reasoning", text) if text else []
                return said + self._close() if opaque is not None else said
            case e.SourceAdded(url, title):
                self._number += 1
                source = {"type": "source-url", "sourceId": f"s{self._number}", "url": url}
                return [*self._close(), *self._step(), source | ({"title": title} if title else {})]
            case e.Notice(kind, text, data):
                told = {"kind": kind, "text": text, "data": dict(data or {})}
                return [{"type": "data-notice", "data": told, "transient": True}]
            case e.UsageReported():
                self._metadata["usage"] = _usage(event)
                return []
            case e.Waiting(call_ids):
                asked = [_about("tool-approval-request", call_id, approvalId=call_id) for call_id in call_ids]
                return [*self._close(), *asked, *self._finish("tool-calls")]
            case e.Finished() | e.Stopped() | e.Failed() | e.Interrupted():
                return [*self._close(), *self._end(event)]
        return self._called(event)

    def _called(self, event: e.Event) -> Said:
        match event:
            case e.ToolCallStarted(call_id, name, by_provider):
                self._names[call_id] = name
                start = _about("tool-input-start", call_id, toolName=name)
                said = [*self._close(), *self._step()]
                return [*said, start | ({"providerExecuted": True} if by_provider else {})]
            case e.ToolCallArguments(call_id, fragment) if fragment:
                self._raw.setdefault(call_id, []).append(fragment)
                return [_about("tool-input-delta", call_id, inputTextDelta=fragment)]
            case e.ToolCallReady(call_id, arguments) if self._inputs.get(call_id) != arguments:
                self._inputs[call_id] = dict(arguments)
                return [_about("tool-input-available", call_id, toolName=self._names[call_id], input=arguments)]
            case e.ToolProgress(call_id, text) if text:
                data = {"toolCallId": call_id, "text": text}
                return [{"type": "data-tool-progress", "data": data, "transient": True}]
            case e.ToolResult():
                return self._result(event)
        return []

    def _result(self, event: e.ToolResult) -> Said:
        self._answered = True
        call_id, error = event.call_id, event.error or "The tool was not run."
        if event.state == "done":
            return [_about("tool-output-available", call_id, output=event.result)]
        if event.state == "denied":
            return [_about("tool-output-denied", call_id)]
        if call_id not in self._inputs:  # what came is no input
            raw = "".join(self._raw.get(call_id, ()))
            named = {"toolName": self._names[call_id], "input": raw}
            return [_about("tool-input-error", call_id, **named, errorText=error)]
        return [_about("tool-output-error", call_id, errorText=error)]

    def _say(self, kind: str, text: str) -> Said:
        said: Said = []
        if self._answered:
            said += [*self._close(), *self._leave()]
        if self._open is None or self._open[0] != kind:
            said += [*self._close(), *self._step()]
            self._number += 1
            self._open = (kind, f"p{self._number}")
            said.append({"type": f"{kind}-start", "id": self._open[1]})
        return [*said, {"type": f"{kind}-delta", "id": self._open[1], "delta": text}]

    def _close(self) -> Said:
        if self._open is None:
            return []
        (kind, place), self._open = self._open, None
        return [{"type": f"{kind}-end", "id": place}]

    def _step(self) -> Said:
        if self._in_step:
            return []
        self._in_step = True
        return [{"type": "start-step"}]

    def _leave(self) -> Said:
        self._answered = False
        if not self._in_step:
            return []
        self._in_step = False
        return [{"type": "finish-step"}]

    def _finish(self, reason: str) -> Said:
        return [*self._leave(), {"type": "finish", "finishReason": reason, "messageMetadata": self._metadata}]

    def _end(self, ending: e.Ending) -> Said:
        match ending:
            case e.Finished(reason):
                return self._finish(_REASONS.get(reason, "other"))
            case e.Stopped():
                return [*self._leave(), {"type": "abort", "reason": error_of(ending).user_message}]
        return [{"type": "error", "errorText": error_of(ending).user_message}]


def _about(kind: str, call_id: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "toolCallId": call_id, **more}


def _usage(usage: e.UsageReported) -> dict[str, Any]:
    told = {"inputTokens": usage.input, "outputTokens": usage.output, "reasoningTokens": usage.reasoning}
    return {name: count for name, count in told.items() if count is not None}


def _encoded(said: Said) -> bytes:
    return b"".join(b"data: %b\n\n" % json_bytes(one) for one in said)
