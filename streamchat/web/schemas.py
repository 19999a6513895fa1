"""JSON schemas of the HTTP API: pydantic models, from which OpenAPI is generated. Names are those of the wire form.

Runs, messages and conversations, and what all routes share; what only accounts, admins, files or presets have stands
beside their routes. Knows nothing of endpoints. Rule: every field of a request is bounded.
"""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from streamchat.chat import feedback
from streamchat.chat.conversation_settings import (
    MAX_SYSTEM,
    MAX_TEMPERATURE,
    MAX_TOKENS,
    options_from_fields,
    options_to_fields,
)
from streamchat.chat.messages import FilePart, ImagePart, Part, Status, TextPart, ToolState
from streamchat.chat.request import MAX_COMPARED, NewRun, Options, RunOptions
from streamchat.chat.timing import Timing
from streamchat.runs.approvals import MAX_REASON, Decision

MAX_PARTS = 100


class ErrorBody(BaseModel):
    """An error, for people and for programs."""

    message: str = Field(description="The error message for a person, one sentence.")
    kind: str = Field(description="A short stable identifier for programs.")


class Problem(BaseModel):
    """The body of every error response."""

    error: ErrorBody


def PROBLEMS(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the ``responses`` of an endpoint that may fail with these statuses."""
    return {status: {"model": Problem} for status in statuses}


class RequestBody(BaseModel):
    """A part of a request. A field that is not known is refused."""

    model_config = ConfigDict(extra="forbid")


class TextIn(RequestBody):
    """A text part of a message."""

    type: Literal["text"]
    text: str


FileId = Annotated[str, StringConstraints(max_length=64), Field(description="The id of an uploaded file.")]


class ImageIn(RequestBody):
    """A picture in a message: an uploaded one by its ``file_id``, or ``media_type`` and ``data``."""

    type: Literal["image"]
    file_id: FileId = ""
    media_type: Annotated[str, StringConstraints(pattern=r"^(image/[a-z0-9.+-]{1,60})?$")] = ""
    data: Annotated[str, Field(description="The picture in base64.")] = ""
    name: Annotated[str, StringConstraints(max_length=255)] = ""

    @model_validator(mode="after")
    def _either(self) -> ImageIn:
        if bool(self.file_id) == bool(self.data) or (self.data and not self.media_type):
            raise ValueError("a picture has either a file_id, or a media_type and data")
        return self


class FileIn(RequestBody):
    """A file in a message: an uploaded one by its ``file_id``, or ``name`` and ``text``."""

    type: Literal["file"]
    file_id: FileId = ""
    name: Annotated[str, StringConstraints(max_length=255)] = ""
    text: str = ""
    media_type: Annotated[str, StringConstraints(max_length=100)] = "text/plain"

    @model_validator(mode="after")
    def _either(self) -> FileIn:
        if not (self.file_id or self.name) or (self.file_id and self.text):
            raise ValueError("a file has either a file_id, or a name and a text")
        return self


PartIn = Annotated[TextIn | ImageIn | FileIn, Field(discriminator="type")]


class OptionsIn(RequestBody):
    """Options of an answer. Those that are left out have the provider's defaults."""

    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    reasoning_effort: Annotated[str, StringConstraints(pattern=r"^[a-z]{1,20}$")] | None = None
    web_search: bool | None = None
    json_schema: Annotated[dict[str, Any] | None, Field(alias="schema")] = None

    def options(self) -> Options:
        """Return the options as a value of ours."""
        return Options(
            self.temperature, self.max_tokens, self.reasoning_effort, self.json_schema, web_search=self.web_search
        )


ModelId = Annotated[str, StringConstraints(min_length=1, max_length=200)]
ClientId = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,100}$")]
SystemPrompt = Annotated[str, StringConstraints(max_length=MAX_SYSTEM)]
ParentId = Annotated[
    str | None,
    StringConstraints(pattern=r"^[A-Za-z0-9_-]{0,64}$"),
    Field(description="The message after which the question begins a branch; empty: before the first message."),
]


