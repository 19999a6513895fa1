"""A chat completion request, and its conversion. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field

from streamchat.chat.messages import Part, TextPart, repair_surrogates
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
    ModelName,
    Seed,
    Shape,
    Stop,
    Stops,
    Temperature,
    Tokens,
    ToolName,
    TopP,
    refuse,
    schema_of,
)


class Content(Shape):
    """A content part."""

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: dict[str, Any] | str | None = None
    file: dict[str, Any] | None = None


class Function(Shape):
    """The function of a call."""

    name: str
    arguments: str = ""


class CallIn(Shape):
    """A tool call of an earlier answer."""

    id: str
    function: Function | None = None


class MessageIn(Shape):
    """A message."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[Content] | None = None
    tool_calls: list[CallIn] | None = None
    tool_call_id: str | None = None
    reasoning_content: str | None = None
    refusal: str | None = None


class FunctionIn(Shape):
    """A declared function."""

    name: ToolName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class ToolIn(Shape):
    """A declared tool."""

    type: str
    function: FunctionIn | None = None


class SchemaIn(Shape):
    """The JSON schema of the answer."""

    schema_: Annotated[dict[str, Any] | None, Field(alias="schema")] = None


class FormatIn(Shape):
    """The format of the answer."""

    type: str
    json_schema: SchemaIn | None = None


class StreamOptions(Shape):
    """Options of the stream."""

    include_usage: bool = False


# Fields that nothing here honours, with their values that change nothing. What is unknown to OpenAI too is ignored.
UNSUPPORTED: Mapping[str, Sequence[Any]] = {
    "audio": (),
    "frequency_penalty": (),
    "function_call": (),
    "functions": (),
    "logit_bias": (),
    "logprobs": (),
    "min_p": (),
    "moderation": (),
    "modalities": (["text"],),
    "presence_penalty": (),
    "repetition_penalty": (1,),
    "top_k": (-1,),
    "top_logprobs": (),
    "verbosity": ("medium",),
    "web_search_options": (),
}


# Fields of OpenAI's that change nothing in the answer: they identify, account, cache, or predict for speed.
IGNORED = frozenset({
    "metadata", "prediction", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "safety_identifier",
    "service_tier", "user",
})  # fmt: skip


class ChatRequest(Shape):
    """`POST /v1/chat/completions`. Fields that are not named here do not change the answer, or are refused."""

    model: ModelName
    messages: Annotated[list[MessageIn], Field(min_length=1, max_length=MAX_MESSAGES)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Temperature | None = None
    max_tokens: Tokens | None = None
    max_completion_tokens: Tokens | None = None
    reasoning_effort: Effort | None = None
    response_format: FormatIn | None = None
    tools: Annotated[list[ToolIn], Field(max_length=MAX_TOOLS)] | None = None
    tool_choice: str | dict[str, Any] | None = None
    n: int | None = None
    top_p: TopP | None = None
    stop: Stop | Stops | None = None
    seed: Seed | None = None
    parallel_tool_calls: bool | None = None
    store: bool | None = None

    def client_request(self) -> ClientRequest:
        """Convert the request. Raises ``InvalidInput``."""
        refuse(self, UNSUPPORTED)
        if self.n not in (None, 1):
            raise InvalidInput("n: only one answer per request is supported.")
        transcript = Transcript()
        for message in self.messages:
            _add(transcript, message)
        tools = tools_of(map(_spec, self.tools or ()), self.tool_choice)
        options = Options(
            self.temperature,
            self.max_completion_tokens or self.max_tokens,
            self.reasoning_effort,
            self._schema(),
            top_p=self.top_p,
            stop=(self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ()),
            seed=self.seed,
            tool_choice=tool_choice_of(self.tool_choice, tools),
            parallel_tool_calls=self.parallel_tool_calls,
        )
        request = transcript.client_request(self.model, options, tools, stream=bool(self.stream))
        names = {} if self.max_completion_tokens is None else {"max_tokens": "max_completion_tokens"}
        return replace(request, keep=self.store is not False, names=names)

    def _schema(self) -> dict[str, Any] | None:
        if (format := self.response_format) is None:
            return None
        return schema_of(format.type, format.json_schema.schema_ if format.json_schema else None, "response_format")


def _add(transcript: Transcript, message: MessageIn) -> None:
    match message.role:
        case "system" | "developer":
            transcript.system(_text(message.content))
        case "user":
            transcript.user([_part(part) for part in _list(message.content)])
        case "assistant":
            parts: list[Part] = [reasoning_part(message.reasoning_content)] if message.reasoning_content else []
            parts += text_parts(_text(message.content) or message.refusal)
            for tool_call in message.tool_calls or ():
                if tool_call.function is None:
                    raise InvalidInput("tool_calls: only calls of functions are supported.")
                parts.append(call_part(tool_call.id, tool_call.function.name, tool_call.function.arguments))
            transcript.answer(parts)
        case "tool":
            if not message.tool_call_id:
                raise InvalidInput("A message with the role tool needs a tool_call_id.")
            transcript.result(message.tool_call_id, Result.of([_part(part) for part in _list(message.content)]))


def _list(content: str | list[Content] | None) -> list[Content]:
    return [Content(type="text", text=content)] if isinstance(content, str) else content or []


def _text(content: str | list[Content] | None) -> str:
    return "".join(part.text or part.refusal or "" for part in _list(content))


def _part(part: Content) -> Part:
    match part.type:
        case "text" if part.text is not None:
            return TextPart(repair_surrogates(part.text))
        case "image_url" if part.image_url is not None:
            url = part.image_url if isinstance(part.image_url, str) else part.image_url.get("url")
            return attachments.from_url(str(url))
        case "file" if part.file is not None and isinstance(part.file.get("file_data"), str):
            return attachments.from_url(part.file["file_data"], str(part.file.get("filename") or ""))
        case "file" if part.file is not None and isinstance(part.file.get("file_id"), str):
            return attachments.from_id(part.file["file_id"])
    raise InvalidInput(f"Content of type {part.type[:40]} is not supported, or lacks a field.")


def _spec(tool: ToolIn) -> ToolSpec | None:
    if tool.type == "custom":
        raise InvalidInput("tools: only functions are supported, and not custom tools with free text.")
    if tool.type != "function" or tool.function is None:
        return None
    declared = tool.function
    return ToolSpec(
        declared.name, declared.description or "", declared.parameters or {"type": "object"}, declared.strict
    )
