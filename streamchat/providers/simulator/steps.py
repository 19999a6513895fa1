"""What a scripted answer consists of, step by step. Values only.

Rules: a *token* is a step that costs time (``TOKENS``); every other step happens with the token before it.
After ``End`` or ``Fault`` nothing follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Text:
    """A token of the answer. May hold half a surrogate pair."""

    text: str


@dataclass(frozen=True, slots=True)
class Reasoning:
    """A token of thinking."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningEnd:
    """The thinking is over; ``signature`` is the vendor's opaque seal on it, ``redacted`` hides a second part."""

    signature: str
    redacted: str = ""


@dataclass(frozen=True, slots=True)
class CallStart:
    """A tool call begins. ``index`` counts the calls of this answer from 0."""

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
    index: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """A token of the sentence with which the model declines."""

    text: str


@dataclass(frozen=True, slots=True)
class End:
    """``reason``: ``stop``, ``length``, ``tool-calls``, ``refusal``, ``content-filter`` or ``pause``.

    ``marker``: whether the format's own last event follows (``[DONE]``, ``message_stop``).
    """

    reason: str = "stop"
    marker: bool = True


@dataclass(frozen=True, slots=True)
class Fault:
    """The stream goes wrong here, in the way ``words`` names ``kind``."""

    kind: str


Token: TypeAlias = Text | Reasoning | Arguments | Refusal
Step: TypeAlias = Token | ReasoningEnd | CallStart | CallEnd | End | Fault
TOKENS = (Text, Reasoning, Arguments, Refusal)


@dataclass(frozen=True, slots=True)
class Call:
    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Whole:
    """An answer in one piece, for calls that do not stream."""

    text: str
    reasoning: str
    seal: ReasoningEnd | None
    calls: tuple[Call, ...]
    refusal: str
    reason: str
    tokens: int
    reasoning_tokens: int


def whole(steps: list[Step]) -> Whole:
    """The steps of an answer as one value."""
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
    """The text with surrogate halves that meet made into their character."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