Queue = Annotated[bool, Field(description="If an answer is in progress, wait until it has ended, instead of a 409.")]


PresetRef = Annotated[
    str | None,
    StringConstraints(min_length=1, max_length=200),
    Field(description="The id or the name of a preset: model, system prompt, options and tools that are left out."),
]


Models = Annotated[
    list[ModelId],
    Field(
        min_length=2,
        max_length=MAX_COMPARED,
        description="Instead of `model`: each answers the same question, side by side, until one answer is selected.",
    ),
]


class QuestionIn(RequestBody):
    """The models of a question: one, or several whose answers stand side by side."""

    model: ModelId | None = None
    models: Models | None = None

    @model_validator(mode="after")
    def _one_or_several(self) -> Self:
        if self.models and (self.model is not None or len(set(self.models)) < len(self.models)):
            raise ValueError("models are different ones, and stand instead of a model")
        return self


class RunIn(QuestionIn):
    """A question. ``client_message_id`` makes it safe to send again: the same identifier gets the same run."""

    message: str | Annotated[list[PartIn], Field(min_length=1, max_length=MAX_PARTS)]
    model: Annotated[str, StringConstraints(max_length=200)] | None = None
    conversation_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")] | None = None
    client_message_id: ClientId | None = None
    parent_id: ParentId = None
    queue: Queue = False
    system: SystemPrompt | None = None
    options: OptionsIn | None = None
    preset: PresetRef = None
    temporary: Annotated[
        bool, Field(description="Begin a chat that is kept in memory only, until an hour after its last message.")
    ] = False

    def new_run(self, default_model: str) -> NewRun:
        """Return the run to start. Without a ``client_message_id`` every request starts a new one.

        What is left out is that of the conversation: its model, its system prompt, its options.
        """
        return NewRun(
            client_message_id=self.client_message_id or uuid.uuid4().hex,
            model=(self.models or [self.model])[0]
            or ("" if self.conversation_id or self.parent_id or self.preset else default_model),
            parts=self._parts(),
            conversation_id=self.conversation_id,
            parent_id=self.parent_id,
            options=RunOptions(self.system, self.options.options() if self.options else Options()),
            inherit=True,
            temporary=self.temporary,
            strict=True,
            queued=self.queue,
        )

    def _parts(self) -> tuple[Part, ...]:
        if isinstance(self.message, str):
            return (TextPart(self.message),)
        return tuple(map(_part, self.message))


class MessageIn(QuestionIn):
    """A question in a conversation: as the body of ``/api/runs``, without the conversation."""

    message: str | Annotated[list[PartIn], Field(min_length=1, max_length=MAX_PARTS)]
    client_message_id: ClientId | None = None
    parent_id: ParentId = None
    queue: Queue = False
    system: SystemPrompt | None = None
    options: OptionsIn | None = None

    def run_in(self, conversation_id: str) -> RunIn:
        """Return the same as a question for any conversation."""
        return RunIn(conversation_id=conversation_id, **{name: getattr(self, name) for name in MessageIn.model_fields})


class SteerIn(RequestBody):
    """What is answered instead of the rest of an answer in progress. ``model``: left out, that of the conversation.

    ``at``: ``now`` stops that answer; ``round`` lets it go on until the tools have run that its model asks for next.
    """

    message: str | Annotated[list[PartIn], Field(min_length=1, max_length=MAX_PARTS)]
    model: ModelId | None = None
    at: Literal["now", "round"] = "now"
    client_message_id: ClientId | None = None

    def message_in(self) -> MessageIn:
        """Return the message to start with."""
        return MessageIn(message=self.message, model=self.model, client_message_id=self.client_message_id)


After = Annotated[
    int | None,
    Field(ge=0, le=2**53 - 1, description="Only the answer's events up to this `seq`, as long as they are kept."),
]


