"""A request of Anthropic's Messages API, and its conversion. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from streamchat.chat.messages import Part, ReasoningPart, TextPart, repair_surrogates
from streamchat.chat.request import Options, ToolSpec
from streamchat.errors import InvalidInput
from streamchat.protocols import attachments
from streamchat.protocols.conversation_in import (
    MAX_MESSAGES,
    MAX_TOOLS,
    ClientRequest,
    Result,
    Transcript,
    call_part,
    reasoning_part,
    text_parts,
    tool_choice_of,
    tools_of,
)
from streamchat.protocols.fields import (
    Effort,
    Format,
    ModelName,
    Shape,
    Stops,
    Tokens,
    ToolName,
    TopP,
    refuse,
    schema_of,
)

# The maximum number of thinking tokens of each effort.
_BUDGETS = ((4096, "low"), (16384, "medium"))


# Fields that nothing here honours. What is unknown to Anthropic too is ignored.
UNSUPPORTED: Mapping[str, Sequence[Any]] = {
    "compaction": (),
    "container": (),
    "fallbacks": (),
    "inference_geo": (),
    "mcp_servers": (),
    "speed": ("standard",),
    "top_k": (),
}
# Fields of Anthropic's that change nothing in the answer: they identify, account, or cache. A history that is too long
# is shortened here in any case. ``betas`` is a header.
IGNORED = frozenset({
    "betas", "billing_policy", "cache_control", "context_management", "diagnostics", "fallback_credit_token",
    "metadata", "service_tier", "user_profile_id", "workspace_id",
})  # fmt: skip
THREADS = ("thread", "previous_message_id")


class ThreadUnsupported(InvalidInput):
    """The request continues a thread, which Anthropic keeps and this server does not. SDKs then send all of it."""

    details: Mapping[str, Any] = {"error_code": "thread_unsupported_request"}


class Source(Shape):
    """The source of an image or a document."""

    type: str
    media_type: str = ""
    data: str = ""
    url: str = ""
    file_id: str = ""
    content: str | list[dict[str, Any]] | None = None


class Block(Shape):
    """A content block."""

    type: str
    text: str | None = None
    source: Source | str | None = None
    title: str | None = None
    context: str | None = None
    id: str | None = None
    name: str | None = None
    input: dict[str, Any] | None = None
    tool_use_id: str | None = None
    content: str | list[dict[str, Any]] | None = None
    is_error: bool | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None


class MessageIn(Shape):
    """A message."""

    role: Literal["user", "assistant", "system"]
    content: str | list[Block]


class ToolIn(Shape):
    """A declared tool."""

    name: ToolName
    type: str | None = None
    description: str | None = None
    input_schema: dict[str, Any] | None = None
    strict: bool | None = None


class Thinking(Shape):
    """Options of the thinking."""

    type: str
    budget_tokens: int | None = None


class OutputConfig(Shape):
    """Options of the output."""

    effort: Effort | None = None
    format: Format | None = None


class CountRequest(Shape):
    """`POST /v1/messages/count_tokens`."""

    model: ModelName
    messages: Annotated[list[MessageIn], Field(min_length=1, max_length=MAX_MESSAGES)]
    system: str | list[Block] | None = None
    stream: bool | None = None
    temperature: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None
    output_format: Format | None = None
    tools: Annotated[list[ToolIn], Field(max_length=MAX_TOOLS)] | None = None
    tool_choice: dict[str, Any] | None = None
    top_p: TopP | None = None
    stop_sequences: Stops | None = None

    def client_request(self, max_tokens: int | None = None) -> ClientRequest:
        """Convert the request. Raises ``InvalidInput``."""
        if any((self.model_extra or {}).get(name) for name in THREADS):
            raise ThreadUnsupported("Threads are not kept here. Send the whole conversation.")
        refuse(self, UNSUPPORTED)
        if self.output_config is not None:
            refuse(self.output_config, {"task_budget": ()})
        transcript = Transcript()
        transcript.system(_text(self.system))
        for message in self.messages:
            _add(transcript, message)
        tools = tools_of(map(_spec, self.tools or ()), self.tool_choice)
        options = Options(
            self.temperature,
            max_tokens,
            self._effort(),
            self._schema(),
            top_p=self.top_p,
            stop=tuple(self.stop_sequences or ()),
            tool_choice=tool_choice_of(self.tool_choice, tools),
            parallel_tool_calls=False if (self.tool_choice or {}).get("disable_parallel_tool_use") is True else None,
        )
        request = transcript.client_request(self.model, options, tools, stream=bool(self.stream))
        effort = "output_config.effort" if self.output_config and self.output_config.effort else "thinking"
        parallel = "tool_choice.disable_parallel_tool_use"
        names = {"reasoning_effort": effort, "parallel_tool_calls": parallel}
        # Adaptive: the model decides whether it thinks. One that never does has decided.
        adaptive = self.thinking is not None and self.thinking.type == "adaptive" and effort == "thinking"
        demanded = ("max_tokens", "reasoning_effort") if adaptive else ("max_tokens",)
        return replace(request, names=names, demanded=demanded)

    def _effort(self) -> str | None:
        if self.thinking is not None and self.thinking.type == "disabled":
            return "none"
        if self.output_config is not None and self.output_config.effort:
            return self.output_config.effort
        if self.thinking is None:
            return None
        budget = self.thinking.budget_tokens
        return "medium" if budget is None else next((word for limit, word in _BUDGETS if budget <= limit), "high")

    def _schema(self) -> dict[str, Any] | None:
        format = (self.output_config.format if self.output_config else None) or self.output_format
        return None if format is None else schema_of(format.type, format.schema_, "output_config.format")


class MessagesRequest(CountRequest):
    """`POST /v1/messages`. Fields that are not named here do not change the answer, or are refused."""

    max_tokens: Tokens


def _add(transcript: Transcript, message: MessageIn) -> None:
    blocks = [Block(type="text", text=message.content)] if isinstance(message.content, str) else message.content
    if message.role == "system":
        transcript.system(_text(blocks))
    elif message.role == "assistant":
        transcript.answer([part for block in blocks for part in _answer_parts(block)])
    else:
        parts: list[Part] = []
        for block in blocks:
            if block.type == "tool_result" and block.tool_use_id:
                content = [part for one in _blocks(block.content) for part in _user_parts(one)]
                transcript.result(block.tool_use_id, Result.of(content, error=bool(block.is_error)))
            else:
                parts += _user_parts(block)
        if parts:
            transcript.user(parts)


def _answer_parts(block: Block) -> tuple[Part, ...]:
    match block.type:
        case "text":
            return text_parts(block.text)
        case "tool_use" if block.id and block.name:
            return (call_part(block.id, block.name, block.input or {}),)
        case "thinking":
            return (reasoning_part(block.thinking or "", block.signature or ""),)
        case "redacted_thinking":
            return (ReasoningPart("", {"mark": block.data or ""}),)
    raise InvalidInput(f"A block of type {block.type[:40]} is not supported in an assistant message, or lacks a field.")


def _user_parts(block: Block) -> list[Part]:
    refuse(block, {"citations": ({"enabled": False},)})
    match block.type:
        case "text" if block.text is not None:
            return [TextPart(repair_surrogates(block.text))]
        case "image" | "document" if isinstance(block.source, Source):
            about: list[Part] = [TextPart(repair_surrogates(block.context))] if block.context else []
            return [*about, *_from_source(block.source, block.title or "")]
        case "search_result":
            texts = [one.text for one in _blocks(block.content) if one.text]
            return [
                attachments.from_text(
                    "\n".join(texts), "text/plain", f"{block.title or ''} {block.source or ''}".strip()
                )
            ]
    raise InvalidInput(f"A block of type {block.type[:40]} is not supported here, or lacks a field.")


def _from_source(source: Source, title: str) -> list[Part]:
    match source.type:
        case "base64":
            return [attachments.from_base64(source.media_type, source.data, title)]
        case "text":
            return [attachments.from_text(source.data, source.media_type or "text/plain", title)]
        case "url" if source.url:
            return [attachments.from_url(source.url, title)]
        case "file" if source.file_id:
            return [attachments.from_id(source.file_id)]
        case "content":
            return [part for one in _blocks(source.content) for part in _user_parts(one)]
    raise InvalidInput(f"A source of type {source.type[:40]} is not supported here, or lacks a field.")


def _blocks(content: str | list[dict[str, Any]] | None) -> list[Block]:
    if content is None or isinstance(content, str):
        return [Block(type="text", text=content)] if content else []
    try:
        return [Block.model_validate(one) for one in content]
    except ValidationError:
        raise InvalidInput("content: a block of it lacks a field, or has one of another type.") from None


def _text(content: str | list[Block] | None) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    return "\n\n".join(block.text for block in content if block.text)


def _spec(tool: ToolIn) -> ToolSpec | None:
    if tool.type not in (None, "custom") or tool.input_schema is None:
        return None
    return ToolSpec(tool.name, tool.description or "", tool.input_schema, tool.strict)
