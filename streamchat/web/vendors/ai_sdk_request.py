"""What ``useChat`` of the AI SDK sends: a chat's id and its messages, as UI messages. Pure.

Rules: the last message says what is wanted: a person's message asks; an answer of ours with approvals in it decides.
"""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from streamchat.chat.messages import Message, Part, TextPart, whole
from streamchat.errors import InvalidInput
from streamchat.web.vendors import attachments
from streamchat.web.vendors.asked import Result, Transcript, call, text_parts, thought
from streamchat.web.vendors.fields import Shape


class Approval(Shape):
    id: str
    approved: bool | None = None
    reason: str | None = None


class UIPart(Shape):
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
    id: Annotated[str, Field(max_length=200)] = ""
    role: Literal["system", "user", "assistant"]
    parts: Annotated[list[UIPart], Field(max_length=5000)]


class ChatIn(Shape):
    """`POST /api/chat`, as the AI SDK's transport sends it; `model` and `system` may be put into its `body`."""

    id: Annotated[str, Field(min_length=1, max_length=200)]
    messages: list[UIMessage] = []
    message: UIMessage | None = None
    trigger: Literal["submit-message", "regenerate-message"] = "submit-message"
    messageId: Annotated[str, Field(max_length=200)] | None = None
    model: Annotated[str, Field(max_length=200)] | None = None
    system: Annotated[str, Field(max_length=200_000)] | None = None

    @property
    def all(self) -> list[UIMessage]:
        """The messages, whichever of the two ways they were sent."""
        return self.messages or ([self.message] if self.message else [])


@dataclass(frozen=True, slots=True)
class Decided:
    """A person's word about a call."""

    call_id: str
    approved: bool
    reason: str


def conversation_of(owner: str, chat_id: str) -> str:
    """The id of the conversation that a chat begins: the chat's own is the client's, and may be anything."""
    digest = hashlib.sha256(f"{owner}\0{chat_id}".encode("utf-8", "replace")).digest()
    return urlsafe_b64encode(digest[:16]).rstrip(b"=").decode()


def key_of(chat: ChatIn) -> str:
    """The same for the same message of the same chat, sent again; another one once it was edited."""
    last = chat.all[-1]
    text = "\0".join([chat.id, last.id, *(f"{part.type}\0{part.text}\0{part.url}" for part in last.parts)])
    return "chat:" + hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:64]


def question_of(chat: ChatIn) -> tuple[Part, ...]:
    """What a person asks last. Raises ``InvalidInput``."""
    if not chat.all or chat.all[-1].role != "user":
        raise InvalidInput("messages: the last one is to be a person's.")
    return tuple(_asked(part) for part in chat.all[-1].parts)


def earlier_of(chat: ChatIn) -> tuple[Message, ...]:
    """The turns before the last one, for a chat that is not stored here."""
    transcript = Transcript()
    for message in chat.all[:-1]:
        if message.role == "user":
            transcript.user([_asked(part) for part in message.parts])
        elif message.role == "assistant":
            for part in message.parts:
                _said(transcript, part)
    return transcript.turns if len(chat.all) > 1 else ()


def system_of(chat: ChatIn) -> str | None:
    """What system messages say, and the field."""
    said = [part.text or "" for message in chat.all if message.role == "system" for part in message.parts]
    return "\n\n".join(text for text in (chat.system or "", *said) if text.strip()) or None


def decisions_of(chat: ChatIn) -> list[Decided]:
    """The approvals in a last message that is an answer."""
    if not chat.all or chat.all[-1].role != "assistant":
        return []
    return [
        Decided(part.toolCallId, part.approval.approved, part.approval.reason or "")
        for part in chat.all[-1].parts
        if part.toolCallId and part.approval is not None and part.approval.approved is not None
    ]


def _asked(part: UIPart) -> Part:
    match part.type:
        case "text" if part.text is not None:
            return TextPart(whole(part.text))
        case "file" if part.url is not None:
            return attachments.from_url(part.url, part.filename or "")
    raise InvalidInput(f"A part of type {part.type[:40]} is not taken from a person.")


def _said(transcript: Transcript, part: UIPart) -> None:
    name = part.toolName or part.type.removeprefix("tool-")
    if part.type == "text":
        transcript.answer(text_parts(part.text))
    elif part.type == "reasoning" and part.text:
        transcript.answer([thought(part.text)])
    elif part.toolCallId and (part.type == "dynamic-tool" or part.type.startswith("tool-")):
        transcript.answer([call(part.toolCallId, name, part.input if isinstance(part.input, dict) else {})])
        if part.state == "output-available":
            output = part.output if isinstance(part.output, str) else json.dumps(part.output, ensure_ascii=False)
            transcript.result(part.toolCallId, Result(output))
        elif part.errorText is not None:
            transcript.result(part.toolCallId, Result(part.errorText, error=True))
