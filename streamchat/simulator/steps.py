"""Steps of a scripted answer. Values only.

Rules: a *token* is a step with its own time in the schedule (``TOKENS``); every other step is sent with the token
before it. ``End`` and ``Fault`` are always last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Text:
    """A token of the answer. May contain a lone surrogate."""

    text: str


@dataclass(frozen=True, slots=True)
class Reasoning:
    """A token of reasoning."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningEnd:
    """End of the reasoning. ``signature``: the vendor's opaque signature; ``redacted``: an encrypted second part."""

    signature: str
    redacted: str = ""


@dataclass(frozen=True, slots=True)
class CallStart:
    """Start of a tool call. ``index`` counts the calls of this answer from 0."""

    index: int
    call_id: str
    name: str


@dataclass(frozen=True, slots=True)
class Arguments:
    """A token of the JSON text of a call's arguments."""

    index: int
    fragment: str


@dataclass(frozen=True, slots=True)
class CallEnd:
    """End of a tool call, after all of its arguments."""

    index: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """A token of a refusal."""

    text: str


@dataclass(frozen=True, slots=True)
class End:
    """End of the answer.

    ``reason``: ``stop``, ``length``, ``tool-calls``, ``refusal``, ``content-filter`` or ``pause``.
    ``marker``: send the final event of the format, if it has one (``[DONE]``, ``message_stop``).
    """

    reason: str = "stop"
    marker: bool = True


@dataclass(frozen=True, slots=True)
class Fault:
    """The stream fails here. ``kind``: one of ``words.DURING``."""

    kind: str


Token: TypeAlias = Text | Reasoning | Arguments | Refusal
Step: TypeAlias = Token | ReasoningEnd | CallStart | CallEnd | End | Fault
TOKENS = (Text, Reasoning, Arguments, Refusal)


@dataclass(frozen=True, slots=True)
class Call:
    """A complete tool call; ``arguments`` is JSON text, possibly invalid on purpose."""

    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Whole:
    """A complete answer, for requests without streaming."""

    text: str
    reasoning: str
    seal: ReasoningEnd | None
    calls: tuple[Call, ...]
    refusal: str
    reason: str
    tokens: int
    reasoning_tokens: int


def whole(steps: list[Step]) -> Whole:
    """Combine the steps of an answer into one value."""
    starts = {step.index: step for step in steps if isinstance(step, CallStart)}
    arguments = dict.fromkeys(starts, "")
    for step in steps:
        if isinstance(step, Arguments):
            arguments[step.index] += step.fragment
    return Whole(
        text=joined("".join(step.text for step in steps if isinstance(step, Text))),
        reasoning="".join(step.text for step in steps if isinstance(step, Reasoning)),
        seal=next((step for step in steps if isinstance(step, ReasoningEnd)), None),
        calls=tuple(Call(start.call_id, start.name, arguments[i]) for i, start in starts.items()),
        refusal="".join(step.text for step in steps if isinstance(step, Refusal)),
        reason=next((step.reason for step in steps if isinstance(step, End)), "stop"),
        tokens=sum(isinstance(step, TOKENS) for step in steps),
        reasoning_tokens=sum(isinstance(step, Reasoning) for step in steps),
    )


def joined(text: str) -> str:
    """Return the text with surrogate pairs joined into characters, and lone surrogates replaced by U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
