"""Conversion of an MCP server's result to a return value of a tool.

Knows nothing of connections. Rules:

* Structured content takes precedence over text. Images are shown beside either. Content that cannot be shown becomes
  a placeholder in the text.
* An error result raises ``ToolError`` with the server's message.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

import mcp_types as types

from streamchat.chat.tool_results import IMAGE_TYPES
from streamchat.tools.values import Image, ToolError

MAX_ERROR = 1000


def value_of(result: types.CallToolResult) -> Any:
    """Return the value of a result. Raises ``ToolError`` for an error result, or an image that cannot be decoded."""
    if result.is_error:
        raise ToolError(_error_message("\n".join(_text(block) for block in result.content)))
    items: list[Any] = []
    for block in result.content:
        if picture := _picture(block):
            items.append(picture)
        elif items and isinstance(items[-1], str):
            items[-1] += f"\n{_text(block)}"
        else:
            items.append(_text(block))
    if result.structured_content is not None:  # servers repeat it as text
        structured = _unwrap(result.structured_content)
        items = [structured, *(item for item in items if isinstance(item, Image))]
        return items if len(items) > 1 else structured
    items = [item for item in items if not isinstance(item, str) or item.strip()] or [""]
    return items if len(items) > 1 else items[0]


def _picture(block: types.ContentBlock) -> Image | None:
    match block:
        case types.ImageContent(mime_type=media_type, data=data) if media_type in IMAGE_TYPES:
            return _image(data, media_type)
        case types.EmbeddedResource(resource=types.BlobResourceContents(mime_type=str(media_type), blob=data)):
            return _image(data, media_type) if media_type in IMAGE_TYPES else None
    return None


def _text(block: types.ContentBlock) -> str:
    match block:
        case types.TextContent(text=text):
            return text
        case types.ResourceLink(uri=uri, name=name):
            return f"{name}: {uri}"
        case types.EmbeddedResource(resource=types.TextResourceContents(text=text)):
            return text
        case types.EmbeddedResource(resource=resource):
            return f"[a file, {resource.mime_type or 'of unknown type'}: {resource.uri}]"
        case types.ImageContent() | types.AudioContent():
            return f"[{block.type}, {block.mime_type}]"
    return f"[{getattr(block, 'type', 'something unknown')}]"


def _unwrap(structured: Any) -> Any:
    """Unwrap ``{"result": …}``, in which servers put a value that is no object."""
    if isinstance(structured, dict) and set(structured) == {"result"}:
        return structured["result"]
    return structured


def _image(data: str, media_type: str) -> Image:
    try:
        return Image(base64.b64decode(data, validate=True), media_type)
    except (binascii.Error, ValueError):
        raise ToolError("The server sent a picture that is damaged.") from None


def _error_message(text: str) -> str:
    message = " ".join(text.partition("Traceback (most recent call last)")[0].split())
    return message[:MAX_ERROR] or "The server says that it failed, and not why."
