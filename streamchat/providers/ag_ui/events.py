"""AG-UI events to ours. Pure. Rules:

* The run ends with ``RUN_FINISHED``; what follows it is not read. Without it, or if that says that the run was
  cancelled, the answer was cut off.
* Tools that we declared are ours to run; any other call is the agent's own, and its result is part of the stream.
* Text without a start is text all the same. Arguments or a result of no call, and a second run within one, break the
  answer off.
* State is a panel: its first snapshot, a line for each change, and what it is in the end.
* A pause for a person's decision (``interrupts``) ends the run with the reason ``interrupt``: each is a call with a
  form. The agent's next run settles these calls.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from streamchat.chat import events as e
from streamchat.chat.messages import ToolCallPart
from streamchat.errors import StreamBroken
from streamchat.providers.ag_ui import interrupts
from streamchat.providers.ag_ui.state import PatchError, Patches
from streamchat.providers.event_builder import Call, EventBuilder
from streamchat.providers.history import arguments_text
from streamchat.providers.token_counts import count
from streamchat.providers.tolerant_json import read_arguments

OWN = "own"
"""Marks the calls in an answer that the agent knows nothing of: its state, and its questions."""
_SHOWN = 300
_MAX_LINES = 500


class AgUiNormaliser:
    """See ``stream_reader.Normaliser``. ``ours``: names of the tools that we declared.

    ``run_id`` and ``state``: what the agent was sent. ``before``: the text of the answer so far. ``open_calls``: its
    calls that an earlier run left open.
    """

    def __init__(
        self,
        known: Mapping[str, e.Opaque | None],
        ours: Collection[str],
        *,
        run_id: str = "",
        state: Any = None,
        before: str = "",
        open_calls: Iterable[ToolCallPart] = (),
    ) -> None:
        self.builder = EventBuilder(known)
        self.error: Any = None
        self._ours = ours
        self._started = self._finished = False
        self._message = self._last_call = ""
        self._hidden: set[str] = set()
        self._calls: dict[str, Call] = {}
        self._said, self._before = "", before
        self._heard = False
        self._run_id = run_id
        self._state: Any = state or None
        self._patches = Patches()
        self._panel: Call | None = None
        self._lines = 0
        self._open = {part.id: part for part in open_calls}
        for part in self._open.values():
            call = Call(part.id, part.id, part.name, True, dict(part.opaque or {}), [arguments_text(part)], closed=True)
            self._calls[part.id] = call
        self.builder.calls += self._calls.values()

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
                self._settle_decided()
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
                self._snapshot(data.get("snapshot"))
            case "STATE_DELTA":
                self._delta(data["delta"])
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
        self._message, self._heard = message_id, True
        self.builder.text(text)

    def _tool_event(self, kind: str, data: dict[str, Any]) -> None:
        call_id = data.get("toolCallId") or self._last_call
        if call_id in self._open and kind != "TOOL_CALL_RESULT":
            return  # some agents say again what they asked about
        if kind == "TOOL_CALL_START" or (kind == "TOOL_CALL_CHUNK" and call_id not in self._calls):
            name = data["toolCallName"]
            self._calls[call_id] = self.builder.call(call_id, name, by_provider=name not in self._ours)
            self._last_call = call_id
            self._message = ""
        call = self._calls.get(call_id)
        if call is None and call_id in self.builder.known:
            return  # it says what came of a call that was denied
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

    def _settle_decided(self) -> None:
        """The agent has the decisions about its questions. Those about calls it settles itself, with their results."""
        for call_id, part in self._open.items():
            if part.schema is not None and (part.opaque or {}).get(OWN):
                self.builder.result(
                    self._calls[call_id], "done", result=dict(part.arguments or {}) or {"approved": True}
                )

    def _snapshot(self, state: Any) -> None:
        before, self._state = _shown(self._state), state
        shown = _shown(state)
        if shown == before or (self._panel is None and shown in (None, {}, [], "")):
            return
        if self._panel is None:
            self._show_panel()
        else:
            self._line(_short(shown))

    def _delta(self, operations: Sequence[Mapping[str, Any]]) -> None:
        try:
            self._state = self._patches.apply({} if self._state is None else self._state, operations)
        except PatchError:
            raise StreamBroken("The agent changed a state that it had not sent.", kind="bad-event") from None
        if self._panel is None:
            self._show_panel()
        for operation in operations:
            what = [str(operation["op"]), str(operation["path"])]
            if "from" in operation:
                what.append(f"from {operation['from']}")
            elif "value" in operation:
                what.append(_short(operation["value"]))
            self._line(" ".join(what))

    def _show_panel(self) -> None:
        self._panel = self.builder.call("agent-state", "state", by_provider=True, opaque={OWN: True})
        shown = deepcopy(_shown(self._state))  # later operations change the state, never what the log has of it
        self.builder.ready(self._panel, shown if isinstance(shown, dict) else {"state": shown})

    def _line(self, text: str) -> None:
        self._lines += 1
        if self._panel is not None and self._lines <= _MAX_LINES:
            self.builder.emit(e.ToolProgress(self._panel.id, text[:_SHOWN]))

    def _end(self, data: dict[str, Any]) -> None:
        outcome = data.get("outcome") or {}
        if outcome.get("type") == "cancelled":
            raise StreamBroken("The agent was stopped before its answer was complete.", kind="incomplete")
        if self._panel is not None:
            self.builder.result(self._panel, "done", result=_shown(self._state))
        if self._said and not self._heard and not self._before.endswith(self._said):
            self.builder.text(self._said)
        asked = outcome["interrupts"] if outcome.get("type") == "interrupt" else []
        kept = {"run": self._run_id, "state": _shown(self._state), "interrupts": [self._ask(one) for one in asked]}
        kept = {"ag_ui": {name: value for name, value in kept.items() if value}}
        usage = _usage(data.get("usage"))
        if asked:
            self.builder.emit(e.Notice(interrupts.KIND, _questions(asked), None, kept))
            self.builder.finish("interrupt", usage)
        else:
            waits = any(not (call.by_provider or call.answered) for call in self.builder.calls)
            self.builder.finish("tool-calls" if waits else "stop", usage, kept if kept["ag_ui"] else None)
        self._finished = True  # an error from here on is not one of the answer

    def _ask(self, interrupt: Mapping[str, Any]) -> dict[str, Any]:
        """Make a call wait for a decision; return what is needed to bring it back."""
        schema = interrupt.get("responseSchema")
        call = self._calls.get(interrupt.get("toolCallId") or "")
        bound = call is not None and call.by_provider and not call.answered
        if call is None or not bound:
            name = str(interrupt.get("reason") or "question")
            call = self.builder.call(f"interrupt-{interrupt['id']}", name, by_provider=True, opaque={OWN: True})
            self.builder.ready(call, {})
        elif not call.closed:
            self.builder.ready(call)
        arguments = read_arguments(call.pieces) or {} if bound else None
        form = interrupts.form_of(schema, arguments)
        self.builder.emit(e.ToolCallReady(call.id, arguments or {}, call.opaque, form))
        return {"id": interrupt["id"], "call": call.id, "schema": schema, "bound": bound}


def _questions(asked: Sequence[Mapping[str, Any]]) -> str:
    texts = [str(one.get("message") or one.get("reason") or "It gives no reason.")[:_SHOWN] for one in asked]
    return f"The agent asks: {' '.join(texts)}"


def _shown(state: Any) -> Any:
    """Return a state without the conversation, which some agents have in it, and everybody has already."""
    return {name: value for name, value in state.items() if name != "messages"} if isinstance(state, dict) else state


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def _usage(entries: Any) -> e.UsageReported | None:
    total: e.UsageReported | None = None
    found = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    for entry in found:
        names = ("inputTokens", "outputTokens", "cachedInputTokens", "reasoningTokens")
        one = e.UsageReported(*(count(entry.get(n)) for n in names))
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
