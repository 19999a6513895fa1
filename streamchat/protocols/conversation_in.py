"""A client's request in any format, with its conversation as turns.

Pure. Rules:

* Neighbouring assistant turns, with the results between them, are one answer: that is how they are stored here.
* A result belongs to the latest call of its id. Results of calls that are not among the messages are kept apart: the
  calls may be in a conversation that is stored here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from streamchat.chat.events import Json
from streamchat.chat.json_depth import parse_json
from streamchat.chat.messages import (
    Message,
    Part,
    ReasoningPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolState,
    repair_surrogates,
)
from streamchat.chat.request import ANY_TOOL, Options, ToolSpec
from streamchat.chat.tool_results import content_of, for_model
from streamchat.errors import InvalidInput

MAX_TURNS = 5000
# Of a request, before neighbouring messages of the assistant and tool results are joined to turns.
MAX_MESSAGES = 10_000
MAX_TOOLS = 500


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a client's tool: a text, or what ``chat.tool_results.content_of`` makes of several parts."""

    content: Json
    error: bool = False

    @classmethod
    def of(cls, parts: Sequence[Part], *, error: bool = False) -> Result:
        """Return a result of texts, pictures and files. An error is a text."""
        content = content_of(parts)
        return cls(for_model(content) if error else content, error)

    def put(self, call: ToolCallPart) -> ToolCallPart:
        """Return the call with this result."""
        if self.error:
            return replace(call, state="error", result=None, error=str(self.content) or "The tool failed.")
        return replace(call, state="done", result=self.content, error=None)


class Transcript:
    """The messages of a request, added one by one."""

    def __init__(self) -> None:
        self._turns: list[tuple[Role, list[Part]]] = []
        self._system: list[str] = []
        self._calls: dict[str, int] = {}  # of the last turn, by id
        self.results: dict[str, Result] = {}

    def system(self, text: str, *, first: bool = False) -> None:
        """Add a system message, after the others or before them."""
        if text.strip():
            self._system.insert(0 if first else len(self._system), repair_surrogates(text))

    @property
    def system_text(self) -> str:
        """What the system messages say so far."""
        return "\n\n".join(self._system)

    @property
    def has_turns(self) -> bool:
        """Whether there is another message than those of the system."""
        return any(parts for _, parts in self._turns)

    def user(self, parts: Sequence[Part]) -> None:
        """Add a user message. Empty text is none: vendors take it, and there is nothing to answer in it."""
        if any(not isinstance(part, TextPart) or part.text.strip() for part in parts):
            self._add("user", parts)

    def answer(self, parts: Sequence[Part]) -> None:
        """Add parts of an answer."""
        if not self._turns or self._turns[-1][0] != "assistant":
            self._add("assistant", ())
            self._calls = {}
        last_parts = self._turns[-1][1]
        self._calls |= {p.id: i for i, p in enumerate(parts, len(last_parts)) if isinstance(p, ToolCallPart)}
        last_parts.extend(parts)

    def result(self, call_id: str, result: Result) -> None:
        """Add the result of a tool call."""
        if self._turns and self._turns[-1][0] == "assistant" and call_id in self._calls:
            parts, index = self._turns[-1][1], self._calls[call_id]
            if isinstance(part := parts[index], ToolCallPart):
                parts[index] = result.put(part)
        else:
            self.results[call_id] = result

    def client_request(
        self, model: str, options: Options, tools: tuple[ToolSpec, ...], *, stream: bool, after: str | None = None
    ) -> ClientRequest:
        """Return the request with these messages. A system message alone is the question. Raises as ``turns``."""
        if not self._turns and not self.results and self._system:
            self._add("user", [TextPart(self._system.pop())])
        system = self.system_text or None
        return ClientRequest(model, self.turns, self.results, system, options, tools, stream, after)

    @property
    def turns(self) -> tuple[Message, ...]:
        """The messages. Raises ``InvalidInput`` if there is nothing to answer."""
        turns = tuple(Message("", role, tuple(parts)) for role, parts in self._turns if parts)
        if not turns and not self.results:
            raise InvalidInput("There is no message to answer.")
        if len(turns) > MAX_TURNS:
            raise InvalidInput(f"A request may have at most {MAX_TURNS:,} messages.")
        return turns

    def _add(self, role: Role, parts: Sequence[Part]) -> None:
        self._turns.append((role, list(parts)))


