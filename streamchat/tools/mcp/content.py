"""Conversion of an MCP server's result to a return value of a tool.

Knows nothing of connections. Rules:

* Structured content takes precedence, then text, then the first image. Content that cannot be shown becomes a
  placeholder in the text.
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
    texts, pictures = [], []
    for block in result.content:
        if isinstance(block, types.ImageContent) and block.mime_type in IMAGE_TYPES:
            pictures.append(block)
        else:
            texts.append(_text(block))
    if result.is_error:
        raise ToolError(_error_message("\n".join(texts)))
    if result.structured_content is not None:
        return _unwrap(result.structured_content)
    if pictures and not any(text.strip() for text in texts):
        return _image(pictures[0])
    texts += [f"[a picture, {picture.mime_type}]" for picture in pictures]
    return "\n".join(texts)


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


def _image(block: types.ImageContent) -> Image:
    try:
        return Image(base64.b64decode(block.data, validate=True), block.mime_type)
    except (binascii.Error, ValueError):
        raise ToolError("The server sent a picture that is damaged.") from None


def _error_message(text: str) -> str:
    message = " ".join(text.partition("Traceback (most recent call last)")[0].split())
    return message[:MAX_ERROR] or "The server says that it failed, and not why."
