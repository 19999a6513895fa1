"""Requests of the AI SDK's ``useChat``: a chat id and its messages, as UI messages. Pure.

Rules: the last message decides: a user message asks a question; an answer of ours with approvals in it brings
decisions.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from streamchat.chat.messages import Message, Part, TextPart, repair_surrogates
from streamchat.errors import InvalidInput
from streamchat.protocols import attachments
from streamchat.protocols.conversation_in import (
    MAX_MESSAGES,
    Result,
    Transcript,
    call_part,
    reasoning_part,
    text_parts,
)
from streamchat.protocols.fields import Shape


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


class ChatIn(Shape):
    """`POST /api/chat`, as the AI SDK's transport sends it; `model` and `system` may be put into its `body`."""

    id: Annotated[str, Field(min_length=1, max_length=200)]
    messages: Annotated[list[UIMessage], Field(max_length=MAX_MESSAGES)] = []
    message: UIMessage | None = None
    trigger: Literal["submit-message", "regenerate-message"] = "submit-message"
    messageId: Annotated[str, Field(max_length=200)] | None = None
    model: Annotated[str, Field(max_length=200)] | None = None
    system: Annotated[str, Field(max_length=200_000)] | None = None

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

    A message without an id is identified by its position. One that is sent alone, without an id, is always new.
    """
    last = chat.all[-1]
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


def earlier_turns(chat: ChatIn) -> tuple[Message, ...]:
    """Return the turns before the last one, for a chat that is not stored here."""
    transcript = Transcript()
    for message in chat.all[:-1]:
        if message.role == "user":
            transcript.user([_user_part(part) for part in message.parts])
        elif message.role == "assistant":
            for part in message.parts:
                _add_answer_part(transcript, part)
    return transcript.turns if len(chat.all) > 1 else ()


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
        if part.state == "output-available":
            output = part.output if isinstance(part.output, str) else json.dumps(part.output, ensure_ascii=False)
            transcript.result(part.toolCallId, Result(output))
        elif part.errorText is not None:
            transcript.result(part.toolCallId, Result(part.errorText, error=True))