@dataclass(frozen=True, slots=True)
class ClientRequest:
    """A request.

    ``results``: those whose calls are not in ``turns``. ``after``: the run that it continues from. ``conversation_id``:
    the conversation that all of its turns are added to. ``keep``: ``False`` deletes all of it after the answer.
    ``echo``: see ``RunOptions``. ``lasting_system``: the part of ``system`` that holds for later requests too.
    ``names``: how the format calls options that are not called as ours. ``demanded``: options that each request must
    have, so that they are not refused if the model does not take them.
    """

    model: str
    turns: tuple[Message, ...]
    results: Mapping[str, Result] = field(default_factory=dict)
    system: str | None = None
    options: Options = field(default_factory=Options)
    tools: tuple[ToolSpec, ...] = ()
    stream: bool = False
    after: str | None = None
    conversation_id: str | None = None
    keep: bool = True
    echo: Mapping[str, Json] = field(default_factory=dict)
    lasting_system: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    demanded: Sequence[str] = ()

    @property
    def answers(self) -> dict[str, Result]:
        """The results at the end of the request, for the calls of the answer before."""
        results = dict(self.results)
        for part in self.prefix:
            if isinstance(part, ToolCallPart) and part.state in ("done", "error"):
                error = part.state == "error"
                results[part.id] = Result(part.error if error else part.result, error)
        return results

    @property
    def prefix(self) -> tuple[Part, ...]:
        """The parts of a last turn of the assistant: the answer starts with them."""
        last = self.turns[-1] if self.turns else None
        return last.parts if last is not None and last.role == "assistant" else ()

    @property
    def question(self) -> tuple[Part, ...]:
        """The last turn, if it is the user's."""
        last = self.turns[-1] if self.turns else None
        return last.parts if last is not None and last.role == "user" else ()

    @property
    def earlier(self) -> tuple[Message, ...]:
        """The turns before the last."""
        return self.turns[:-1]


def text_parts(text: str | None) -> tuple[Part, ...]:
    """Return a text part, none for empty text."""
    return (TextPart(repair_surrogates(text)),) if text else ()


def reasoning_part(text: str, handle: str = "") -> ReasoningPart:
    """Return reasoning that comes back. ``handle``: the one that it went out with (``reasoning_handles``)."""
    return ReasoningPart(repair_surrogates(text), {"mark": handle} if handle else None)


def call_part(call_id: str, name: str, arguments: str | Mapping[str, Json]) -> ToolCallPart:
    """Return a call of an earlier answer."""
    raw = repair_surrogates(arguments if isinstance(arguments, str) else json.dumps(arguments))
    state: ToolState = "ready"
    return ToolCallPart(call_id, name, raw=raw, arguments=_object(raw), state=state)


def tools_of(specs: Iterable[ToolSpec | None], choice: Any) -> tuple[ToolSpec, ...]:
    """Return the tools that the model is offered.

    ``None`` in ``specs``: a tool that only the vendor can run, which is not offered here. ``choice``: the vendor's
    ``tool_choice``; “none” offers no tool.
    """
    offered = tuple(spec for spec in specs if spec is not None)
    if len(offered) > MAX_TOOLS:
        raise InvalidInput(f"A request may have at most {MAX_TOOLS} tools.")
    kind = choice.get("type") if isinstance(choice, Mapping) else choice
    return () if kind == "none" else offered


def tool_choice_of(choice: Any, tools: Sequence[ToolSpec]) -> str | None:
    """Return a vendor's ``tool_choice`` as ``Options.tool_choice``. Raises ``InvalidInput`` if it cannot be kept."""
    kind, form = (choice.get("type"), choice) if isinstance(choice, Mapping) else (choice, {})
    if kind in (None, "auto", "none"):
        return None
    function = form.get("function")
    name = function.get("name") if isinstance(function, Mapping) else form.get("name")
    if kind in ("required", "any"):
        name = ANY_TOOL
    elif kind not in ("function", "tool") or not isinstance(name, str):
        raise InvalidInput("tool_choice: only auto, none, required, or the name of a declared tool is supported.")
    if not tools or (name != ANY_TOOL and name not in {tool.name for tool in tools}):
        raise InvalidInput("tool_choice: it names no tool that the request declares.")
    return name


def _object(raw: str) -> Mapping[str, Json] | None:
    try:
        value = parse_json(raw) if raw.strip() else {}
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
