"""What is asked of a model, before any vendor's shape: history, options, tools.

Knows nothing of vendors. Capabilities decide what a provider sends of it (``providers.base.ModelInfo``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

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
