"""A chat completion request, as it comes, and what it asks for. Pure."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from streamchat.chat.messages import Part, TextPart, whole
from streamchat.chat.request import Options, ToolSpec
from streamchat.errors import InvalidInput
from streamchat.web.vendors import attachments
from streamchat.web.vendors.asked import Asked, Result, Transcript, call, text_parts, thought, tools_of
from streamchat.web.vendors.fields import Effort, ModelName, Shape, Temperature, Tokens, ToolName, schema_of


class Content(Shape):
    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: dict[str, Any] | str | None = None
    file: dict[str, Any] | None = None


class Function(Shape):
    name: str
    arguments: str = ""


class CallIn(Shape):
    id: str
    function: Function | None = None


class MessageIn(Shape):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[Content] | None = None
    tool_calls: list[CallIn] | None = None
    tool_call_id: str | None = None
    reasoning_content: str | None = None
    refusal: str | None = None


class Declared(Shape):
    name: ToolName
    description: str | None = None
    parameters: dict[str, Any] | None = None


class ToolIn(Shape):
    type: str
    function: Declared | None = None


class SchemaIn(Shape):
    schema_: Annotated[dict[str, Any] | None, Field(alias="schema")] = None


class FormatIn(Shape):
    type: str
    json_schema: SchemaIn | None = None


class StreamOptions(Shape):
    include_usage: bool = False


class ChatRequest(Shape):
    """`POST /v1/chat/completions`. Fields that are not named here are ignored."""

    model: ModelName
    messages: Annotated[list[MessageIn], Field(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Temperature | None = None
    max_tokens: Tokens | None = None
    max_completion_tokens: Tokens | None = None
    reasoning_effort: Effort | None = None
    response_format: FormatIn | None = None
    tools: list[ToolIn] | None = None
    tool_choice: str | dict[str, Any] | None = None
    n: int | None = None

    def asked(self) -> Asked:
        """Raises ``InvalidInput``."""
        if self.n not in (None, 1):
            raise InvalidInput("n: one answer at a time is given here.")
        transcript = Transcript()
        for message in self.messages:
            _add(transcript, message)
        options = Options(
            self.temperature,
            self.max_completion_tokens or self.max_tokens,
            self.reasoning_effort,
            self._schema(),
        )
        tools = tools_of(map(_spec, self.tools or ()), self.tool_choice)
        return transcript.asked(self.model, options, tools, stream=bool(self.stream))

    def _schema(self) -> dict[str, Any] | None:
        if (wanted := self.response_format) is None:
            return None
        return schema_of(wanted.type, wanted.json_schema.schema_ if wanted.json_schema else None, "response_format")


def _add(transcript: Transcript, message: MessageIn) -> None:
    match message.role:
        case "system" | "developer":
            transcript.system(_text(message.content))
        case "user":
            transcript.user([_part(part) for part in _list(message.content)])
        case "assistant":
            parts: list[Part] = [thought(message.reasoning_content)] if message.reasoning_content else []
            parts += text_parts(_text(message.content) or message.refusal)
            for one in message.tool_calls or ():
                if one.function is None:
                    raise InvalidInput("tool_calls: only calls of functions are taken.")
                parts.append(call(one.id, one.function.name, one.function.arguments))
            transcript.answer(parts)
        case "tool":
            if not message.tool_call_id:
                raise InvalidInput("A message of the role tool needs its tool_call_id.")
            transcript.result(message.tool_call_id, Result(whole(_text(message.content))))


def _list(content: str | list[Content] | None) -> list[Content]:
    return [Content(type="text", text=content)] if isinstance(content, str) else content or []


def _text(content: str | list[Content] | None) -> str:
    return "".join(part.text or part.refusal or "" for part in _list(content))


def _part(part: Content) -> Part:
    match part.type:
        case "text" if part.text is not None:
            return TextPart(whole(part.text))
        case "image_url" if part.image_url is not None:
            url = part.image_url if isinstance(part.image_url, str) else part.image_url.get("url")
            return attachments.from_url(str(url))
        case "file" if part.file is not None and isinstance(part.file.get("file_data"), str):
            return attachments.from_url(part.file["file_data"], str(part.file.get("filename") or ""))
    raise InvalidInput(f"Content of type {part.type[:40]} is not taken here, or lacks what it needs.")


def _spec(tool: ToolIn) -> ToolSpec | None:
    if tool.type != "function" or tool.function is None:
        return None
    declared = tool.function
    return ToolSpec(declared.name, declared.description or "", declared.parameters or {"type": "object"})
