"""Vendor-neutral requests: history, options and tools for a model, and the parameters of a new run.

Knows nothing of vendors. Rule: capabilities decide which of it a provider sends (``providers.base.ModelInfo``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from typing import Any, Protocol

from streamchat.chat.events import Json
from streamchat.chat.messages import Message, Part
from streamchat.chat.timing import Stopwatch

ANY_TOOL = "*"
"""The ``Options.tool_choice`` of a model that must call some tool. No tool has this name."""


@dataclass(frozen=True, slots=True)
class Options:
    """Generation options. ``None`` leaves a value to the provider.

    ``schema``: a JSON schema that the whole answer must match. ``stream=False``: one call for the whole answer.
    ``stop``: texts before which the answer ends. ``tool_choice``: the name of the tool that the model must call, or
    ``ANY_TOOL``. ``parallel_tool_calls=False``: at most one call per answer.
    ``web_search``: the model may search the web with a tool of its vendor.
    """

    temperature: float | None = None
    max_tokens: int | None = None
    reasoning_effort: str | None = None
    schema: Mapping[str, Json] | None = None
    stream: bool = True
    top_p: float | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    tool_choice: str | None = None
    parallel_tool_calls: bool | None = None
    web_search: bool | None = None


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as the model sees it. ``parameters``: the JSON schema of its arguments, an object.

    ``strict``: whether a client asked that the arguments fit the schema exactly; ``None`` if it said nothing.
    """

    name: str
    description: str
    parameters: Mapping[str, Json]
    strict: bool | None = None


class ResponseTracker(Protocol):
    """Is told of a response that the provider stores while it generates it, so that it can be read again."""

    def started(self, response_id: str, sequence: int | None) -> None:
        """Take note of a response. ``sequence``: the number of its first event, if it has numbers."""
        ...

    @property
    def is_running(self) -> bool:
        """Whether there is a response that has not ended."""
        ...


