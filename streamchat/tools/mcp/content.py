"""What an MCP server answers, as a value that a tool may return.

Knows nothing of connections. Rules:

* Structured content is what the tool means; else its texts; else its picture. Of what cannot be shown it is said that
  it came.
* An answer that is an error is one, with the server's own words.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

import mcp_types as types

from streamchat.chat.results import IMAGE_TYPES
from streamchat.tools.values import Image, ToolError

MAX_SENTENCE = 1000


def value_of(answer: types.CallToolResult) -> Any:
    """Raises ``ToolError`` for an error, and for a picture that is none."""
    texts, pictures = [], []
    for block in answer.content:
        if isinstance(block, types.ImageContent) and block.mime_type in IMAGE_TYPES:
            pictures.append(block)
        else:
            texts.append(_text(block))
    if answer.is_error:
        raise ToolError(_sentence("\n".join(texts)))
    if answer.structured_content is not None:
        return _unwrapped(answer.structured_content)
    if pictures and not any(text.strip() for text in texts):
        return _picture(pictures[0])
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


def _unwrapped(structured: Any) -> Any:
    """Servers wrap what is no object: ``{"result": …}``."""
    if isinstance(structured, dict) and set(structured) == {"result"}:
        return structured["result"]
    return structured


def _picture(block: types.ImageContent) -> Image:
    try:
        return Image(base64.b64decode(block.data, validate=True), block.mime_type)
    except (binascii.Error, ValueError):
        raise ToolError("The server sent a picture that is damaged.") from None


def _sentence(text: str) -> str:
    told = " ".join(text.partition("Traceback (most recent call last)")[0].split())
    return told[:MAX_SENTENCE] or "The server says that it failed, and not why."
