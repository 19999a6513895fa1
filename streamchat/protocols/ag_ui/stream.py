"""An answer as AG-UI events. Pure.

Rules:

* Every text, reasoning and call has a start and an end, and all are closed before the run ends.
* What follows a tool call or its result is another message. The first message has the id of the answer, the others
  the same with a number, so that ``request.last_answer`` finds it.
* An answer that waits for approval ends the run with an interrupt per call; the client's next run brings the
  decisions (``continues``), and no call is begun a second time.
* A stopped answer is a run with the outcome ``cancelled``; its result says so too, for clients that do not know it.
  *failed* and *interrupted* are errors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from streamchat.chat import events as e
from streamchat.chat.messages import Message, ToolCallPart
from streamchat.protocols.ag_ui.request import interrupt_id
from streamchat.protocols.encoding import COMMENT, json_bytes
from streamchat.protocols.vendor_errors import error_of

Events = list[dict[str, Any]]
_DECISION: dict[str, Any] = {
    "type": "object",
    "properties": {
        "approved": {"type": "boolean"},
        "editedArgs": {"type": "object", "description": "Replaces the arguments."},
        "reason": {"type": "string", "description": "Why it is denied, for the model."},
    },
    "required": ["approved"],
}


class AgUiWriter:
    """Writes the stream. ``thread_id``, ``run_id``: the client's. ``continues``: the answer as the client has it.
    ``parent_id``: the client's run before, as it names it.

    ``answer_id``: our id of the answer, ``model``: its model. ``parameters``: returns the schema of a tool's arguments.
    """

    heartbeat = COMMENT

    def __init__(
        self,
        thread_id: str,
        run_id: str,
        answer_id: str,
        *,
        model: str = "",
        continues: Message | None = None,
        parent_id: str | None = None,
        parameters: Callable[[str], Mapping[str, Any] | None] = lambda name: None,
    ) -> None:
        self._run = {"threadId": thread_id, "runId": run_id}
        self._parent = {"parentRunId": parent_id} if parent_id else {}
        self._answer_id = answer_id
        self._model = model
        self._parameters = parameters
        self._open: tuple[str, str] | None = None
        self._message = len(continues.parts) if continues else 0
        self._reasoning = self._message
        self._after_calls = continues is not None
        self._usage: e.UsageReported | None = continues.usage if continues else None
        calls = [part for part in continues.parts if isinstance(part, ToolCallPart)] if continues else []
        self._names = {part.id: part.name for part in calls}
        self._forms: dict[str, Any] = {part.id: part.schema for part in calls if part.schema is not None}
        self._complete = {part.id for part in calls}

    def open(self) -> bytes:
        """See ``Writer``."""
        return _encode([{"type": "RUN_STARTED", **self._run, **self._parent}])

    def add(self, event: e.Event) -> bytes:
        """See ``Writer``; an interrupt ends the stream as well."""
        return _encode(self._events(event))

    def _events(self, event: e.Event) -> Events:
        match event:
            case e.TextDelta(text) | e.Notice("refusal", text):
                return self._delta("text", text) if text else []
            case e.ReasoningDelta(text, opaque):
                events = self._delta("reasoning", text) if text else []
                return events + self._close() if opaque is not None else events
            case e.SourceAdded(url, title):
                return [_custom("source", {"url": url, "title": title})]
            case e.Notice(kind, text, data):
                return [_custom("notice", {"kind": kind, "text": text, "data": dict(data or {})})]
            case e.UsageReported():
                self._usage = event
                return []
            case e.Waiting(call_ids):
                interrupts = [self._interrupt(call_id) for call_id in call_ids]
                return [*self._close_all(), self._finished({"type": "interrupt", "interrupts": interrupts})]
            case e.Finished(reason):
                return [*self._close_all(), self._finished({"type": "success"}, reason)]
            case e.Stopped():
                return [*self._close_all(), self._finished({"type": "cancelled"}, "stopped")]
            case e.Failed() | e.Interrupted():
                error = error_of(event)
                return [
                    *self._close_all(),
                    {"type": "RUN_ERROR", "message": error.user_message, "code": error.kind, **self._counts()},
                ]
        return self._call_events(event)

    def _call_events(self, event: e.Event) -> Events:
        match event:
            case e.ToolCallStarted(call_id, name):
                events = self._close()
                parent = self._message_id(new=self._after_calls and not self._open_calls)
                self._names[call_id] = name
                self._after_calls = True
                return [
                    *events,
                    _call("TOOL_CALL_START", call_id, toolCallName=name or "unknown", parentMessageId=parent),
                ]
            case e.ToolCallArguments(call_id, fragment) if fragment and call_id not in self._complete:
                return [_call("TOOL_CALL_ARGS", call_id, delta=fragment)]
            case e.ToolCallReady(call_id, _, _, schema):
                if schema is not None:
                    self._forms[call_id] = schema
                return self._end_call(call_id)
            case e.ToolProgress(call_id, text) if text:
                return [_custom("tool-progress", {"toolCallId": call_id, "text": text})]
            case e.ToolResult(call_id, state, result, error):
                text = error or "The tool was not run." if state != "done" else _as_text(result)
                message_id = f"{self._answer_id}:{call_id}"
                return [
                    *self._end_call(call_id),
                    _call("TOOL_CALL_RESULT", call_id, messageId=message_id, content=text, role="tool"),
                ]
        return []

    @property
    def _open_calls(self) -> set[str]:
        return set(self._names) - self._complete

    def _end_call(self, call_id: str) -> Events:
        if call_id in self._complete or call_id not in self._names:
            return []
        self._complete.add(call_id)
        return [_call("TOOL_CALL_END", call_id)]

    def _delta(self, kind: str, text: str) -> Events:
        events: Events = []
        if self._open is None or self._open[0] != kind:
            events += self._close()
            if kind == "text":
                message_id = self._message_id(new=self._after_calls)
                self._after_calls = False
                events.append({"type": "TEXT_MESSAGE_START", "messageId": message_id, "role": "assistant"})
            else:
                self._reasoning += 1
                message_id = f"{self._answer_id}:r{self._reasoning}"
                events.append({"type": "REASONING_START", "messageId": message_id})
                events.append({"type": "REASONING_MESSAGE_START", "messageId": message_id, "role": "reasoning"})
            self._open = (kind, message_id)
        name = "TEXT_MESSAGE_CONTENT" if kind == "text" else "REASONING_MESSAGE_CONTENT"
        return [*events, {"type": name, "messageId": self._open[1], "delta": text}]

    def _message_id(self, *, new: bool) -> str:
        if new:
            self._message += 1
        return f"{self._answer_id}:{self._message}" if self._message else self._answer_id

    def _close(self) -> Events:
        if self._open is None:
            return []
        (kind, message_id), self._open = self._open, None
        if kind == "text":
            return [{"type": "TEXT_MESSAGE_END", "messageId": message_id}]
        return [
            {"type": "REASONING_MESSAGE_END", "messageId": message_id},
            {"type": "REASONING_END", "messageId": message_id},
        ]

    def _close_all(self) -> Events:
        return [*self._close(), *(event for call_id in sorted(self._open_calls) for event in self._end_call(call_id))]

    def _interrupt(self, call_id: str) -> dict[str, Any]:
        name = self._names.get(call_id, "")
        form = self._forms.get(call_id) or self._parameters(name)
        fields = {**_DECISION["properties"], **({"editedArgs": form} if form else {})}
        return {
            "id": interrupt_id(self._answer_id, call_id),
            "reason": "tool_call",
            "message": f"Run {name or 'this tool'}?",
            "toolCallId": call_id,
            "responseSchema": {**_DECISION, "properties": fields},
        }

    def _finished(self, outcome: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        result = {"result": {"reason": reason}} if reason else {}
        return {"type": "RUN_FINISHED", **self._run, "outcome": outcome, **result, **self._counts()}

    def _counts(self) -> dict[str, Any]:
        usage = self._usage
        if usage is None:
            return {}
        counts = {"inputTokens": usage.input, "outputTokens": usage.output, "reasoningTokens": usage.reasoning,
                  "cachedInputTokens": usage.cached}  # fmt: skip
        known = {name: count for name, count in counts.items() if count is not None}
        provider, _, model = self._model.partition(":")
        named = {"provider": provider, "model": model} if model else {}
        return {"usage": [{**named, **known}]}


def _call(kind: str, call_id: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "toolCallId": call_id, **more}


def _custom(name: str, value: Any) -> dict[str, Any]:
    return {"type": "CUSTOM", "name": name, "value": value}


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json_bytes(value).decode()


def _encode(events: Events) -> bytes:
    return b"".join(b"data: %b\n\n" % json_bytes(event) for event in events)
