"""Requests of AG-UI clients: a thread, a run in it, its messages and the front end's tools. Pure.

Rules:

* A thread is a conversation, and a run is an answer. The same thread and run again are the same answer.
* The messages are those of the client. In a stored conversation only the last one counts, or the results of the tool
  calls at the end; it follows the last answer of ours that is among them.
* ``resume`` brings decisions about the calls for which the previous run was interrupted.
"""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from streamchat.chat.messages import Part, TextPart, repair_surrogates
from streamchat.chat.request import ToolSpec
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
)
from streamchat.protocols.fields import Shape, ToolName

Id = Annotated[str, Field(min_length=1, max_length=200)]


class FunctionIn(Shape):
    """Name and arguments (JSON text) of a call."""

    name: str
    arguments: str = ""


class CallIn(Shape):
    """A tool call of an assistant message."""

    id: str
    function: FunctionIn


class SourceIn(Shape):
    """Where the content of a part is: ``data`` is base64."""

    type: str
    value: str
    mimeType: str | None = None


class ContentIn(Shape):
    """A part of a user message."""

    type: str
    text: str | None = None
    source: SourceIn | None = None
    data: str | None = None
    mimeType: str | None = None
    filename: str | None = None


class MessageIn(Shape):
    """A message of any role."""

    id: Annotated[str, Field(max_length=200)] = ""
    role: Literal["developer", "system", "assistant", "user", "tool", "activity", "reasoning"]
    content: str | list[ContentIn] | dict[str, Any] | None = None
    toolCalls: list[CallIn] | None = None
    toolCallId: str | None = None
    error: str | None = None


class ToolIn(Shape):
    """A tool that the front end runs."""

    name: ToolName
    description: str = ""
    parameters: dict[str, Any] | None = None


class ContextIn(Shape):
    """Something that the front end tells the agent."""

    description: str
    value: str


class ResumeIn(Shape):
    """A response to an interrupt."""

    interruptId: str
    status: Literal["resolved", "cancelled"]
    payload: Any = None


class RunIn(Shape):
    """`POST /ag-ui`: AG-UI's `RunAgentInput`. `forwardedProps.model` chooses the model, as the query's `model` does."""

    threadId: Id
    runId: Id
    parentRunId: str | None = None
    state: Any = None
    messages: Annotated[list[MessageIn], Field(max_length=MAX_MESSAGES)] = []
    tools: Annotated[list[ToolIn], Field(max_length=MAX_TOOLS)] = []
    context: Annotated[list[ContextIn], Field(max_length=1000)] = []
    forwardedProps: Any = None
    resume: Annotated[list[ResumeIn] | None, Field(max_length=1000)] = None

    @property
    def model(self) -> str | None:
        """The model that the client chooses, if any."""
        model = self.forwardedProps.get("model") if isinstance(self.forwardedProps, dict) else None
        return model if isinstance(model, str) and model else None


@dataclass(frozen=True, slots=True)
class Answer:
    """A response to an interrupt of ours. ``arguments``: changed ones, ``None`` for the model's."""

    run_id: str
    call_id: str
    approved: bool
    arguments: dict[str, Any] | None
    reason: str


def conversation_id(owner: str, thread_id: str) -> str:
    """Return the id of the conversation that a thread starts. The thread's own id may be anything."""
    digest = hashlib.sha256(f"ag-ui\0{owner}\0{thread_id}".encode("utf-8", "replace")).digest()
    return urlsafe_b64encode(digest[:16]).rstrip(b"=").decode()


def idempotency_key(run: RunIn) -> str:
    """Return a key that is equal for the same run of the same thread."""
    return "ag-ui:" + hashlib.sha256(f"{run.threadId}\0{run.runId}".encode("utf-8", "replace")).hexdigest()[:58]


def interrupt_id(run_id: str, call_id: str) -> str:
    """Return the id of the interrupt for a call."""
    return f"{run_id}:{call_id}"


