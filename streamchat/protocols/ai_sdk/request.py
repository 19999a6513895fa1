"""Requests of the AI SDK's ``useChat``: a chat id and its messages, as UI messages. Pure.

Rules: the last message decides: a user message asks a question; an answer of ours with approvals in it brings
decisions, and one with outputs of the front end's own tools goes on with these.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from streamchat.chat.messages import Message, Part, TextPart, repair_surrogates
from streamchat.chat.request import Options, RunOptions, ToolSpec
from streamchat.errors import InvalidInput
from streamchat.protocols import attachments
from streamchat.protocols.conversation_in import (
    MAX_MESSAGES,
    MAX_TOOLS,
    Result,
    Transcript,
    call_part,
    reasoning_part,
    text_parts,
    tool_choice_of,
    tools_of,
)
from streamchat.protocols.fields import Effort, Seed, Shape, Stops, Temperature, Tokens, ToolName, TopP, refuse

MAX_TOOL_NAME = 128
# Settings of a call that nothing here honours.
UNSUPPORTED: Mapping[str, Sequence[Any]] = {
    "frequencyPenalty": (),
    "presencePenalty": (),
    "topK": (),
}
NAMES = {"top_p": "topP", "max_tokens": "maxOutputTokens", "reasoning_effort": "reasoning", "tool_choice": "toolChoice"}


class Approval(Shape):
    """The approval of a tool call, as the client has it."""

    id: str
    approved: bool | None = None
    reason: str | None = None


class UIPart(Shape):
    """A part of a UI message."""

    type: str
    text: str | None = None
    url: str | None = None
    mediaType: str | None = None
    filename: str | None = None
    toolName: str | None = None
    toolCallId: str | None = None
    state: str | None = None
    input: Any = None
    output: Any = None
    errorText: str | None = None
    approval: Approval | None = None


class UIMessage(Shape):
    """A UI message."""

    id: Annotated[str, Field(max_length=200)] = ""
    role: Literal["system", "user", "assistant"]
    parts: Annotated[list[UIPart], Field(max_length=5000)]


class ToolIn(Shape):
    """A tool that the front end runs. Its schema is in `parameters`, or in `inputSchema` as the AI SDK calls it."""

    name: ToolName | None = None
    description: Annotated[str, Field(max_length=100_000)] | None = None
    parameters: dict[str, Any] | None = None
    inputSchema: dict[str, Any] | None = None

    @property
    def schema_of(self) -> dict[str, Any]:
        """The JSON schema of its input; the SDK wraps one that is made by hand."""
        schema = self.parameters or self.inputSchema or {}
        wrapped = schema.get("jsonSchema")
        return (wrapped if isinstance(wrapped, dict) else schema) or {"type": "object"}


class CallSettings(Shape):
    """The AI SDK's names of generation options."""

    temperature: Temperature | None = None
    topP: TopP | None = None
    maxOutputTokens: Tokens | None = None
    maxTokens: Tokens | None = None
    stopSequences: Stops | None = None
    seed: Seed | None = None
    reasoning: Effort | None = None

    def options(self) -> dict[str, Any]:
        """Return those that are given, by our names. Raises ``InvalidInput`` for one that nothing here honours."""
        refuse(self, UNSUPPORTED)
        given = {
            "temperature": self.temperature,
            "top_p": self.topP,
            "max_tokens": self.maxOutputTokens or self.maxTokens,
            "stop": tuple(self.stopSequences or ()),
            "seed": self.seed,
            "reasoning_effort": self.reasoning,
        }
        return {name: value for name, value in given.items() if value not in (None, ())}


class ConfigIn(Shape):
    """assistant-ui's choice of a model."""

    modelName: Annotated[str, Field(max_length=200)] | None = None


class ChatIn(CallSettings):
    """`POST /api/chat`, as the AI SDK's transport sends it.

    `model`, `system`, `tools` and the settings of a call may be put into its `body`; assistant-ui sends them by itself.
    What else is in it is the front end's own.
    """

    id: Annotated[str, Field(min_length=1, max_length=200)]
    messages: Annotated[list[UIMessage], Field(max_length=MAX_MESSAGES)] = []
    message: UIMessage | None = None
    trigger: Literal["submit-message", "regenerate-message"] = "submit-message"
    messageId: Annotated[str, Field(max_length=200)] | None = None
    model: Annotated[str, Field(max_length=200)] | None = None
    system: Annotated[str, Field(max_length=200_000)] | None = None
    tools: dict[str, ToolIn] | Annotated[list[ToolIn], Field(max_length=MAX_TOOLS)] | None = None
    toolChoice: str | dict[str, Any] | None = None
    callSettings: CallSettings | None = None
    config: ConfigIn | None = None

    @property
    def chosen_model(self) -> str | None:
        """The model that the client chooses, if any."""
        return self.model or (self.config.modelName if self.config else None)

    def run_options(self) -> RunOptions:
        """Return system prompt, options and the front end's tools. Raises ``InvalidInput``."""
        if self.config is not None:
            refuse(self.config, {"apiKey": (), "baseUrl": ()})
        tools = self._tools()
        choice = self.toolChoice
        if isinstance(choice, dict) and isinstance(choice.get("toolName"), str):
            choice = {"type": "tool", "name": choice["toolName"]}
        given = {**(self.callSettings.options() if self.callSettings else {}), **self.options()}
        options = Options(**given, tool_choice=tool_choice_of(choice, tools))
        # Without tools of the front end, “none” would still offer ours.
        none = tools_of(tools, choice) if tools or choice == "none" else None
        return RunOptions(system_prompt(self), options, none)

    def _tools(self) -> tuple[ToolSpec, ...]:
        if isinstance(self.tools, dict):
            named = list(self.tools.items())
        else:
            named = [(tool.name or "", tool) for tool in self.tools or ()]
        if len(named) > MAX_TOOLS:
            raise InvalidInput(f"tools: a request may have at most {MAX_TOOLS}.")
        if not all(1 <= len(name) <= MAX_TOOL_NAME for name, _ in named):
            raise InvalidInput(f"tools: each needs a name of 1 to {MAX_TOOL_NAME} characters.")
        return tuple(ToolSpec(name, tool.description or "", tool.schema_of) for name, tool in named)

    @property
    def all(self) -> list[UIMessage]:
        """The messages, from either of the two fields."""
        return self.messages or ([self.message] if self.message else [])


