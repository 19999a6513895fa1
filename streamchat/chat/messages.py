"""Messages and their parts, as frozen values.

Knows nothing of providers, storage or transport. Rules:

* Only a message's ``status`` tells whether it is still being written.
* ``text`` is the concatenation of the text parts: reasoning, tools and notices never appear in it.
* ``opaque``: see ``events``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Final, Literal, TypeAlias

from streamchat.chat.events import Json, Opaque, Timing, UsageReported
from streamchat.errors import ErrorKind

Role: TypeAlias = Literal["user", "assistant", "system", "tool"]
Status: TypeAlias = Literal["streaming", "waiting", "finished", "stopped", "failed", "interrupted"]
ToolState: TypeAlias = Literal[
    "receiving", "ready", "awaiting-approval", "running",
    "done", "error", "timeout", "denied", "invalid", "stopped", "unknown",
]  # fmt: skip
UNSETTLED: Final = ("receiving", "ready", "awaiting-approval", "running")
"""The states of a tool call that has no outcome yet."""


@dataclass(frozen=True, slots=True)
class TextPart:
    """Text of a question or an answer."""

    type: ClassVar[str] = "text"
    text: str


@dataclass(frozen=True, slots=True)
class ReasoningPart:
    """The model's thinking. It is closed once it has ``opaque``: more thinking begins another part."""

    type: ClassVar[str] = "reasoning"
    text: str
    opaque: Opaque | None = None


@dataclass(frozen=True, slots=True)
class ToolCallPart:
    """A tool call, with its result once there is one.

    ``raw``: the JSON text of the arguments as it arrived. ``arguments``: the parsed object, ``None`` until it is
    complete. ``again``: the call awaits approval although it may have run already (its state was *unknown*).
    ``duration_ms``: the running time in milliseconds. ``schema``: of what a person fills in who decides about a call
    of the provider, ``None`` for all others.
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
    schema: Mapping[str, Json] | None = None


@dataclass(frozen=True, slots=True)
class SourcePart:
    """A citation or a search hit that the answer is based on."""

    type: ClassVar[str] = "source"
    url: str
    title: str = ""
    opaque: Opaque | None = None


@dataclass(frozen=True, slots=True)
class NoticePart:
    """A message to the reader that is not from the model. Fields: see ``events.Notice``."""

    type: ClassVar[str] = "notice"
    kind: str
    text: str
    data: Mapping[str, Json] | None = None
    opaque: Opaque | None = None


@dataclass(frozen=True, slots=True)
class ImagePart:
    """A picture from the user or a tool: base64 ``data`` of ``media_type``, or the uploaded file ``file_id``.

    ``width``, ``height``: of an uploaded picture, in pixels.
    """

    type: ClassVar[str] = "image"
    media_type: str
    data: str = ""
    name: str = ""
    file_id: str = ""
    width: int = 0
    height: int = 0


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file from the user that is read as text: ``text``, its decoded content, or the uploaded file ``file_id``.

    ``data``: a PDF in base64, only in a request: of a client, until it is stored, and to a model that reads PDFs.
    ``url``: where the content is, only in a request of a client, until it is fetched. ``pages``: of a PDF. ``tokens``:
    an estimate for the text of an uploaded file.
    """

    type: ClassVar[str] = "file"
    name: str
    text: str = ""
    media_type: str = "text/plain"
    file_id: str = ""
    data: str = ""
    pages: int = 0
    tokens: int = 0
    url: str = ""


Part: TypeAlias = TextPart | ReasoningPart | ToolCallPart | SourcePart | NoticePart | ImagePart | FilePart


@dataclass(frozen=True, slots=True)
class ErrorInfo:
    """The error of a *failed* or *interrupted* message.

    ``message``: one sentence. ``kind``: a stable identifier. ``retryable``: whether a retry can help. ``retry_after``:
    seconds to wait before a retry.
    """

    message: str
    kind: ErrorKind = "error"
    retryable: bool = True
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation. An answer in progress has the status ``streaming`` and grows by ``fold``."""

    id: str
    role: Role
    parts: tuple[Part, ...] = ()
    status: Status = "finished"
    model: str = ""
    stop_reason: str | None = None
    error: ErrorInfo | None = None
    usage: UsageReported | None = None
    opaque: Opaque | None = None
    timing: Timing | None = field(default=None, compare=False)

    @property
    def text(self) -> str:
        """Return the text parts, joined."""
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))

    @property
    def ended(self) -> bool:
        """Whether the message is complete or broken off: no event can follow."""
        return self.status not in ("streaming", "waiting")


def close_open_calls(parts: Iterable[Part]) -> tuple[Part, ...]:
    """Return the parts of an abandoned answer: tool calls without an outcome become ``stopped``."""
    return tuple(
        replace(part, state="stopped") if isinstance(part, ToolCallPart) and part.state in UNSETTLED else part
        for part in parts
    )


def repair_surrogates(text: str) -> str:
    """Return the text without lone surrogates, which have no UTF-8 form, so that no socket can carry them.

    Adjacent halves of a pair are joined, others become U+FFFD; the length in UTF-16 code units does not change.
    """
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def utf16_length(text: str) -> int:
    """Return the length in UTF-16 code units, which JavaScript counts."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2
