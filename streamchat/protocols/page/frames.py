"""The types of the page's frames.

The front end has the same types in ``assets/chat/store/frames.ts``; ``tests/integration/ui/test_frame_types.py`` lets
the TypeScript compiler compare the two, and compares real frames with these. Rules:

* A name is the same on both sides. Frames that come with every token have single-letter keys.
* Default values are left out: such keys are ``NotRequired``.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict

from streamchat.chat.messages import Role, Status, ToolState

# Any JSON value.
Json: TypeAlias = Any
Offer: TypeAlias = Literal["continue", "retry"]


class TextPart(TypedDict):
    """Text of a message."""

    type: Literal["text"]
    text: str


class ReasoningPart(TypedDict):
    """Reasoning of the model."""

    type: Literal["reasoning"]
    text: str


class SourcePart(TypedDict):
    """A source of the answer."""

    type: Literal["source"]
    url: str
    title: NotRequired[str]


class NoticePart(TypedDict):
    """A notice inside the answer."""

    type: Literal["notice"]
    kind: str
    text: str
    data: NotRequired[dict[str, Json]]


class ImagePart(TypedDict):
    """``data`` is base64, of a picture in the message itself; ``file_id`` that of an uploaded one."""

    type: Literal["image"]
    media_type: str
    data: NotRequired[str]
    name: NotRequired[str]
    file_id: NotRequired[str]
    width: NotRequired[int]
    height: NotRequired[int]


class FilePart(TypedDict):
    """An attached file, without its text. ``file_id``: of an uploaded one."""

    type: Literal["file"]
    name: str
    media_type: NotRequired[str]
    file_id: NotRequired[str]
    pages: NotRequired[int]


class ToolCallPart(TypedDict):
    """A tool call; integers that JavaScript would round are strings.

    ``fields``: the parsed part of the arguments while they arrive. ``schema``: that of the arguments, while the call
    waits
    for approval. ``server``: the MCP server that the tool belongs to. ``again``: it may have run before.
    """

    type: Literal["tool_call"]
    id: str
    name: str
    state: ToolState
    arguments: dict[str, Json] | None
    fields: NotRequired[dict[str, Json]]
    progress: NotRequired[list[str]]
    result: NotRequired[Json]
    error: NotRequired[str]
    by_provider: NotRequired[bool]
    duration_ms: NotRequired[int]
    again: NotRequired[bool]
    server: NotRequired[str]
    schema: NotRequired[dict[str, Json]]


Part: TypeAlias = TextPart | ReasoningPart | ToolCallPart | SourcePart | NoticePart | ImagePart | FilePart


class ErrorInfo(TypedDict):
    """``retry_after`` is in seconds."""

    message: str
    kind: str
    retryable: NotRequired[bool]
    retry_after: NotRequired[float]


class Usage(TypedDict):
    """Tokens, and their cost in US dollars; see ``chat.events.UsageReported``."""

    input: NotRequired[int]
    output: NotRequired[int]
    cached: NotRequired[int]
    reasoning: NotRequired[int]
    written: NotRequired[int]
    cost_usd: NotRequired[float]
    own_key: NotRequired[bool]


class Timing(TypedDict):
    """How fast an answer came, in milliseconds from the arrival of the question; see ``chat.timing``."""

    asked_ms: NotRequired[int]
    connected_ms: NotRequired[int]
    ttfb_ms: NotRequired[int]
    ttft_ms: NotRequired[int]
    ttlt_ms: NotRequired[int]
    ttc_ms: NotRequired[int]
    reasoning_ms: int
    tools_ms: int
    waited_ms: int
    gap_p50_ms: NotRequired[float]
    gap_p95_ms: NotRequired[float]
    longest_gap_ms: NotRequired[int]
    stalls: int
    tokens: int
    cached_tokens: NotRequired[int]
    tokens_per_second: NotRequired[float]


class Message(TypedDict):
    """A whole message. ``seq``: the number of the last log entry in it. ``why`` and ``offers``: see ``EndFrame``.

    ``versions``: the ids of all versions of it, its own included, oldest first.
    """

    id: str
    role: Role
    status: Status
    model: str
    text: str
    parts: list[Part]
    stop_reason: str | None
    seq: int
    error: NotRequired[ErrorInfo]
    usage: NotRequired[Usage]
    timing: NotRequired[Timing]
    why: NotRequired[str]
    offers: NotRequired[list[Offer]]
    versions: NotRequired[list[str]]
    feedback: NotRequired[Feedback]


class Feedback(TypedDict):
    """What the reader thinks of an answer."""

    rating: Literal["up", "down"]
    reason: NotRequired[str]


class FeedbackFrame(TypedDict):
    """What the reader thinks of an answer, after a change; ``None``: nothing any more."""

    k: Literal["feedback"]
    m: str
    feedback: Feedback | None
    n: int


class PieceFrame(TypedDict):
    """A piece of text: message id, log entry, index of the part, offset in UTF-16 code units, text.

    A piece that continues the one before has no entry and no place: they were a third of what it costs on the wire.
    ``y``: type of the part, if it is not text. ``c``: CRC-32 of the answer's text so far.
    """

    m: str
    t: str
    s: NotRequired[int]
    p: NotRequired[int]
    o: NotRequired[int]
    y: NotRequired[Literal["reasoning"]]
    c: NotRequired[int]


class OpenFrame(TypedDict):
    """The current conversation. ``g``: a unique number; ``earlier``: there are messages before these;
    ``missing``: the address names no conversation. ``model``, ``settings`` and ``compared``: see ``AboutFrame``.
    ``shared``: it is a read-only snapshot. ``begun``: this tab has begun it, and its address follows.
    """

    k: Literal["open"]
    g: int
    conversation: str | None
    title: str
    messages: list[Message]
    earlier: bool
    missing: bool
    error: NotRequired[str]
    model: NotRequired[str]
    settings: NotRequired[Settings]
    shared: NotRequired[bool]
    begun: NotRequired[bool]
    compared: NotRequired[list[str]]


class Settings(TypedDict):
    """What the next answer is generated with. What is left out is the model's default."""

    system: NotRequired[str]
    temperature: NotRequired[float]
    max_tokens: NotRequired[int]
    reasoning_effort: NotRequired[str]
    web_search: NotRequired[bool]