def client_request(run: RunIn, model: str) -> ClientRequest:
    """Return the messages as turns, with the front end's tools. Raises ``InvalidInput``."""
    transcript = Transcript()
    for message in run.messages:
        _add(transcript, message)
    for text in _context(run):
        transcript.system(text)
    tools = tuple(ToolSpec(t.name, t.description, t.parameters or {"type": "object"}) for t in run.tools)
    request = transcript.client_request(model, ClientRequest("", ()).options, tools, stream=True)
    if not request.question and not request.answers:
        raise InvalidInput("messages: the last one must be a user message or the result of a tool.")
    return request


def last_answer(run: RunIn) -> str | None:
    """Return the id of the answer before the last question, by the names that ``AgUiWriter`` gives to messages."""
    answers = (message.id.partition(":")[0] for message in reversed(run.messages) if message.role == "assistant")
    return next(answers, None)


def answers(resume: Sequence[ResumeIn]) -> list[Answer]:
    """Return the responses to interrupts. Raises ``InvalidInput`` for one that says nothing, and for two to one."""
    if len({one.interruptId for one in resume}) < len(resume):
        raise InvalidInput("resume: an interrupt has one response.")
    return [_answer(one) for one in resume]


def _answer(one: ResumeIn) -> Answer:
    run_id, _, call_id = one.interruptId.partition(":")
    payload = one.payload if isinstance(one.payload, dict) else {"approved": one.payload}
    approved = one.status == "resolved" and payload.get("approved")
    if one.status == "resolved" and not isinstance(approved, bool):
        raise InvalidInput("resume: a payload is an object with approved, true or false.")
    arguments, reason = payload.get("editedArgs"), payload.get("reason")
    if arguments is not None and not isinstance(arguments, dict):
        raise InvalidInput("resume: editedArgs is an object.")
    return Answer(run_id, call_id, bool(approved), arguments, reason if isinstance(reason, str) else "")


def _add(transcript: Transcript, message: MessageIn) -> None:
    match message.role:
        case "system" | "developer":
            transcript.system(_text(message))
        case "user":
            transcript.user(_user_parts(message.content))
        case "reasoning":
            if text := _text(message):
                transcript.answer([reasoning_part(text)])
        case "assistant":
            transcript.answer(text_parts(_text(message)))
            for call in message.toolCalls or ():
                transcript.answer([call_part(call.id, call.function.name, call.function.arguments)])
        case "tool":
            if message.toolCallId is None:
                raise InvalidInput("messages: a tool message needs toolCallId.")
            error = message.error is not None
            transcript.result(message.toolCallId, Result(message.error or _text(message), error=error))


def _text(message: MessageIn) -> str:
    if message.content is None:
        return ""
    if not isinstance(message.content, str):
        raise InvalidInput(f"messages: the content of a message of the role {message.role} is text.")
    return repair_surrogates(message.content)


def _user_parts(content: str | list[ContentIn] | dict[str, Any] | None) -> list[Part]:
    if isinstance(content, str):
        return list(text_parts(content))
    if not isinstance(content, list):
        raise InvalidInput("messages: the content of a user message is text or a list of parts.")
    return [_user_part(part) for part in content]


def _user_part(part: ContentIn) -> Part:
    source, name = part.source, part.filename or ""
    if part.type == "text" and part.text is not None:
        return TextPart(repair_surrogates(part.text))
    if part.type in ("image", "document") and source is not None:
        if source.type == "data":
            return attachments.from_base64(source.mimeType or "", source.value, name)
        return attachments.from_url(source.value, name)
    if part.type == "binary" and part.data is not None:
        return attachments.from_base64(part.mimeType or "", part.data, name)
    raise InvalidInput(f"A part of type {part.type[:40]} is not supported in a user message.")


def _context(run: RunIn) -> list[str]:
    texts = [f"{one.description}: {one.value}" for one in run.context]
    if run.state not in (None, {}, [], ""):
        texts.append(f"State of the front end: {json.dumps(run.state, ensure_ascii=False)}")
    return texts
