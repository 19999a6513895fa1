"""What a client of any shape asks for, and its conversation put in order.

Pure. Rules:

* Neighbouring turns of the assistant, with the results between them, are one answer: that is what they are here.
* A result belongs to the latest call of its id. Results of calls that are not among the messages are kept aside: the
  calls may be in a conversation that is stored here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from streamchat.chat.events import Json
from streamchat.chat.messages import Message, Part, ReasoningPart, Role, TextPart, ToolCallPart, ToolState, whole
from streamchat.chat.request import Options, ToolSpec
from streamchat.errors import InvalidInput

MAX_TURNS = 5000
MAX_TOOLS = 500


@dataclass(frozen=True, slots=True)
class Result:
    """What a tool of the client's answered."""

    text: str
    error: bool = False

    def put(self, call: ToolCallPart) -> ToolCallPart:
        """The call with this result."""
        if self.error:
            return replace(call, state="error", result=None, error=self.text or "The tool failed.")
        return replace(call, state="done", result=self.text, error=None)


class Transcript:
    """The messages of a request, added one by one."""

    def __init__(self) -> None:
        self._turns: list[tuple[Role, list[Part]]] = []
        self._system: list[str] = []
        self._calls: dict[str, int] = {}  # of the last turn, by id
        self.results: dict[str, Result] = {}

    def system(self, text: str) -> None:
        if text.strip():
            self._system.append(whole(text))

    def user(self, parts: Sequence[Part]) -> None:
        self._add("user", parts)

    def answer(self, parts: Sequence[Part]) -> None:
        if not self._turns or self._turns[-1][0] != "assistant":
            self._add("assistant", ())
            self._calls = {}
        said = self._turns[-1][1]
        self._calls |= {p.id: i for i, p in enumerate(parts, len(said)) if isinstance(p, ToolCallPart)}
        said.extend(parts)

    def result(self, call_id: str, result: Result) -> None:
        if self._turns and self._turns[-1][0] == "assistant" and call_id in self._calls:
            parts, index = self._turns[-1][1], self._calls[call_id]
            if isinstance(part := parts[index], ToolCallPart):
                parts[index] = result.put(part)
        else:
            self.results[call_id] = result

    def asked(
        self, model: str, options: Options, tools: tuple[ToolSpec, ...], *, stream: bool, after: str | None = None
    ) -> Asked:
        """The request with these messages. Raises as ``turns``."""
        system = "\n\n".join(self._system) or None
        return Asked(model, self.turns, self.results, system, options, tools, stream, after)

    @property
    def turns(self) -> tuple[Message, ...]:
        """The messages. Raises ``InvalidInput`` where there is nothing to answer."""
        turns = tuple(Message("", role, tuple(parts)) for role, parts in self._turns if parts)
        if not turns and not self.results:
            raise InvalidInput("There is no message to answer.")
        if len(turns) > MAX_TURNS:
            raise InvalidInput(f"More than {MAX_TURNS:,} messages are not taken in one request.")
        return turns

    def _add(self, role: Role, parts: Sequence[Part]) -> None:
        self._turns.append((role, list(parts)))


@dataclass(frozen=True, slots=True)
class Asked:
    """A request. ``results``: those whose calls are not in ``turns``; ``after``: the run that it goes on from."""

    model: str
    turns: tuple[Message, ...]
    results: Mapping[str, Result] = field(default_factory=dict)
    system: str | None = None
    options: Options = field(default_factory=Options)
    tools: tuple[ToolSpec, ...] = ()
    stream: bool = False
    after: str | None = None

    @property
    def answers(self) -> dict[str, Result]:
        """The results that end the request: what the client brings for the calls of the answer before."""
        found = dict(self.results)
        for part in self.beginning:
            if isinstance(part, ToolCallPart) and part.state in ("done", "error"):
                found[part.id] = Result(str(part.error or part.result or ""), part.state == "error")
        return found

    @property
    def beginning(self) -> tuple[Part, ...]:
        """The parts of a last turn that is the assistant's: with them the answer begins."""
        last = self.turns[-1] if self.turns else None
        return last.parts if last is not None and last.role == "assistant" else ()

    @property
    def question(self) -> tuple[Part, ...]:
        """The last turn, if it is the person's."""
        last = self.turns[-1] if self.turns else None
        return last.parts if last is not None and last.role == "user" else ()

    @property
    def earlier(self) -> tuple[Message, ...]:
        return self.turns[:-1]


def text_parts(text: str | None) -> tuple[Part, ...]:
    """Nothing of nothing."""
    return (TextPart(whole(text)),) if text else ()


def thought(text: str, mark: str = "") -> ReasoningPart:
    """Thinking that comes back. ``mark``: the one that it went out with (``marks``)."""
    return ReasoningPart(whole(text), {"mark": mark} if mark else None)


def call(call_id: str, name: str, arguments: str | Mapping[str, Json]) -> ToolCallPart:
    """A call that the assistant made earlier."""
    raw = arguments if isinstance(arguments, str) else json.dumps(arguments)
    state: ToolState = "ready"
    return ToolCallPart(call_id, name, raw=whole(raw), arguments=_object(raw), state=state)


def tools_of(specs: Iterable[ToolSpec | None], choice: Any) -> tuple[ToolSpec, ...]:
    """What the model is offered. ``None``: a tool that only the vendor can run, which nobody offers here. ``choice``:
    the vendor's ``tool_choice``, of which only “none” can be kept."""
    offered = tuple(spec for spec in specs if spec is not None)
    if len(offered) > MAX_TOOLS:
        raise InvalidInput(f"More than {MAX_TOOLS} tools are not taken.")
    kind = choice.get("type") if isinstance(choice, Mapping) else choice
    return () if kind == "none" else offered


def _object(raw: str) -> Mapping[str, Json] | None:
    try:
        value = json.loads(raw) if raw.strip() else {}
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