class AboutFrame(TypedDict):
    """The conversation without its messages, after a change. ``model``: the id of the model that answers next.

    ``compared``: the last messages, if they are answers to one question that stand side by side.
    """

    k: Literal["about"]
    title: str
    model: str
    settings: Settings
    n: int
    compared: NotRequired[list[str]]


class MessagesFrame(TypedDict):
    """Messages that are new, or that replace the page's versions of them."""

    k: Literal["messages"]
    messages: list[Message]
    n: NotRequired[int]


class DropFrame(TypedDict):
    """This message is no longer in the conversation."""

    k: Literal["drop"]
    m: str


class OrderFrame(TypedDict):
    """The messages in their order, after a change in the middle. Those that are not there follow.

    ``versions``: new lists of those messages whose list changed.
    """

    k: Literal["order"]
    ids: list[str]
    earlier: bool
    n: int
    versions: NotRequired[dict[str, list[str]]]


class EarlierFrame(TypedDict):
    """A page of messages before the first one."""

    k: Literal["earlier"]
    messages: list[Message]
    earlier: bool
    n: int


class PartFrame(TypedDict):
    """A whole part, and the message's status if it changed."""

    k: Literal["part"]
    m: str
    s: int
    p: int
    part: Part
    status: NotRequired[Status]


# Index of a part -> changed fields of its tool call; ``None`` removes a field.
ToolChanges: TypeAlias = dict[str, dict[str, Json]]


class PatchFrame(TypedDict):
    """Changes of tool calls."""

    k: Literal["patch"]
    m: str
    s: int
    set: ToolChanges
    status: NotRequired[Status]


class EndFrame(TypedDict):
    """The end of an answer, with the length (UTF-16 code units) and the CRC-32 of its text.

    ``why``: the reason why it is not simply complete; ``offers``: the possible next steps.
    """

    k: Literal["end"]
    m: str
    s: int
    status: Status
    stop_reason: str | None
    length: int
    c: int
    set: NotRequired[ToolChanges]
    error: NotRequired[ErrorInfo]
    usage: NotRequired[Usage]
    timing: NotRequired[Timing]
    why: NotRequired[str]
    offers: NotRequired[list[Offer]]


class SentFrame(TypedDict):
    """A message was accepted."""

    k: Literal["sent"]
    client_id: str
    n: int


class SayFrame(TypedDict):
    """An error message for beside the composer; with a client id, that message was refused.

    ``sign_in``: the session has ended, and the page leads to the sign-in.
    """

    k: Literal["say"]
    text: str
    n: int
    client_id: NotRequired[str]
    sign_in: NotRequired[bool]


class UndecidedFrame(TypedDict):
    """A decision about a tool call was not accepted. ``paths``: the arguments that do not fit, from the outside in."""

    k: Literal["undecided"]
    m: str
    call: str
    text: str
    n: int
    paths: NotRequired[list[list[str]]]


class ToolRow(TypedDict):
    """``server``: the name of its MCP server, or "". ``asks``: it needs approval."""

    name: str
    description: str
    server: str
    asks: bool
    on: bool


class ServerRow(TypedDict):
    """An MCP server of the tools menu. ``sentence``: its state as a sentence."""

    name: str
    state: str
    sentence: str
    on: bool


class ToolsFrame(TypedDict):
    """The tools of the conversation."""

    k: Literal["tools"]
    conversation: str | None
    servers: list[ServerRow]
    tools: list[ToolRow]
    n: int


TranscriptFrame: TypeAlias = (
    PieceFrame
    | OpenFrame
    | MessagesFrame
    | DropFrame
    | OrderFrame
    | AboutFrame
    | EarlierFrame
    | PartFrame
    | PatchFrame
    | EndFrame
)
AnyFrame: TypeAlias = TranscriptFrame | SentFrame | SayFrame | UndecidedFrame | ToolsFrame


class ConversationRow(TypedDict):
    """A row of the list of conversations; ``when`` is ISO 8601. ``cursor``: of the page after it, in the last row.

    ``answering``: an answer has not ended; ``waiting``: one waits for an approval.
    """

    id: str
    title: str
    answering: bool
    waiting: NotRequired[bool]
    when: str
    pinned: NotRequired[bool]
    cursor: NotRequired[str]


class ListChanges(TypedDict):
    """What the list of conversations has differently from the rows that were sent whole: new rows and others, in any
    order, and the ids of those that are not there any more."""

    rows: list[ConversationRow]
    gone: list[str]


class Model(TypedDict):
    """A model that is offered; ``unavailable``: why it cannot be used now, or "". ``remote``: what is sent to it leaves
    this machine. ``web_search``: its vendor searches the web for it. ``images``: it sees pictures."""

    id: str
    label: str
    unavailable: str
    note: str
    remote: NotRequired[bool]
    web_search: NotRequired[bool]
    images: NotRequired[bool]


class Person(TypedDict):
    """Who is signed in. ``sign_out``: whether this server can end that."""

    name: str
    sign_out: bool
