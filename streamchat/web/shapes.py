"""What travels as JSON over HTTP: pydantic models, from which OpenAPI is made. Names are those of the wire form.

Knows nothing of endpoints. Rule: what comes in has a bound; what goes out is described as it is.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from streamchat.chat.messages import FilePart, ImagePart, Part, Status, TextPart, ToolState
from streamchat.chat.request import Options
from streamchat.runs.decisions import MAX_REASON, Decision

MAX_PARTS = 100


class ErrorBody(BaseModel):
    message: str = Field(description="One sentence for a person.")
    kind: str = Field(description="A short stable word for a program.")


class Problem(BaseModel):
    """The body of every answer that is not a success."""

    error: ErrorBody


def PROBLEMS(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of an endpoint that may answer with these."""
    return {status: {"model": Problem} for status in statuses}


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class TextIn(_In):
    type: Literal["text"]
    text: str


class ImageIn(_In):
    type: Literal["image"]
    media_type: Annotated[str, StringConstraints(pattern=r"^image/[a-z0-9.+-]{1,60}$")]
    data: Annotated[str, Field(description="The picture in base64.")]
    name: Annotated[str, StringConstraints(max_length=255)] = ""


class FileIn(_In):
    type: Literal["file"]
    name: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    text: str
    media_type: Annotated[str, StringConstraints(max_length=100)] = "text/plain"


PartIn = Annotated[TextIn | ImageIn | FileIn, Field(discriminator="type")]


class OptionsIn(_In):
    """What is left out is left to the provider."""

    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    reasoning_effort: Annotated[str, StringConstraints(pattern=r"^[a-z]{1,20}$")] | None = None
    json_schema: Annotated[dict[str, Any] | None, Field(alias="schema")] = None

    def options(self) -> Options:
        return Options(self.temperature, self.max_tokens, self.reasoning_effort, self.json_schema)


class RunIn(_In):
    """A question. ``client_message_id`` makes it safe to send again: the same one gets the same run."""

    message: str | Annotated[list[PartIn], Field(min_length=1, max_length=MAX_PARTS)]
    model: Annotated[str, StringConstraints(max_length=200)] | None = None
    conversation_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")] | None = None
    client_message_id: Annotated[str, StringConstraints(pattern=r"^[!-~]{1,100}$")] | None = None
    system: Annotated[str, StringConstraints(max_length=200_000)] | None = None
    options: OptionsIn | None = None

    def parts(self) -> tuple[Part, ...]:
        if isinstance(self.message, str):
            return (TextPart(self.message),)
        return tuple(map(_part, self.message))


class Deciding(BaseModel):
    """A person's word about a tool call that waits. ``arguments``: changed ones; ``always``: in this conversation."""

    call_id: Annotated[str, StringConstraints(max_length=200)]
    approve: bool
    arguments: dict[str, Any] | None = None
    reason: Annotated[str, StringConstraints(max_length=MAX_REASON)] = ""
    always: bool = False

    def decision(self) -> Decision:
        return Decision(self.approve, self.arguments, self.reason, self.always)


class DecisionIn(Deciding, _In):
    pass


def _part(part: TextIn | ImageIn | FileIn) -> Part:
    match part:
        case TextIn():
            return TextPart(part.text)
        case ImageIn():
            return ImagePart(part.media_type, part.data, part.name)
        case FileIn():
            return FilePart(part.name, part.text, part.media_type)


class Started(BaseModel):
    run_id: str
    conversation_id: str
    message_id: str = Field(description="The answer's.")
    events_url: str


class PartOut(BaseModel):
    """One part of a message; which fields there are depends on ``type``."""

    model_config = ConfigDict(extra="allow")
    type: Literal["text", "reasoning", "tool_call", "source", "notice", "image", "file"]
    text: str | None = None
    id: str | None = None
    name: str | None = None
    arguments: dict[str, Any] | None = None
    state: ToolState | None = None


class ErrorOut(BaseModel):
    """Why a message failed or was interrupted."""

    model_config = ConfigDict(extra="allow")
    message: str
    kind: str


class UsageOut(BaseModel):
    """Tokens as the provider counts them."""

    input: int | None = None
    output: int | None = None
    cached: int | None = None
    reasoning: int | None = None


class MessageOut(BaseModel):
    id: str
    role: Literal["user", "assistant", "system", "tool"]
    status: Status
    model: str
    text: str
    parts: list[PartOut]
    stop_reason: str | None
    error: ErrorOut | None = None
    usage: UsageOut | None = None


class RunOut(BaseModel):
    """``seq``: the number of the last event that ``message`` contains."""

    run_id: str
    conversation_id: str
    status: Status
    seq: int
    message: MessageOut


class ConversationRow(BaseModel):
    id: str
    title: str
    updated_at: str
    answering: bool


class ConversationList(BaseModel):
    """Newest first. ``next``: the ``before`` of the next, older page, if there is one."""

    conversations: list[ConversationRow]
    next: str | None


class ConversationOut(BaseModel):
    """``messages`` is the active branch, oldest first."""

    id: str
    title: str
    messages: list[MessageOut]


class HitOut(BaseModel):
    conversation_id: str
    title: str
    message_id: str
    role: str
    snippet: str
    created_at: str


class Hits(BaseModel):
    """Newest first. ``next``: the ``before`` of the next, older page, if there is one."""

    hits: list[HitOut]
    next: str | None
