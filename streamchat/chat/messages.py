"""Messages and their parts, as frozen values.

Knows nothing of providers, storage or transport. Rules:

* A message's ``status`` is the only place that says whether it is still being written.
* ``text`` is the concatenation of its text parts: reasoning, tools and notices never appear in it.
* ``opaque`` see ``events``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, TypeAlias

from streamchat.chat.events import Json, Opaque, UsageReported

Role: TypeAlias = Literal["user", "assistant", "system", "tool"]
Status: TypeAlias = Literal["streaming", "waiting", "finished", "stopped", "failed", "interrupted"]
ToolState: TypeAlias = Literal[
    "receiving", "ready", "awaiting-approval", "running",
    "done", "error", "timeout", "denied", "invalid", "stopped", "unknown",
]  # fmt: skip
UNSETTLED: tuple[ToolState, ...] = ("receiving", "ready", "awaiting-approval", "running")
"""The states of a tool call that has no outcome yet."""


@dataclass(frozen=True, slots=True)
class TextPart:
    type: ClassVar[str] = "text"
    text: str


@dataclass(frozen=True, slots=True)
class ReasoningPart:
    type: ClassVar[str] = "reasoning"
    text: str
    opaque: Opaque | None = None


@dataclass(frozen=True, slots=True)
class ToolCallPart:
    """``raw`` is the JSON text as it arrived; ``arguments`` its object once it parsed, else ``None``.

    ``again``: it waits for a decision, and may have run before: its state was *unknown*.
    """

    type: ClassVar[str] = "tool_call"
    id: str
    name: str
    raw: str = ""
    arguments: Mapping[str, Json] | None = None
    state: ToolState = "receiving"
    progress: tuple[str, ...] = ()
    result: Json = None
    error: str | None = None
    by_provider: bool = False
    opaque: Opaque | None = None
    duration_ms: int | None = None
    again: bool = False


@dataclass(frozen=True, slots=True)
class SourcePart:
    type: ClassVar[str] = "source"
    url: str
    title: str = ""
    opaque: Opaque | None = None


@dataclass(frozen=True, slots=True)
class NoticePart:
    type: ClassVar[str] = "notice"
    kind: str
    text: str
    data: Mapping[str, Json] | None = None
    opaque: Opaque | None = None


@dataclass(frozen=True, slots=True)
class ImagePart:
    """A picture sent by a person or a tool: base64 ``data`` of ``media_type``."""

    type: ClassVar[str] = "image"
    media_type: str
    data: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class FilePart:
    """A text file sent by a person: its ``text``, decoded."""

    type: ClassVar[str] = "file"
    name: str
    text: str
    media_type: str = "text/plain"


Part: TypeAlias = TextPart | ReasoningPart | ToolCallPart | SourcePart | NoticePart | ImagePart | FilePart


@dataclass(frozen=True, slots=True)
class ErrorInfo:
    """Why a message is *failed* or *interrupted*: a sentence, a stable word, and whether Retry makes sense."""

    message: str
    kind: str = "error"
    retryable: bool = True
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. An answer under way has status ``streaming`` and grows by ``fold``."""

    id: str
    role: Role
    parts: tuple[Part, ...] = ()
    status: Status = "finished"
    model: str = ""
    stop_reason: str | None = None
    error: ErrorInfo | None = None
    usage: UsageReported | None = None
    opaque: Opaque | None = None

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))

    @property
    def ended(self) -> bool:
        return self.status not in ("streaming", "waiting")


def settled(parts: Iterable[Part]) -> tuple[Part, ...]:
    """The parts of an answer that nobody works on any more: its tool calls that had not run will not run."""
    return tuple(
        replace(part, state="stopped") if isinstance(part, ToolCallPart) and part.state in UNSETTLED else part
        for part in parts
    )


def whole(text: str) -> str:
    """The text without halves of characters (lone surrogates): they have no UTF-8 form, so no socket can carry them.

    Halves that meet are joined, others become U+FFFD; the length in UTF-16 stays.
    """
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
