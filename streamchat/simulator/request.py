"""A client's request, independent of its wire format. Values only.

Rules: ``turns`` are the texts of the conversation, oldest first, without tool results; ``results`` are the results of
the tool calls after the last user turn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

ANY_TOOL = "*"


class BadRequest(ValueError):
    """The body does not fit the format. The text is the error message for the client."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of the conversation, as text."""

    role: Literal["user", "assistant"]
    text: str


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that the client declared; ``schema`` is the JSON schema of its arguments."""

    name: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Ask:
    """One request.

    ``scene``: the model's name. ``usage``: report token usage in a stream. ``schema``: JSON schema that the answer must
    fit. ``tool_choice``: the tool that must be called, or ``ANY_TOOL``. ``one_call``: not several calls at once.
    """

    scene: str
    turns: tuple[Turn, ...]
    results: tuple[str, ...] = ()
    tools: tuple[Tool, ...] = ()
    stream: bool = False
    usage: bool = True
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    schema: Mapping[str, Any] | None = None
    seed: int | None = None
    tool_choice: str | None = None
    one_call: bool = False

    @property
    def message(self) -> str:
        """Text of the last user message, or empty."""
        return next((turn.text for turn in reversed(self.turns) if turn.role == "user"), "")

    @property
    def input_tokens(self) -> int:
        """Estimated count of input tokens, from the words of the conversation."""
        return sum(len(turn.text.split()) + 4 for turn in self.turns) + sum(len(r.split()) for r in self.results)


def text_of(content: object) -> str:
    """Return the text of a message's content: a string, or a list of parts. Raises ``BadRequest`` for other types."""
    if isinstance(content, str):
        return content
    if content is None:
        return ""
    if not isinstance(content, Sequence):
        raise BadRequest("A message's content must be a string or a list of parts.")
    texts = [part["text"] for part in content if isinstance(part, Mapping) and isinstance(part.get("text"), str)]
    return "\n".join(texts)


def stop_texts(value: object) -> tuple[str, ...]:
    """Return the texts before which the answer ends: one, or a list. Raises ``BadRequest`` for other types."""
    texts = [value] if isinstance(value, str) else value or []
    if not isinstance(texts, list) or not all(isinstance(text, str) and text for text in texts):
        raise BadRequest("stop must be a text or a list of texts.")
    return tuple(texts)


def forced_tool(choice: object) -> str | None:
    """Return the tool that a ``tool_choice`` of any format demands, ``ANY_TOOL`` for some tool, ``None`` for none."""
    if choice == "required":
        return ANY_TOOL
    if not isinstance(choice, Mapping) or choice.get("type") in ("auto", "none"):
        return None
    function = choice.get("function")
    name = function.get("name") if isinstance(function, Mapping) else choice.get("name")
    return str(name) if name else ANY_TOOL


def pictures_in(value: object) -> int:
    """Return how many pictures the body of a request has, in the shape of any format."""
    if isinstance(value, Mapping):
        own = value.get("type") in ("image", "image_url", "input_image")
        return own + sum(map(pictures_in, value.values()))
    return sum(map(pictures_in, value)) if isinstance(value, list) else 0


def tool_text(content: object) -> str:
    """Return a tool result as text, never empty. Raises ``BadRequest`` for an invalid content."""
    return text_of(content).strip() or "(empty)"


def require(condition: object, sentence: str) -> None:
    """Raise ``BadRequest(sentence)`` if the condition is false."""
    if not condition:
        raise BadRequest(sentence)
