"""A conversation as a file: Markdown for people, JSON for programs.

Pure: values in, text out. Rules: reasoning is in no Markdown; what is not complete says so; the name of the file holds
nothing that a header or a file system could take for something else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Protocol
from urllib.parse import quote

from streamchat.chat.messages import FilePart, ImagePart, Message, SourcePart, TextPart, ToolCallPart
from streamchat.chat.outcome import explain
from streamchat.chat.wire import message_to_wire
from streamchat.web.encoding import json_bytes

_UNSAFE = re.compile(r"[^\w .-]+")
_WHO = {"user": "You", "assistant": "Answer", "system": "System", "tool": "Tool"}


class Exported(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def messages(self) -> Sequence[Message]: ...


def as_json(conversation: Exported) -> bytes:
    """Everything that readers may see."""
    messages = [message_to_wire(message) for message in conversation.messages]
    return json_bytes({"id": conversation.id, "title": conversation.title, "messages": messages})


def as_markdown(title: str, messages: Sequence[Message]) -> str:
    """What was said."""
    heading = " ".join(title.split()) or "Conversation"
    return "\n\n".join([f"# {heading}", *(_message(message) for message in messages)]) + "\n"


def file_headers(title: str, extension: str) -> dict[str, str]:
    """A download, by a name in both the plain and the extended form (RFC 6266)."""
    name = _UNSAFE.sub(" ", title).strip(" .")[:80].strip(" .") or "conversation"
    plain = name.encode("ascii", "ignore").decode().strip(" .") or "conversation"
    full = quote(f"{name}.{extension}", safe="")
    return {"Content-Disposition": f"attachment; filename=\"{plain}.{extension}\"; filename*=UTF-8''{full}"}


def _message(message: Message) -> str:
    who = _WHO[message.role]
    if message.role == "assistant" and message.model:
        who = f"{who} ({message.model})"
    pieces = [f"## {who}", *(said for part in message.parts if (said := _part(part)))]
    if not message.ended:
        pieces.append("*The answer is still being written.*")
    elif why := explain(message):
        pieces.append(f"*{why}*")
    return "\n\n".join(pieces)


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
