"""Export of a conversation: Markdown for people, JSON for programs.

Pure: values in, text out. Rules: Markdown contains no reasoning; incomplete answers are marked; file names contain no
character with a meaning in headers or file systems.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import quote

from streamchat.chat.conversation_settings import ConversationSettings, options_to_fields
from streamchat.chat.feedback import Feedback, feedback_to_wire
from streamchat.chat.messages import FilePart, ImagePart, Message, SourcePart, TextPart, ToolCallPart
from streamchat.chat.outcome import explain
from streamchat.chat.wire import message_to_wire

_UNSAFE = re.compile(r"[^\w .-]+")
_HEADINGS = {"user": "You", "assistant": "Answer", "system": "System", "tool": "Tool"}


class Described(Protocol):
    """A stored conversation without its messages."""

    @property
    def id(self) -> str:
        """Identifier of the conversation."""
        ...

    @property
    def title(self) -> str:
        """Its title; may be empty."""
        ...

    @property
    def settings(self) -> ConversationSettings:
        """What its next answer is generated with."""
        ...

    @property
    def pinned(self) -> bool:
        """Whether it is at the top of the list."""
        ...

    @property
    def archived(self) -> bool:
        """Whether it is in the archive."""
        ...


class Exported(Described, Protocol):
    """A stored conversation with the messages of its active branch."""

    @property
    def messages(self) -> Sequence[Message]:
        """Messages of the active branch, oldest first."""
        ...

    @property
    def siblings(self) -> Mapping[str, tuple[str, ...]]:
        """The ids of all versions of each message that has several."""
        ...

    @property
    def compared(self) -> Sequence[str]:
        """The ids of the answers that stand side by side at the end."""
        ...

    @property
    def feedback(self) -> Mapping[str, Feedback]:
        """What its owner thinks of answers, by their ids."""
        ...


def about_json(conversation: Described) -> dict[str, Any]:
    """Return title, place in the list, and settings."""
    options = options_to_fields(conversation.settings.options)
    return {
        "id": conversation.id,
        "title": conversation.title,
        "pinned": conversation.pinned,
        "archived": conversation.archived,
        "model": conversation.settings.model,
        "system": options.pop("system", None),
        "options": options,
    }


def as_json(conversation: Exported) -> dict[str, Any]:
    """Return the conversation with everything of its active branch that readers may see."""
    messages = [message_to_wire(message) for message in conversation.messages]
    versions = {message_id: list(ids) for message_id, ids in conversation.siblings.items()}
    compared = list(conversation.compared)
    shown = {message.id for message in conversation.messages}
    feedback = {one: feedback_to_wire(value) for one, value in conversation.feedback.items() if one in shown}
    return {
        **about_json(conversation),
        "messages": messages,
        "versions": versions,
        "compared": compared,
        "feedback": feedback,
    }


def as_markdown(title: str, messages: Sequence[Message], feedback: Mapping[str, Feedback] | None = None) -> str:
    """Return a Markdown document with one section per message. ``feedback``: on answers, by their ids."""
    heading = " ".join(title.split()) or "Conversation"
    rated = feedback or {}
    return "\n\n".join([f"# {heading}", *(_message(message, rated.get(message.id)) for message in messages)]) + "\n"


def file_headers(title: str, extension: str) -> dict[str, str]:
    """Return the headers of a download. The file name is given in the plain and the extended form (RFC 6266)."""
    name = _UNSAFE.sub(" ", title).strip(" .")[:80].strip(" .") or "conversation"
    plain = name.encode("ascii", "ignore").decode().strip(" .") or "conversation"
    full = quote(f"{name}.{extension}", safe="")
    return {"Content-Disposition": f"attachment; filename=\"{plain}.{extension}\"; filename*=UTF-8''{full}"}


def _message(message: Message, feedback: Feedback | None) -> str:
    heading = _HEADINGS[message.role]
    if message.role == "assistant" and message.model:
        heading = f"{heading} ({message.model})"
    pieces = [f"## {heading}", *(text for part in message.parts if (text := _part(part)))]
    if message.usage is not None and message.usage.cost_usd:
        pieces.append(f"*Cost: {dollars(message.usage.cost_usd)}*")
    if not message.ended:
        pieces.append("*The answer is still being written.*")
    elif why := explain(message):
        pieces.append(f"*{why}*")
    if feedback is not None:
        reason = " ".join(feedback.reason.split())
        pieces.append(f"*Rated {feedback.rating}{': ' + reason if reason else ''}*")
    return "\n\n".join(pieces)


def dollars(cost: float) -> str:
    """Return a cost in US dollars with the two digits that count: ``$12.30``, ``$0.0042``."""
    if cost < 1e-6:
        return "$0.00" if cost == 0 else "less than $0.000001"
    digits = max(2, 1 - math.floor(math.log10(cost)))
    return f"${cost:.{digits}f}"


def _part(part: Any) -> str:
    match part:
        case TextPart(text):
            return text
        case FilePart(name, text):
            fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
            return f"{name}:\n\n{fence}\n{text}\n{fence}"
        case ImagePart(name=name):
            return f"[picture{': ' + name if name else ''}]"
        case ToolCallPart(name=name, state=state):
            return f"*Tool {name}: {state}*"
        case SourcePart(url, title):
            return f"- {title or url}: <{url}>"
    return ""
