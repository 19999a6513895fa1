"""Turns what a model's function yields into the events of an answer.

Knows nothing of threads. Rules:

* A string is text of the answer; a ``ToolCall`` is a call with its arguments; events are those of ``chat.events``.
* ``Finished`` ends the answer. Without it the end of the function does: with ``tool-calls`` if the server is to run
  some of its calls, else with ``stop``.
* Anything else is an error message that names its type. Values become JSON here, so that none reaches the log that
  could not be stored.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeAlias, get_args

from streamchat.chat import events as e
from streamchat.chat.json_depth import parse_json
from streamchat.errors import StreamBroken
from streamchat.providers.event_builder import LIMITS, Call, EventBuilder, Limits
from streamchat.providers.finish_reasons import MAX_REASON
from streamchat.providers.python.definition import ToolCall
from streamchat.providers.token_counts import MOST_TOKENS

Piece: TypeAlias = (
    str
    | ToolCall
    | e.TextDelta
    | e.ReasoningDelta
    | e.ToolCallStarted
    | e.ToolCallArguments
    | e.ToolCallReady
    | e.ToolProgress
    | e.ToolResult
    | e.SourceAdded
    | e.UsageReported
    | e.Notice
    | e.Finished
)


class Pieces:
    """The pieces of one answer. ``name``: the model's, for error messages. ``known``: see ``EventBuilder``."""

    def __init__(self, name: str, known: Mapping[str, e.Opaque | None], limits: Limits = LIMITS) -> None:
        self._name = name
        self._limits = limits
        self._builder = EventBuilder(known, limits)
        self._calls: dict[str, Call] = {}
        self._count = 0
        self._usage: e.UsageReported | None = None
        self.ended = False
        self.has_content = False

    def add(self, piece: object) -> list[e.Event]:
        """Return the events of one piece. Raises ``StreamBroken`` for one that makes no sense, or over a limit."""
        self._count += 1
        if self._count > self._limits.events:
            raise StreamBroken("The answer is longer than allowed.", kind="too-long")
        # Only what is not ASCII can hold half a surrogate pair; to look for one costs more than all the rest.
        self._builder.has_halves = not (isinstance(piece, str) and piece.isascii())
        try:
            self._add(piece)
        except (TypeError, ValueError, AttributeError, RecursionError) as error:
            raise self._bad(f"{_type_of(piece)} that is not valid ({error})") from None
        out = self._builder.drain()
        self.has_content = self.has_content or self._builder.has_content or bool(out)
        return out

    def finish(self) -> list[e.Event]:
        """Return the last events, if the function just ended."""
        ours = any(not (call.by_provider or call.answered) for call in self._builder.calls)
        self._finish("tool-calls" if ours else "stop")
        return self._builder.drain()

    def _finish(self, reason: str) -> None:
        self.ended = True
        self._builder.finish(reason, self._usage)

    def _add(self, piece: object) -> None:
        builder = self._builder
        match piece:
            case str():
                builder.text(str(piece))
            case e.TextDelta(text):
                builder.text(_text(text))
            case e.ReasoningDelta(text, opaque):
                builder.reasoning(_text(text))
                if opaque is not None:
                    builder.close_reasoning(_object(opaque))
            case e.SourceAdded(url, title):
                builder.source(_text(url), _text(title))
            case e.UsageReported():
                counts = (piece.input, piece.output, piece.cached, piece.reasoning, piece.written)
                self._usage = e.UsageReported(*(None if count is None else _count(count) for count in counts))
            case e.Notice(kind, text, data):
                builder.emit(e.Notice(_text(kind)[:MAX_REASON], _text(text), None if data is None else _object(data)))
            case e.Finished(reason):
                self._finish(_text(reason)[:MAX_REASON])
            case _:
                self._add_call(piece)

    def _add_call(self, piece: object) -> None:
        builder = self._builder
        match piece:
            case ToolCall():
                call = self._start(piece.id, piece.name, piece.by_provider)
                self._ready(call, _object(piece.arguments))
            case e.ToolCallStarted(call_id, name, by_provider):
                self._start(call_id, name, by_provider)
            case e.ToolCallArguments(call_id, fragment):
                builder.arguments(self._call(call_id), _text(fragment))
            case e.ToolCallReady(call_id, arguments):
                self._ready(self._call(call_id), _object(arguments))
            case e.ToolProgress(call_id, text):
                builder.emit(e.ToolProgress(self._call(call_id).id, _text(text)[:500]))
            case e.ToolResult():
                self._result(piece)
            case _:
                raise self._bad(_type_of(piece))

    def _start(self, call_id: str, name: str, by_provider: bool) -> Call:
        call = self._builder.call(_text(call_id), _text(name), by_provider=bool(by_provider))
        self._calls[call_id or call.id] = call
        return call

    def _ready(self, call: Call, arguments: dict[str, Any]) -> None:
        if not call.closed:
            if not call.pieces:
                self._builder.arguments(call, json.dumps(arguments, ensure_ascii=False))
            self._builder.ready(call, arguments)

    def _result(self, piece: e.ToolResult) -> None:
        if piece.state not in get_args(e.ToolOutcome):
            raise ValueError(f"there is no state {str(piece.state)[:64]!r}")
        call = self._call(piece.call_id)
        if call.answered:
            return
        if not call.closed:
            self._builder.ready(call)
        error = None if piece.error is None else _text(piece.error)
        self._builder.result(call, piece.state, result=_json(piece.result), error=error)

    def _call(self, call_id: str) -> Call:
        call = self._calls.get(call_id)
        if call is None:
            raise ValueError(f"there is no call {str(call_id)[:64]!r}")
        return call

    def _bad(self, what: str) -> StreamBroken:
        return StreamBroken(
            f"The model {self._name} yielded {what[:200]}; a model yields text and events.", kind="bad-event"
        )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} instead of text")
    return value


def _count(value: Any) -> int:
    return min(max(0, int(value)), MOST_TOKENS)


def _json(value: Any) -> Any:
    return parse_json(json.dumps(value, allow_nan=False))


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError(f"{type(value).__name__} instead of an object")
    return _json(dict(value))


def _type_of(piece: object) -> str:
    return f"a value of the type {type(piece).__name__}"
