"""Import of conversations: our own exports (JSON, Markdown), and the export of ChatGPT.

Pure: text in, values out. Rules: a file is untrusted input; what cannot be read is refused with a reason, and nothing
of a file is imported then.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, get_args

from streamchat.chat.json_depth import parse_json
from streamchat.chat.messages import (
    ErrorInfo,
    Message,
    Part,
    Role,
    TextPart,
    ToolCallPart,
    ToolState,
    close_open_calls,
    repair_surrogates,
)
from streamchat.chat.wire import message_from_wire
from streamchat.errors import InvalidInput

MAX_CONVERSATIONS = 5000
MAX_MESSAGES = 50_000
_ENDED = ("finished", "stopped", "failed", "interrupted")
_HEADING = re.compile(r"^## (You|Answer|System|Tool)(?: \(([^)\n]{1,200})\))?$", re.MULTILINE)
_ROLES: Mapping[str, Role] = {"You": "user", "Answer": "assistant", "System": "system", "Tool": "tool"}
UNKNOWN = (
    "This file is not an export of conversations: JSON or Markdown of streamchat, or conversations.json of ChatGPT."
)


@dataclass(frozen=True, slots=True)
class Imported:
    """A conversation to store: its title, and its messages, oldest first."""

    title: str
    messages: tuple[Message, ...]


def read_import(text: str) -> list[Imported]:
    """Return the conversations in an exported file. Raises ``InvalidInput``."""
    stripped = text.lstrip("\ufeff \t\r\n")
    if not stripped.startswith(("{", "[")):
        conversations = [_from_markdown(stripped)]
    else:
        try:
            data = parse_json(stripped)
        except ValueError:
            raise InvalidInput("This file is not complete: its JSON cannot be read.") from None
        if isinstance(data, dict) and isinstance(data.get("conversations"), list):
            data = data["conversations"]  # an export of everything of one person
        items = data if isinstance(data, list) else [data]
        if len(items) > MAX_CONVERSATIONS:
            raise InvalidInput(f"This file has more than {MAX_CONVERSATIONS:,} conversations.")
        conversations = [_from_json(item) for item in items]
    found = [conversation for conversation in conversations if conversation.messages]
    if not found:
        raise InvalidInput("There is no message in this file.")
    if sum(len(conversation.messages) for conversation in found) > MAX_MESSAGES:
        raise InvalidInput(f"This file has more than {MAX_MESSAGES:,} messages.")
    return found


def _from_json(data: Any) -> Imported:
    if not isinstance(data, dict):
        raise InvalidInput(UNKNOWN)
    title = data.get("title")
    title = title if isinstance(title, str) else ""
    if isinstance(data.get("mapping"), dict):
        return Imported(title, tuple(_from_chatgpt(data)))
    if not isinstance(data.get("messages"), list):
        raise InvalidInput(UNKNOWN)
    return Imported(title, tuple(map(_own_message, data["messages"])))


def _own_message(data: Any) -> Message:
    try:
        message = message_from_wire(data)
        known = message.role in _ROLES.values() and message.status in (*_ENDED, "streaming", "waiting")
        if not known or not all(map(_is_sound, message.parts)) or not isinstance(message.model, str):
            raise ValueError
        parts = close_open_calls(message.parts)
        reason = message.stop_reason if isinstance(message.stop_reason, str) else None
        error = message.error
        error = ErrorInfo(str(error.message), retryable=False) if error else None
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InvalidInput("A message in this file cannot be read: it is of another version, or damaged.") from None
    status = message.status if message.status in _ENDED else "interrupted"
    return Message("", message.role, parts, status, message.model, reason, error)


def _is_sound(part: Part) -> bool:
    """Return whether the fields have their types: they come from a file."""
    values = {"str": str, "int": int}
    typed = [(getattr(part, field.name), values[str(field.type)]) for field in fields(part) if field.type in values]
    if not all(type(value) is kind for value, kind in typed):
        return False
    if not isinstance(part, ToolCallPart):
        return True
    return (
        isinstance(part.arguments, dict | None)
        and isinstance(part.error, str | None)
        and part.state in get_args(ToolState)
        and all(isinstance(line, str) for line in part.progress)
        and isinstance(part.duration_ms, int | None)
    )


def _from_chatgpt(data: Mapping[str, Any]) -> Iterator[Message]:
    """Yield the branch that was shown last."""
    mapping: Mapping[str, Any] = data["mapping"]
    path: list[Any] = []
    seen: set[str] = set()
    node_id = data.get("current_node")
    while isinstance(node_id, str) and node_id not in seen and isinstance(node := mapping.get(node_id), dict):
        seen.add(node_id)
        path.append(node.get("message"))
        node_id = node.get("parent")
    for item in reversed(path):
        if isinstance(item, dict) and (message := _chatgpt_message(item)):
            yield message


def _chatgpt_message(item: Mapping[str, Any]) -> Message | None:
    author, content = item.get("author"), item.get("content")
    metadata = item.get("metadata")
    role = author.get("role") if isinstance(author, dict) else None
    if role not in ("user", "assistant") or not isinstance(content, dict):
        return None  # a system prompt, or a call of one of its tools
    parts = content.get("parts")
    text = "\n".join(part for part in parts if isinstance(part, str)) if isinstance(parts, list) else ""
    if not text.strip() or content.get("content_type") not in ("text", "multimodal_text"):
        return None
    model = metadata.get("model_slug") if isinstance(metadata, dict) and role == "assistant" else ""
    reason = "stop" if role == "assistant" else None
    name = f"chatgpt:{model}"[:200] if isinstance(model, str) and model else ""
    return Message("", role, (TextPart(repair_surrogates(text)),), model=name, stop_reason=reason)


def _from_markdown(text: str) -> Imported:
    headings = list(_HEADING.finditer(text))
    if not headings:
        raise InvalidInput(UNKNOWN)
    first = text[: headings[0].start()].strip()
    title = first.removeprefix("# ").partition("\n")[0]
    ends = [heading.start() for heading in headings[1:]] + [len(text)]
    messages = []
    for heading, end in zip(headings, ends, strict=True):
        body = text[heading.end() : end].strip()
        role = _ROLES[heading[1]]
        if body and role in ("user", "assistant"):
            reason = "stop" if role == "assistant" else None
            part = TextPart(repair_surrogates(body))
            messages.append(Message("", role, (part,), model=heading[2] or "", stop_reason=reason))
    return Imported(title, tuple(messages))