@dataclass(frozen=True, slots=True)
class Decision:
    """A user's decision about a tool call."""

    call_id: str
    approved: bool
    reason: str


def conversation_id(owner: str, chat_id: str) -> str:
    """Return the id of the conversation that a chat starts: the chat's own id is the client's, and may be anything."""
    digest = hashlib.sha256(f"{owner}\0{chat_id}".encode("utf-8", "replace")).digest()
    return urlsafe_b64encode(digest[:16]).rstrip(b"=").decode()


def idempotency_key(chat: ChatIn) -> str:
    """Return a key that is equal if the same message of the same chat is sent again, and differs once it was edited.

    A message without an id is identified by its position. One that is sent alone, without an id, is always new. An
    answer with outputs is told by these.
    """
    if not chat.all:
        return ""
    last = chat.all[-1]
    if last.role == "assistant":
        told = "\0".join([chat.id, last.id, *sorted(results(chat))])
        return "chat:" + hashlib.sha256(told.encode("utf-8", "replace")).hexdigest()[:64]
    if not last.id and len(chat.all) == 1:
        # Nothing tells this message from an earlier one with the same text.
        return f"chat:{uuid.uuid4().hex}"
    identity = last.id or f"\0{len(chat.all)}"
    text = "\0".join([chat.id, identity, *(f"{part.type}\0{part.text}\0{part.url}" for part in last.parts)])
    return "chat:" + hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:64]


def question(chat: ChatIn) -> tuple[Part, ...]:
    """Return the last user message. Raises ``InvalidInput`` if there is none."""
    if not chat.all or chat.all[-1].role != "user":
        raise InvalidInput("messages: the last one must be a user message.")
    return tuple(_user_part(part) for part in chat.all[-1].parts)


def turns(messages: Sequence[UIMessage]) -> tuple[Message, ...]:
    """Return messages as turns, for a chat that is not stored here."""
    transcript = Transcript()
    for message in messages:
        if message.role == "user":
            transcript.user([_user_part(part) for part in message.parts])
        elif message.role == "assistant":
            for part in message.parts:
                _add_answer_part(transcript, part)
    return transcript.turns if messages else ()


def system_prompt(chat: ChatIn) -> str | None:
    """Return the system prompt, from system messages and the field."""
    texts = [part.text or "" for message in chat.all if message.role == "system" for part in message.parts]
    return "\n\n".join(text for text in (chat.system or "", *texts) if text.strip()) or None


def decisions(chat: ChatIn) -> list[Decision]:
    """Return the approvals in the last message, if that is an answer."""
    if not chat.all or chat.all[-1].role != "assistant":
        return []
    return [
        Decision(part.toolCallId, part.approval.approved, part.approval.reason or "")
        for part in chat.all[-1].parts
        if part.toolCallId and part.approval is not None and part.approval.approved is not None
    ]


def results(chat: ChatIn) -> dict[str, Result]:
    """Return the outputs of the front end's tools in the last message, by call, if that is an answer."""
    if not chat.all or chat.all[-1].role != "assistant":
        return {}
    found = ((part.toolCallId, _result(part)) for part in chat.all[-1].parts if part.toolCallId)
    return {call_id: result for call_id, result in found if call_id and result is not None}


def _result(part: UIPart) -> Result | None:
    if part.state == "output-available":
        return Result(part.output if isinstance(part.output, str) else json.dumps(part.output, ensure_ascii=False))
    return Result(part.errorText, error=True) if part.errorText is not None else None


def _user_part(part: UIPart) -> Part:
    match part.type:
        case "text" if part.text is not None:
            return TextPart(repair_surrogates(part.text))
        case "file" if part.url is not None:
            return attachments.from_url(part.url, part.filename or "")
    raise InvalidInput(f"A part of type {part.type[:40]} is not supported in a user message.")


def _add_answer_part(transcript: Transcript, part: UIPart) -> None:
    name = part.toolName or part.type.removeprefix("tool-")
    if part.type == "text":
        transcript.answer(text_parts(part.text))
    elif part.type == "reasoning" and part.text:
        transcript.answer([reasoning_part(part.text)])
    elif part.toolCallId and (part.type == "dynamic-tool" or part.type.startswith("tool-")):
        transcript.answer([call_part(part.toolCallId, name, part.input if isinstance(part.input, dict) else {})])
        if (result := _result(part)) is not None:
            transcript.result(part.toolCallId, result)