class ForkIn(RequestBody):
    """``after``: the number of the last event of the answer that the copy has."""

    after: After = None


class RegenerateIn(RequestBody):
    """``model``: the one that answers; left out, the one that answered before.

    ``after``: the new answer begins with the events of the old one up to this number, and goes on from there.
    """

    model: ModelId | None = None
    after: After = None
    client_message_id: ClientId | None = None


class EditIn(RequestBody):
    """``message``: the new text of the question. ``model``: left out, that of the conversation."""

    message: str
    model: ModelId | None = None
    client_message_id: ClientId | None = None


class ImportIn(RequestBody):
    """A file with conversations. ``text``: its content; ``name``: of the file, for people."""

    text: Annotated[str, StringConstraints(min_length=1)]
    name: Annotated[str, StringConstraints(max_length=255)] = ""


class KeptOptions(RequestBody):
    """Options of a conversation. ``null``, or left out: the model's default."""

    temperature: Annotated[float, Field(ge=0, le=MAX_TEMPERATURE, allow_inf_nan=False)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=MAX_TOKENS)] | None = None
    reasoning_effort: Annotated[str, StringConstraints(pattern=r"^[a-z]{1,20}$")] | None = None
    web_search: bool | None = None


class ConversationPatch(RequestBody):
    """Changes of a conversation. What is left out stays; ``system: null`` and ``options: {}`` are the defaults.

    ``preset``: the conversation takes model, system prompt, options and tools of this preset.
    """

    title: Annotated[str, StringConstraints(min_length=1, max_length=10_000)] | None = None
    pinned: bool | None = None
    archived: bool | None = None
    model: ModelId | None = None
    system: SystemPrompt | None = None
    options: KeptOptions | None = None
    preset: PresetRef = None

    def changed_options(self, current: RunOptions) -> RunOptions | None:
        """Return the options after the change; ``None`` if they stay."""
        if not self.model_fields_set & {"system", "options"}:
            return None
        fields = options_to_fields(current)
        if "system" in self.model_fields_set:
            fields["system"] = self.system
        if "options" in self.model_fields_set:
            fields = {"system": fields.get("system"), **(self.options or KeptOptions()).model_dump()}
        return options_from_fields(fields)


class Deciding(BaseModel):
    """A decision about a tool call that waits for approval.

    ``arguments``: replace those of the model; ``always``: approve this tool in this conversation from now on.
    """

    call_id: Annotated[str, StringConstraints(max_length=200)]
    approve: bool
    arguments: dict[str, Any] | None = None
    reason: Annotated[str, StringConstraints(max_length=MAX_REASON)] = ""
    always: bool = False

    def decision(self) -> Decision:
        """Return the decision as a value of ours."""
        return Decision(self.approve, self.arguments, self.reason, self.always)


class DecisionIn(Deciding, RequestBody):
    """The body of a decision."""


def _part(part: TextIn | ImageIn | FileIn) -> Part:
    match part:
        case TextIn():
            return TextPart(part.text)
        case ImageIn():
            return ImagePart(part.media_type, part.data, part.name, part.file_id)
        case FileIn():
            return FilePart(part.name, part.text, part.media_type, part.file_id)


class StartedRun(BaseModel):
    """One of several runs that were started, with its model."""

    run_id: str
    message_id: str = Field(description="The id of the answer.")
    model: str
    events_url: str


class Started(BaseModel):
    """A run that was started, or found again; of several that stand side by side, the first."""

    run_id: str
    conversation_id: str
    message_id: str = Field(description="The id of the answer.")
    events_url: str
    runs: list[StartedRun] | None = Field(None, description="All runs, in the order of `models`. Only with `models`.")


class PartOut(BaseModel):
    """One part of a message; ``type`` determines which fields it has."""

    model_config = ConfigDict(extra="allow")
    type: Literal["text", "reasoning", "tool_call", "source", "notice", "image", "file"]
    text: str | None = None
    id: str | None = None
    name: str | None = None
    arguments: dict[str, Any] | None = None
    state: ToolState | None = None
    media_type: str | None = None
    file_id: str | None = None


