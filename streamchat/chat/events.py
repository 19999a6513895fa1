"""The events of a run: what a model streams while it answers, as frozen values.

Knows nothing of providers, numbering, storage or transport. Rules:

* A run is any number of events followed by exactly one ending (``Ending``).
* ``opaque`` is provider data that must be returned unchanged with the next request (signatures, encrypted
  reasoning, response ids). It is stored, and never sent to a reader.
* Token counts in ``UsageReported`` are totals for the whole run so far: the last report is the valid one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from streamchat.errors import ErrorKind

Json: TypeAlias = Any
Opaque: TypeAlias = Mapping[str, Json]
# ``timing.Timing.to_json()``, set when the ending is stored: how fast the answer came, not what it is.
Timing: TypeAlias = Mapping[str, Json]

ToolOutcome: TypeAlias = Literal["done", "error", "timeout", "denied", "invalid", "stopped", "unknown"]


def _timing() -> Any:
    return field(default=None, compare=False)


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
    """The start of a tool call; its arguments follow. ``by_provider``: the provider runs the tool itself."""

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
    """The arguments are complete and parsed strictly to a JSON object.

    ``schema``: of a call that the provider wants a person to decide about, the JSON schema of what they fill in.
    """

    call_id: str
    arguments: Mapping[str, Json]
    opaque: Opaque | None = None
    schema: Mapping[str, Json] | None = None


@dataclass(frozen=True, slots=True)
class ToolProgress:
    """Progress of a running call. ``text``: one progress line, empty at the start."""

    call_id: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The outcome of a call. ``result``: JSON; ``error``: the error message of every state but ``done``.

    ``duration_ms``: the running time in milliseconds, ``None`` if the call did not run.
    """

    call_id: str
    state: ToolOutcome
    result: Json = None
    error: str | None = None
    opaque: Opaque | None = None
    duration_ms: int | None = None


@dataclass(frozen=True, slots=True)
class SourceAdded:
    """A citation or a search hit that the answer is based on."""

    url: str
    title: str = ""
    opaque: Opaque | None = None


@dataclass(frozen=True, slots=True)
class UsageReported:
    """Tokens used by the run so far, as the provider counts them; ``None`` if it reports no count.

    ``input``: everything that it read, with what it read from its cache (``cached``) and what it put there
    (``written``). ``reasoning``: a part of ``output``. ``cost_usd``: in US dollars; ``None`` without a price.
    ``own_key``: the person who asked pays for it, at least in part, with a key of their own.
    """

    input: int | None = None
    output: int | None = None
    cached: int | None = None
    reasoning: int | None = None
    written: int | None = None
    cost_usd: float | None = None
    own_key: bool = field(default=False, kw_only=True)

    def __add__(self, other: UsageReported) -> UsageReported:
        """Return the sum per count; ``None`` only if both are ``None``."""
        counts = [name for name in self.__slots__ if name != "own_key"]
        sums = {name: _sum(getattr(self, name), getattr(other, name)) for name in counts}
        return UsageReported(**sums, own_key=self.own_key or other.own_key)


QUEUED = "queued"
"""The kind of a notice about the place in line. One that follows another directly replaces it in the message."""
STEERED = "steered"
"""The kind of a notice about a message into an answer in progress, and the reason of an answer that ended for it.

In the answer to that message ``data`` has the ``outcome``: ``stopped`` (the answer ``run_id`` was stopped for it),
``round`` (that one ended after the ``round``-th round of tools) or ``too-late`` (that one had ended by itself).
"""


@dataclass(frozen=True, slots=True)
class Notice:
    """A message to the reader that is not from the model: a place in line, a retry, a seam, a shortened history.

    ``kind``: a stable identifier. ``text``: one sentence. ``data``: the numbers behind it (JSON).
    """

    kind: str
    text: str
    data: Mapping[str, Json] | None = None
    opaque: Opaque | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """The run is suspended until these calls are approved or denied. Not an ending."""

    call_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Finished:
    """The provider ended the answer.

    ``reason``: ``stop``, ``length``, ``tool-calls``, ``refusal``, ``content-filter``, ``pause``, or, if it is none of
    these, the provider's own identifier.
    """

    reason: str = "stop"
    opaque: Opaque | None = None
    timing: Timing | None = _timing()


@dataclass(frozen=True, slots=True)
class Stopped:
    """The run was cancelled.

    ``after_ms``: milliseconds from the stop request until the provider's connection was closed. ``kept``: the number
    of deltas in the partial answer.
    """

    after_ms: int | None = None
    kept: int | None = None
    timing: Timing | None = _timing()


@dataclass(frozen=True, slots=True)
class Failed:
    """The run failed. ``message``: the error message, one sentence. ``retry_after``: seconds to wait before a retry."""

    message: str
    kind: ErrorKind = "error"
    retryable: bool = True
    retry_after: float | None = None
    timing: Timing | None = _timing()


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The stream or the process broke off before the provider ended the answer. The partial answer is kept."""

    message: str = "The answer was cut off before its end."
    kind: ErrorKind = "cut"
    timing: Timing | None = _timing()


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


def _sum(left: float | None, right: float | None) -> Any:
    return right if left is None else left + (right or 0)


def merge(first: Event, second: Event) -> Event | None:
    """Join two adjacent deltas into one that folds the same. Returns ``None`` if they cannot be joined."""
    match first, second:
        case TextDelta(a), TextDelta(b):
            return TextDelta(a + b)
        case ReasoningDelta(a, None), ReasoningDelta(b, opaque):
            return ReasoningDelta(a + b, opaque)
        case ToolCallArguments(call, a), ToolCallArguments(other, b) if call == other:
            return ToolCallArguments(call, a + b)
    return None
