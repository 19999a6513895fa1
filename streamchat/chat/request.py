"""What is asked of a model, before any vendor's shape: history, options, tools.

Knows nothing of vendors. Capabilities decide what a provider sends of it (``providers.base.ModelInfo``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any

from streamchat.chat.events import Json
from streamchat.chat.messages import Message


@dataclass(frozen=True, slots=True)
class Options:
    """``None`` leaves a value to the provider.

    ``schema``: a JSON schema that the whole answer must fit. ``stream=False``: one call, whole answer.
    """

    temperature: float | None = None
    max_tokens: int | None = None
    reasoning_effort: str | None = None
    schema: Mapping[str, Json] | None = None
    stream: bool = True


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as the model sees it: ``parameters`` is the JSON schema of its arguments, an object."""

    name: str
    description: str
    parameters: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Request:
    """One call of a model. ``model`` is the provider's own name, without our prefix.

    ``messages`` are oldest first and end with what is to be answered; where the last one is an
    assistant's, the model is to continue it.
    """

    model: str
    messages: tuple[Message, ...]
    system: str | None = None
    options: Options = field(default_factory=Options)
    tools: tuple[ToolSpec, ...] = ()


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is asked for besides the messages: kept beside an answer, for Retry and for an answer that waits.

    ``tools``: those that the client declared and runs itself; ``None`` leaves tools to us.
    """

    system: str | None = None
    options: Options = field(default_factory=Options)
    tools: tuple[ToolSpec, ...] | None = None

    def to_json(self) -> dict[str, Json]:
        """Only what differs from the default."""
        data: dict[str, Json] = {"system": self.system} if self.system else {}
        if options := {f.name: value for f in fields(Options) if (value := getattr(self.options, f.name)) != f.default}:
            data["options"] = options
        if self.tools is not None:
            data["tools"] = [asdict(tool) for tool in self.tools]
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Wishes:
        """The other way; what a newer version wrote besides is left out."""
        known = {f.name for f in fields(Options) if f.default is not MISSING}
        options = {name: value for name, value in (data.get("options") or {}).items() if name in known}
        tools = data.get("tools")
        specs = None if tools is None else tuple(ToolSpec(t["name"], t["description"], t["parameters"]) for t in tools)
        return cls(data.get("system"), Options(**options), specs)
