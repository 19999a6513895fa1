"""Stored messages as items of the Responses API. Pure.

Rules:

* An answer may begin with parts of earlier responses: those up to its last tool call that has a result. The rest is its
  output, whose items have the ids that its stream gave them; those before have ids of their own.
* An item is found again by its id: it names its message.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from streamchat.chat.messages import FilePart, ImagePart, Message, Part, ReasoningPart, TextPart, ToolCallPart
from streamchat.chat.tool_results import for_model, for_sight, pictures_in
from streamchat.protocols.openai_responses.stream import ResponsesWriter

# ``msg_<message>_<number>``; ``p``: of the parts of earlier responses. Ids may contain underscores.
_ITEM = re.compile(r"(?:msg|rs|fc|fco)_([A-Za-z0-9_-]{1,64})_p?\d{1,6}")


def message_id_of(item_id: str) -> str | None:
    """Return the id of the message that has this item, ``None`` if it is no id of an item."""
    match = _ITEM.fullmatch(item_id)
    return match[1] if match else None


def earlier_count(parts: Sequence[Part]) -> int:
    """Return how many of the parts belong to earlier responses."""
    with_result = (
        index
        for index, part in enumerate(parts)
        if isinstance(part, ToolCallPart) and not part.by_provider and part.state in ("done", "error")
    )
    return max(with_result, default=-1) + 1


def earlier_reasoning(message: Message) -> int:
    """Return how many reasoning parts belong to earlier responses: handles count from there."""
    return sum(isinstance(part, ReasoningPart) for part in message.parts[: earlier_count(message.parts)])


def trimmed(message: Message) -> Message:
    """Return the message without the parts of earlier responses."""
    return replace(message, parts=message.parts[earlier_count(message.parts) :])


def input_items(messages: Sequence[Message], answer: Message | None = None) -> list[dict[str, Any]]:
    """Return the items of these messages, and of what ``answer`` has of earlier responses, oldest first."""
    items = [item for message in messages for item in items_of(message)]
    return items + (_earlier_items(answer) if answer is not None else [])


def items_of(message: Message) -> list[dict[str, Any]]:
    """Return all items of a message."""
    if message.role == "assistant":
        return [*_earlier_items(message), *_output(trimmed(message), earlier_reasoning(message))]
    content = [_content(part) for part in message.parts]
    item = {"type": "message", "id": f"msg_{message.id}_0", "status": "completed", "role": message.role}
    return [{**item, "content": content}]


def _earlier_items(message: Message) -> list[dict[str, Any]]:
    parts = message.parts[: earlier_count(message.parts)]
    results = {part.id: part for part in parts if isinstance(part, ToolCallPart)}
    items: list[dict[str, Any]] = []
    for item in _output(replace(message, parts=parts), 0):
        items.append({**item, "id": f"{item['id'].partition('_')[0]}_{message.id}_p{len(items)}"})
        call = results.get(item.get("call_id", ""))
        if call is not None and call.state in ("done", "error"):
            output = {"type": "function_call_output", "id": f"fco_{message.id}_p{len(items)}", "call_id": call.id}
            items.append({**output, "status": "completed", "output": _result(call)})
    return items


def _output(message: Message, reasoning_count: int) -> list[dict[str, Any]]:
    writer = ResponsesWriter(message.model, {})
    writer.begin(message.id, 0, reasoning_count)
    return list(writer.whole(message)["output"])


def _result(call: ToolCallPart) -> str | list[dict[str, Any]]:
    value = call.error if call.state == "error" else call.result
    if not pictures_in(value):
        return for_model(value)
    return [
        {"type": "input_text", "text": one} if isinstance(one, str) else _content(one)
        for one in for_sight(value, named=True)
    ]


def _content(part: Part) -> dict[str, Any]:
    match part:
        case ImagePart(media_type, data) if data:
            url = f"data:{media_type};base64,{data}"
            return {"type": "input_image", "detail": "auto", "image_url": url, "file_id": None}
        case ImagePart():
            return {"type": "input_image", "detail": "auto", "image_url": None, "file_id": part.file_id}
        case FilePart() if part.file_id:
            return {"type": "input_file", "filename": part.name, "file_id": part.file_id}
        case FilePart() if part.data:
            return {
                "type": "input_file",
                "filename": part.name,
                "file_data": f"data:{part.media_type};base64,{part.data}",
            }
        case FilePart():
            return {"type": "input_text", "text": part.text}
        case _:
            return {"type": "input_text", "text": part.text if isinstance(part, TextPart) else ""}
