"""A request of the Responses API, and its conversion. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field

from streamchat.chat.messages import Message, Part, TextPart, repair_surrogates
from streamchat.chat.request import Options, ToolSpec
from streamchat.errors import InvalidInput, NotFound
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
    Temperature,
    Tokens,
    ToolName,
    TopP,
    refuse,
    schema_of,
)

PREFIX = "resp_"
CONVERSATION_PREFIX = "conv_"


class Content(Shape):
    """A content part."""

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: str | None = None
    file_data: str | None = None
    file_id: str | None = None
    file_url: str | None = None
    filename: str | None = None


class Item(Shape):
    """An input item. A message has a role; other items have a type; a reference may have an id only."""

    type: str | None = None
    id: str | None = None
    role: Literal["system", "developer", "user", "assistant"] | None = None
    content: str | list[Content] | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    output: str | list[Content] | None = None
    summary: list[Content] | None = None
    encrypted_content: str | None = None

    @property
    def reference(self) -> str | None:
        """The id of the stored item that this one stands for, ``None`` if it is an item itself."""
        bare = self.type is None and self.role is None
        return self.id if self.type == "item_reference" or bare else None


class ToolIn(Shape):
    """A declared tool."""

    type: str
    name: ToolName | None = None
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class TextIn(Shape):
    """The format of the text."""

    format: Format | None = None


class Reasoning(Shape):
    """Options of the reasoning."""

    effort: Effort | None = None
    summary: str | None = None


# Fields that nothing here honours, with their values that change nothing. What is unknown to OpenAI too is ignored.
UNSUPPORTED: Mapping[str, Sequence[Any]] = {
    "access_programs": (),
    "background_options": (),
    "image": (),
    "max_tool_calls": (),
    "moderation": (),
    "prompt": (),
    "top_logprobs": (),
}


# Fields of OpenAI's that change nothing in the answer: they identify, account, or cache. A history that is too long is
# shortened here in any case, and encrypted reasoning always goes out, as a handle.
IGNORED = frozenset({
    "context_management", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "safety_identifier",
    "service_tier", "stream_options", "truncation", "user",
})  # fmt: skip
# What ``include`` may ask for that is not there: the rest are outputs of tools that only the vendor can run.
_NOT_INCLUDED = "message.output_text.logprobs"


NAMES = {"max_tokens": "max_output_tokens", "reasoning_effort": "reasoning.effort"}


class ConversationIn(Shape):
    """The conversation that a response belongs to."""

    id: Annotated[str, Field(max_length=200)]


class ResponsesRequest(Shape):
    """`POST /v1/responses`. Fields that are not named here do not change the answer, or are refused."""

    model: ModelName
    input: str | Annotated[list[Item], Field(max_length=MAX_MESSAGES)]
    instructions: str | None = None
    stream: bool | None = None
    temperature: Temperature | None = None
    max_output_tokens: Tokens | None = None
    reasoning: Reasoning | None = None
    text: TextIn | None = None
    tools: Annotated[list[ToolIn], Field(max_length=MAX_TOOLS)] | None = None
    tool_choice: str | dict[str, Any] | None = None
    previous_response_id: Annotated[str, Field(max_length=200)] | None = None
    background: bool | None = None
    parallel_tool_calls: bool | None = None
    top_p: TopP | None = None
    metadata: dict[str, Any] | None = None
    store: bool | None = None
    include: Annotated[list[str], Field(max_length=50)] | None = None
    conversation: Annotated[str, Field(max_length=200)] | ConversationIn | None = None

    def client_request(self) -> ClientRequest:
        """Convert the request. Raises ``InvalidInput``, ``NotFound``."""
        refuse(self, UNSUPPORTED)
        if self.text is not None:
            refuse(self.text, {"verbosity": ("medium",)})
        if self.background:
            raise InvalidInput("background: not supported. Every answer continues without its client here.")
        if _NOT_INCLUDED in (self.include or ()):
            raise InvalidInput(f"include: {_NOT_INCLUDED} is not supported here.")
        transcript = Transcript()
        items = [Item(role="user", content=self.input)] if isinstance(self.input, str) else self.input
        for item in items:
            _add(transcript, item)
        # A system message alone is the question.
        lasting = transcript.system_text if transcript.has_turns or transcript.results else ""
        transcript.system(self.instructions or "", first=True)
        effort = self.reasoning.effort if self.reasoning else None
        tools = tools_of(map(_spec, self.tools or ()), self.tool_choice)
        options = Options(
            self.temperature,
            self.max_output_tokens,
            effort,
            self._schema(),
            top_p=self.top_p,
            tool_choice=tool_choice_of(self.tool_choice, tools),
            parallel_tool_calls=self.parallel_tool_calls,
        )
        request = transcript.client_request(self.model, options, tools, stream=bool(self.stream), after=self._after())
        place, keep = self._conversation(), self.store is not False
        echo = self._kept()
        return replace(request, conversation_id=place, keep=keep, echo=echo, names=NAMES, lasting_system=lasting)

    def echo(self) -> dict[str, Any]:
        """Return the fields that a response repeats of its request."""
        fields = self.model_dump(mode="json", by_alias=True, exclude_unset=True)
        return {
            "instructions": self.instructions,
            "max_output_tokens": self.max_output_tokens,
            "conversation": {"id": self._conversation_name} if self.conversation else None,
            "metadata": self.metadata or {},
            "parallel_tool_calls": self.parallel_tool_calls is not False,
            "previous_response_id": self.previous_response_id,
            "store": self.store is not False,
            "reasoning": {"effort": None, "summary": None, **(fields.get("reasoning") or {})},
            "temperature": self.temperature,
            "text": {"format": {"type": "text"}, **(fields.get("text") or {})},
            "tool_choice": self.tool_choice or "auto",
            "tools": fields.get("tools") or [],
            "top_p": self.top_p,
            "truncation": "disabled",
        }

    def _kept(self) -> dict[str, Any]:
        """Return what of ``echo`` is stored with the run, because its options do not tell it."""
        echo, empty = self.echo(), ResponsesRequest(model="-", input="").echo()
        names = ("conversation", "instructions", "metadata", "previous_response_id", "reasoning", "text", "tool_choice")
        return {name: echo[name] for name in names if echo[name] != empty[name]}

    @property
    def _conversation_name(self) -> str:
        given = self.conversation
        return given.id if isinstance(given, ConversationIn) else given or ""

    def _conversation(self) -> str | None:
        if not self.conversation:
            return None
        if self.previous_response_id:
            raise InvalidInput("conversation: it cannot be combined with previous_response_id.")
        return conversation_of(self._conversation_name)

    def _schema(self) -> dict[str, Any] | None:
        format = self.text.format if self.text else None
        return None if format is None else schema_of(format.type, format.schema_, "text.format")

    def _after(self) -> str | None:
        if not self.previous_response_id:
            return None
        if not self.previous_response_id.startswith(PREFIX):
            raise NotFound("There is no response with this previous_response_id.")
        return self.previous_response_id.removeprefix(PREFIX)


def conversation_of(name: str) -> str:
    """Return our id of a conversation. Raises ``NotFound``."""
    if not name.startswith(CONVERSATION_PREFIX):
        raise NotFound("There is no conversation with this id.")
    return name.removeprefix(CONVERSATION_PREFIX)


def turns_of(items: Sequence[Item]) -> tuple[str, tuple[Message, ...]]:
    """Return the text of the system messages among these items, and the rest as turns. Raises ``InvalidInput``."""
    transcript = Transcript()
    for item in items:
        _add(transcript, item)
    if transcript.results:
        raise InvalidInput("items: a tool result whose call is not among them belongs into the input of a response.")
    return transcript.system_text, transcript.turns if transcript.has_turns else ()


def _add(transcript: Transcript, item: Item) -> None:
    match item.type or "message":
        case "message" if item.role in ("system", "developer"):
            transcript.system(_text(item.content))
        case "message" if item.role == "user":
            transcript.user([_part(part) for part in _list(item.content)])
        case "message" if item.role == "assistant":
            transcript.answer(text_parts(_text(item.content)))
        case "function_call" if item.call_id and item.name:
            transcript.answer([call_part(item.call_id, item.name, item.arguments or "")])
        case "function_call_output" if item.call_id:
            transcript.result(item.call_id, Result.of([_part(part) for part in _list(item.output)]))
        case "reasoning":
            text = "".join(part.text or "" for part in item.summary or ())
            transcript.answer([reasoning_part(text, item.encrypted_content or "")])
        case _:
            raise InvalidInput(f"input: an item of type {str(item.type)[:40]} is not supported, or lacks a field.")


def _list(content: str | list[Content] | None) -> list[Content]:
    return [Content(type="input_text", text=content)] if isinstance(content, str) else content or []


def _text(content: str | list[Content] | None) -> str:
    return "".join(part.text or part.refusal or "" for part in _list(content))


def _part(part: Content) -> Part:
    match part.type:
        case "input_text" | "output_text" | "text" if part.text is not None:
            return TextPart(repair_surrogates(part.text))
        case "input_image" if part.image_url is not None:
            return attachments.from_url(part.image_url)
        case "input_image" | "input_file" if part.file_id:
            return attachments.from_id(part.file_id)
        case "input_file" if part.file_url:
            return attachments.from_url(part.file_url, part.filename or "")
        case "input_file" if part.file_data is not None and part.file_data.startswith("data:"):
            return attachments.from_url(part.file_data, part.filename or "")
        case "input_file" if part.file_data is not None:
            return attachments.from_base64("text/plain", part.file_data, part.filename or "")
    raise InvalidInput(f"Content of type {part.type[:40]} is not supported, or lacks a field.")


def _spec(tool: ToolIn) -> ToolSpec | None:
    if tool.type == "custom":
        raise InvalidInput("tools: only functions are supported, and not custom tools with free text.")
    if tool.type != "function" or not tool.name:
        return None
    return ToolSpec(tool.name, tool.description or "", tool.parameters or {"type": "object"}, tool.strict)