class ErrorOut(BaseModel):
    """Why a message failed or was interrupted."""

    model_config = ConfigDict(extra="allow")
    message: str
    kind: str


class UsageOut(BaseModel):
    """Tokens as counted by the provider. ``cached`` and ``written`` (its cache) are parts of ``input``.

    ``cost_usd``: in US dollars, missing if the model has no price. ``own_key``: paid for with a key that the person
    who asked brought.
    """

    input: int | None = None
    output: int | None = None
    cached: int | None = None
    reasoning: int | None = None
    written: int | None = None
    cost_usd: float | None = None
    own_key: bool = False


class MessageOut(BaseModel):
    """A message as readers see it."""

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
    """A run. ``seq``: the number of the last event that ``message`` contains. ``timing``: once it has ended.

    ``cost_usd``: as in the ``usage`` of the message.
    """

    run_id: str
    conversation_id: str
    status: Status
    seq: int
    message: MessageOut
    timing: Timing | None = None
    cost_usd: float | None = None


class ConversationRow(BaseModel):
    """A conversation in the list.

    ``answering``: an answer in it has not ended; ``waiting``: one waits for an approval.
    """

    id: str
    title: str
    updated_at: str
    answering: bool
    waiting: bool
    pinned: bool
    archived: bool


class ConversationList(BaseModel):
    """A page: the pinned ones, then the others, each newest first.

    ``next``: the ``before`` of the next page; null on the last one.
    """

    conversations: list[ConversationRow]
    next: str | None


class ConversationAbout(BaseModel):
    """A conversation without its messages. ``model``: the one that answers next, "" if nothing was answered yet."""

    id: str
    title: str
    pinned: bool
    archived: bool
    model: str
    system: str | None
    options: KeptOptions


class ConversationOut(ConversationAbout):
    """A conversation. ``messages``: its active branch, oldest first.

    ``versions``: for each message of it that has other versions, the ids of all, oldest first. ``compared``: the ids of
    the answers to its last question that stand side by side, until one of them is selected. ``feedback``: on answers,
    by the id of the message.
    """

    messages: list[MessageOut]
    versions: dict[str, list[str]]
    compared: list[str]
    feedback: dict[str, FeedbackOut]


class Snapshot(BaseModel):
    """What a shared link shows, oldest first. ``earlier``: there is more before the first message."""

    title: str
    messages: list[MessageOut]
    earlier: bool


class Link(BaseModel):
    """A link to a read-only snapshot. ``path``: of the page that shows it."""

    share_id: str
    path: str


class FeedbackIn(BaseModel):
    """What one thinks of an answer: a thumb, and why."""

    rating: Literal["up", "down"]
    reason: str = Field("", max_length=feedback.MAX_REASON)


class FeedbackOut(BaseModel):
    """What the owner of a conversation thinks of an answer."""

    rating: Literal["up", "down"]
    reason: str | None = None


class StoredMessageOut(BaseModel):
    """A message with its place. ``parent_id``: the message before it, empty for a first one. Times are ISO 8601."""

    conversation_id: str
    parent_id: str
    created_at: str
    updated_at: str
    message: MessageOut
    feedback: FeedbackOut | None = None


class ImportedConversation(BaseModel):
    """A conversation that was imported."""

    id: str


class ImportedOut(BaseModel):
    """What was imported, in the order of the file."""

    conversations: list[ImportedConversation]


class Changed(BaseModel):
    """The conversation that a change concerned."""

    conversation_id: str


class HitOut(BaseModel):
    """A message that was found."""

    conversation_id: str
    title: str
    message_id: str
    role: str
    snippet: str
    created_at: str


class Hits(BaseModel):
    """A page, newest first. ``next``: the ``before`` of the next, older page; null on the last one."""

    hits: list[HitOut]
    next: str | None
