"""What a model says while it speaks: the events of a run, as frozen values.

Knows nothing of providers, numbering, storage or transport. Rules:

* A run is any number of events and then exactly one ending (``Ending``); nothing follows it.
* ``opaque`` is provider data that must go back unread with the next request (signatures, encrypted
  reasoning, response ids). It is stored, and never sent to a reader.
* Token counts in ``UsageReported`` are totals for the whole run so far: the last report holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Json: TypeAlias = Any
Opaque: TypeAlias = Mapping[str, Json]

ToolOutcome: TypeAlias = Literal["done", "error", "timeout", "denied", "invalid", "stopped", "unknown"]


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More text of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """More of the model's thinking. ``opaque`` (often with empty text) closes the reasoning part."""

    text: str
    opaque: Opaque | None = None


@dataclass(frozen=True, slots=True)
class ToolCallStarted:
    """A tool call has begun; its arguments follow. ``by_provider``: the provider runs it itself."""

    call_id: str
    name: str
    by_provider: bool = False


@dataclass(frozen=True, slots=True)
class ToolCallArguments:
    """A fragment of the JSON text of a call's arguments."""

    call_id: str
    fragment: str


@dataclass(frozen=True, slots=True)
class ToolCallReady:
    """The arguments are complete and parsed strictly to a JSON object."""

    call_id: str
    arguments: Mapping[str, Json]
    opaque: Opaque | None = None


@dataclass(frozen=True, slots=True)
class ToolProgress:
    """The call runs; ``text`` is a progress line, empty at the start."""

    call_id: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """How a call ended. ``result`` is JSON; ``error`` a sentence for every state but ``done``.

    ``duration_ms``: how long it ran, where it did.
    """

    call_id: str
    state: ToolOutcome
    result: Json = None
    error: str | None = None
    opaque: Opaque | None = None
    duration_ms: int | None = None


@dataclass(frozen=True, slots=True)
class SourceAdded:
    """A citation or a search hit that the answer rests on."""

    url: str
    title: str = ""
    opaque: Opaque | None = None


@dataclass(frozen=True, slots=True)
class UsageReported:
    """Tokens used by the run so far, as the provider counts them; ``None`` where it does not say."""

    input: int | None = None
    output: int | None = None
    cached: int | None = None
    reasoning: int | None = None

    def __add__(self, other: UsageReported) -> UsageReported:
        """Of both together; ``None`` only where neither says."""
        return UsageReported(*(_sum(getattr(self, name), getattr(other, name)) for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the reader should know that the model did not say: retrying, seam, shortened history.

    ``kind`` is a stable word; ``data`` are the numbers behind the sentence (JSON).
    """

    kind: str
    text: str
    data: Mapping[str, Json] | None = None
    opaque: Opaque | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """The run is parked until a person decides about these calls. Not an ending."""

    call_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Finished:
    """The provider said that the answer is over.

    ``reason``: ``stop``, ``length``, ``tool-calls``, ``refusal``, ``content-filter``, ``pause``, or the
    provider's own word where it is none of these.
    """

    reason: str = "stop"
    opaque: Opaque | None = None


@dataclass(frozen=True, slots=True)
class Stopped:
    """Somebody cancelled the run.

    ``after_ms``: from the request to stop until the provider's connection was closed; ``kept``: deltas kept.
    """

    after_ms: int | None = None
    kept: int | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """An error, as a sentence. ``retry_after``: seconds until a retry makes sense."""

    message: str
    kind: str = "error"
    retryable: bool = True
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The stream or the process ended without an end. The partial answer is kept."""

    message: str = "The answer was cut off before its end."
    kind: str = "cut"


Ending: TypeAlias = Finished | Stopped | Failed | Interrupted
Event: TypeAlias = (
    TextDelta
    | ReasoningDelta
    | ToolCallStarted
    | ToolCallArguments
    | ToolCallReady
    | ToolProgress
    | ToolResult
    | SourceAdded
    | UsageReported
    | Notice
    | Waiting
    | Ending
)
Delta: TypeAlias = TextDelta | ReasoningDelta | ToolCallArguments

ENDINGS = (Finished, Stopped, Failed, Interrupted)


def _sum(one: int | None, other: int | None) -> int | None:
    return other if one is None else one + (other or 0)


def merge(first: Event, second: Event) -> Event | None:
    """Join two neighbouring deltas into one that folds the same, or ``None`` where they do not join."""
    match first, second:
        case TextDelta(a), TextDelta(b):
            return TextDelta(a + b)
        case ReasoningDelta(a, None), ReasoningDelta(b, opaque):
            return ReasoningDelta(a + b, opaque)
        case ToolCallArguments(call, a), ToolCallArguments(other, b) if call == other:
            return ToolCallArguments(call, a + b)
    return None