@dataclass(frozen=True, slots=True)
class Request:
    """One call of a model. ``model``: the provider's own name, without our prefix.

    ``messages`` are oldest first and end with the one to answer; if the last one is the assistant's, the model
    continues it. ``watch``: is told when the request is sent and when its response begins. ``tracker``: ``None`` if a
    response need not outlive its connection. ``conversation_id``: an opaque identifier, ``""`` if there is none.
    ``run_id``: names the run in the provider's own log.
    """

    model: str
    messages: tuple[Message, ...]
    system: str | None = None
    options: Options = field(default_factory=Options)
    tools: tuple[ToolSpec, ...] = ()
    watch: Stopwatch | None = field(default=None, compare=False, repr=False)
    tracker: ResponseTracker | None = field(default=None, compare=False, repr=False)
    conversation_id: str = ""
    run_id: str = ""

    @property
    def text(self) -> str:
        """The text of the last question, ``""`` if there is none."""
        return next((message.text for message in reversed(self.messages) if message.role == "user"), "")


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Options stored with a run, for Retry and for resuming a suspended answer.

    ``tools``: tools that the client declares and runs itself; ``None`` offers the server's own. ``echo``: what a
    vendor's response repeats of its request, so that it can be repeated later.
    """

    system: str | None = None
    options: Options = field(default_factory=Options)
    tools: tuple[ToolSpec, ...] | None = None
    echo: Mapping[str, Json] = field(default_factory=dict)

    def to_json(self) -> dict[str, Json]:
        """Return the options that differ from their default."""
        data: dict[str, Json] = {"system": self.system} if self.system else {}
        if options := {f.name: value for f in fields(Options) if (value := getattr(self.options, f.name)) != f.default}:
            data["options"] = options
        if self.tools is not None:
            data["tools"] = [{k: v for k, v in asdict(tool).items() if v is not None} for tool in self.tools]
        if self.echo:
            data["echo"] = dict(self.echo)
        return data

    def over(self, defaults: RunOptions) -> RunOptions:
        """Return these options, with what they leave out taken from ``defaults``. An empty system prompt is none."""
        own = {f.name: value for f in fields(Options) if (value := getattr(self.options, f.name)) != f.default}
        system = defaults.system if self.system is None else self.system
        return RunOptions(system or None, replace(defaults.options, **own), self.tools, self.echo)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RunOptions:
        """Return the options from ``to_json``; fields of a newer version are ignored."""
        known = {f.name for f in fields(Options) if f.default is not MISSING}
        options = {name: value for name, value in (data.get("options") or {}).items() if name in known}
        if "stop" in options:
            options["stop"] = tuple(options["stop"])
        tools = data.get("tools")
        specs = None if tools is None else tuple(map(_tool, tools))
        return cls(data.get("system"), Options(**options), specs, data.get("echo") or {})


def _tool(data: Mapping[str, Any]) -> ToolSpec:
    return ToolSpec(data["name"], data["description"], data["parameters"], data.get("strict"))


TEMPORARY = "temporary-"
"""The prefix of the ids of temporary chats and their messages: they tell that these are kept in memory only."""


def is_temporary(identifier: object) -> bool:
    """Return whether an id is that of a temporary chat, or of one of its messages."""
    return isinstance(identifier, str) and identifier.startswith(TEMPORARY)


UNKEPT = TEMPORARY + "unkept-"
"""The prefix of the ids of temporary chats that are deleted as soon as their answer has ended."""


def is_unkept(identifier: object) -> bool:
    """Return whether an id is that of a chat that is deleted after its answer, or of one of its messages."""
    return isinstance(identifier, str) and identifier.startswith(UNKEPT)


def kind_of(identifier: object) -> str:
    """Return the prefix that an id shares with all ids of its conversation, ``""`` if the chat is stored."""
    return UNKEPT if is_unkept(identifier) else TEMPORARY if is_temporary(identifier) else ""


MAX_COMPARED = 3
"""How many models may answer one question side by side."""


def compared_ids(client_message_id: str, count: int) -> list[str]:
    """Return the idempotency keys of answers that stand side by side. The first is the client's own.

    The others contain a space, which no id of the HTTP API does.
    """
    return [client_message_id, *(f"{client_message_id} {number}" for number in range(2, count + 1))]


STEERS = "steers"
"""In the ``request`` of an answer: it is to follow the one before it at its next round of tools."""
MAX_QUEUED = 20
"""How many messages of a conversation may wait for the answers before them."""


ROOT = ""
"""The ``NewRun.parent_id`` above the first message: another first question begins a branch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """A question with the parameters of its answer.

    ``client_message_id``: the client's idempotency key; the same one again is the same run. ``model``: "" takes that of
    the conversation. ``conversation_id``: ``None`` begins a conversation, or takes the parent's. ``parent_id``: the
    message after which the question begins a branch; ``None`` is the end of the active branch. ``new_conversation_id``:
    the id of a new conversation, if the client chooses it. ``history``: earlier turns sent with the question, if the
    client stores the conversation. ``inherit``: what ``options`` leaves out is the conversation's, and a new
    conversation keeps the options. ``prefix``: the first parts of the answer (its earlier calls with the results that
    the client sends); there may be no question then. ``options.tools``: the client's own tools, offered instead of the
    server's and never run here. ``temporary``: the new conversation is kept in memory only. ``credential``: the id of
    the API key that asks, if one does. ``tools_off``: tools and servers that are disabled in a new conversation.
    ``archived``: a new conversation begins in the archive. ``strict``: an option that the model does not take is
    refused; otherwise the answer says that it was left out. ``queued``: an answer in progress does not refuse it: it
    follows that one. ``steers``: it follows the answer ``parent_id``, which ends at its next round of tools.
    """

    client_message_id: str
    model: str
    parts: Sequence[Part] = ()
    conversation_id: str | None = None
    parent_id: str | None = None
    new_conversation_id: str | None = None
    history: Sequence[Message] = ()
    prefix: Sequence[Part] = ()
    options: RunOptions = field(default_factory=RunOptions)
    inherit: bool = False
    temporary: bool = False
    credential: str = ""
    tools_off: Sequence[str] = ()
    archived: bool = False
    strict: bool = False
    queued: bool = False
    steers: bool = False
