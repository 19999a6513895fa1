"""What a client asked for, whatever the format it asked in. Values only.

Rules: ``turns`` holds the texts of the conversation, oldest first, tool results left out; ``results`` are the
results of the calls that came after the last user turn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal


class BadRequest(ValueError):
    """The body is none of this format; the text is the sentence for the client."""


@dataclass(frozen=True, slots=True)
class Turn:
    role: Literal["user", "assistant"]
    text: str


@dataclass(frozen=True, slots=True)
class Tool:
    name: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Ask:
    """``usage``: whether a stream must report usage. ``schema``: what the whole answer must fit."""

    scene: str
    turns: tuple[Turn, ...]
    results: tuple[str, ...] = ()
    tools: tuple[Tool, ...] = ()
    stream: bool = False
    usage: bool = True
    max_tokens: int | None = None
    schema: Mapping[str, Any] | None = None

    @property
    def message(self) -> str:
        """The last thing that the user said."""
        return next((turn.text for turn in reversed(self.turns) if turn.role == "user"), "")

    @property
    def input_tokens(self) -> int:
        """A plausible count: the words of the conversation."""
        return sum(len(turn.text.split()) + 4 for turn in self.turns) + sum(len(r.split()) for r in self.results)


def text_of(content: object) -> str:
    """The text of a message's content: a string, or a list of parts of which some have ``text``."""
    if isinstance(content, str):
        return content
    if content is None:
        return ""
    if not isinstance(content, Sequence):
        raise BadRequest("A message's content must be a string or a list of parts.")
    texts = [part["text"] for part in content if isinstance(part, Mapping) and isinstance(part.get("text"), str)]
    return "\n".join(texts)


def tool_text(content: object) -> str:
    """A tool result as text."""
    return text_of(content).strip() or "(empty)"


def require(condition: object, sentence: str) -> None:
    """Raise ``BadRequest(sentence)`` unless the condition holds."""
    if not condition:
        raise BadRequest(sentence)
