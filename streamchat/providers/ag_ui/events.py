"""AG-UI events to ours. Pure. Rules:

* The run ends with ``RUN_FINISHED``; what follows it is not read. Without it the answer was cut off.
* Tools that we declared are ours to run; any other call is the agent's own, and its result is part of the stream.
* Text without a start is text all the same. Arguments or a result of no call, and a second run within one, break the
  answer off.
* State is shown as a notice. A pause for a person's decision is one too: the next question cancels it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from streamchat.chat import events as e
from streamchat.errors import StreamBroken
from streamchat.providers.event_builder import Call, EventBuilder

_SHOWN = 300


class AgUiNormaliser:
    """See ``stream_reader.Normaliser``. ``ours``: names of the tools that we declared."""

    def __init__(self, known: Mapping[str, e.Opaque | None], ours: Collection[str]) -> None:
        self.builder = EventBuilder(known)
        self.error: Any = None
        self._ours = ours
        self._started = self._finished = False
        self._message = self._last_call = ""
        self._hidden: set[str] = set()
        self._calls: dict[str, Call] = {}
        self._said = ""
        self._state: Any = None
        self._interrupts: list[str] = []
        self._usage: e.UsageReported | None = None

    @property
    def patience(self) -> float | None:
        """See ``Normaliser``."""
        return 0 if self._finished else None

    def feed(self, name: str, data: dict[str, Any]) -> None:
        """See ``Normaliser``."""
        if self._finished:
            return
        match data["type"]:
            case "RUN_STARTED":
                if self._started:
                    raise StreamBroken("The agent began another run in the middle of this one.", kind="spliced")
                self._started = True
            case "TEXT_MESSAGE_START" if data.get("role", "assistant") != "assistant":
                self._hidden.add(data["messageId"])
            case "TEXT_MESSAGE_CONTENT" | "TEXT_MESSAGE_CHUNK":
                self._text(data.get("messageId") or self._message, data.get("delta") or "")
            case "REASONING_MESSAGE_CONTENT" | "REASONING_MESSAGE_CHUNK" | "THINKING_TEXT_MESSAGE_CONTENT":
                self.builder.reasoning(data.get("delta") or "")
            case "RUN_FINISHED":
                self._end(data)
            case "RUN_ERROR":
                self.error = {"message": data.get("message") or "It gives no reason.", "code": data.get("code")}
            case "MESSAGES_SNAPSHOT":
                self._said = _last_text(data["messages"])
            case "STATE_SNAPSHOT":
                self._show_state(data.get("snapshot"))
            case "STATE_DELTA":
                self._state = None  # what we have is not the state any more
            case kind if isinstance(kind, str) and kind.startswith("TOOL_CALL_"):
                self._tool_event(kind, data)

    def whole(self, data: dict[str, Any]) -> None:
        """See ``Normaliser``. An agent always streams."""
        raise ValueError("not a stream")

    def done(self) -> None:
        """See ``Normaliser``. AG-UI has no such marker."""

    def finish(self) -> None:
        """See ``Normaliser``."""
        if not self._finished:
            raise StreamBroken("The agent ended the stream in the middle of its run.", kind="cut", retryable=True)

    def flush(self) -> None:
        """See ``Normaliser``."""
        self.builder.release()

    def _text(self, message_id: str, text: str) -> None:
        if message_id in self._hidden or not text:
            return
        if self._message and message_id != self._message:
            self.builder.text("\n\n")
        self._message = message_id
        self.builder.text(text)

    def _tool_event(self, kind: str, data: dict[str, Any]) -> None:
        call_id = data.get("toolCallId") or self._last_call
        if kind == "TOOL_CALL_START" or (kind == "TOOL_CALL_CHUNK" and call_id not in self._calls):
            name = data["toolCallName"]
            self._calls[call_id] = self.builder.call(call_id, name, by_provider=name not in self._ours)
            self._last_call = call_id
            self._message = ""
        call = self._calls.get(call_id)
        if call is None:
            raise StreamBroken("The agent sent a part of a tool call that it had not begun.", kind="bad-event")
        if kind in ("TOOL_CALL_ARGS", "TOOL_CALL_CHUNK"):
            self.builder.arguments(call, data.get("delta") or "")
        elif kind == "TOOL_CALL_END" and not call.closed and not self.builder.ready(call):
            call.lost = True
        elif kind == "TOOL_CALL_RESULT" and not call.answered:
            if not call.closed:
                self.builder.ready(call)
            self.builder.result(call, "done", result=_json_or_text(data.get("content")))

    def _show_state(self, state: Any) -> None:
        if state in (None, {}, [], "") or state == self._state:
            return
        self._state = state
        text = json.dumps(state, ensure_ascii=False)
        shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
        self.builder.emit(e.Notice("agent-state", f"The agent's state: {shown}"))

    def _end(self, data: dict[str, Any]) -> None:
        outcome = data.get("outcome") or {}
        if outcome.get("type") == "interrupt":
            for interrupt in outcome["interrupts"]:
                self._interrupts.append(interrupt["id"])
                asked = interrupt.get("message") or interrupt.get("reason") or "It gives no reason."
                text = f"The agent waits for a decision, which cannot be given here: {asked[:_SHOWN]}"
                self.builder.emit(e.Notice("agent-interrupt", text))
        if not self.builder.has_content and self._said:
            self.builder.text(self._said)
        waits = any(not (call.by_provider or call.answered) for call in self.builder.calls)
        kept = {"state": self._state, "interrupts": self._interrupts}
        opaque = {"ag_ui": {name: value for name, value in kept.items() if value}} if any(kept.values()) else None
        self._finished = True
        self.builder.finish("tool-calls" if waits else "stop", _usage(data.get("usage")), opaque)


def _usage(entries: Any) -> e.UsageReported | None:
    total: e.UsageReported | None = None
    for entry in entries if isinstance(entries, list) else ():
        names = ("inputTokens", "outputTokens", "cachedInputTokens", "reasoningTokens")
        one = e.UsageReported(*(entry[n] if isinstance(entry.get(n), int) else None for n in names))
        total = one if total is None else total + one
    return total


def _last_text(messages: Any) -> str:
    last = messages[-1] if messages else {}
    content = last.get("content") if last.get("role") == "assistant" else ""
    return content if isinstance(content, str) else ""


def _json_or_text(content: Any) -> Any:
    if not isinstance(content, str):
        return content
    try:
        return json.loads(content) if content[:1] in ("{", "[") else content
    except (ValueError, RecursionError):
        return content
