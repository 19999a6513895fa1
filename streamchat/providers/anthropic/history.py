"""The messages of a request in Anthropic's format.

No I/O. Rules:

* Blocks from the provider (thinking with its signature, calls and results of its own tools) go back
  unchanged and in their order.
* A turn that the provider refused is left out together with its question, as the API requires: else it refuses again.
* Cache markers end the last user turns, so that the next request finds the long prefix.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from streamchat.chat.messages import (
    FilePart,
    ImagePart,
    NoticePart,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
)
from streamchat.chat.request import Request
from streamchat.chat.tool_results import file_text
from streamchat.providers.base import Capabilities
from streamchat.providers.history import CONTINUE, Turn, is_continuation, result_parts, turns, unseen

MARKED_TURNS = 2
_NOT_IN_ID = re.compile(r"[^a-zA-Z0-9_-]")
Block = dict[str, Any]


def anthropic_messages(
    request: Request, capabilities: Capabilities, cache: dict[str, str]
) -> tuple[list[Block], str, bool]:
    """Return the messages, the white space cut from a partial answer, and whether they end in that answer."""
    conversation = _without_refused(turns(request))
    messages: list[Block] = []
    for index, turn in enumerate(conversation):
        role = "assistant" if turn.role == "assistant" else "user"
        content = _content(turn, capabilities.images, last=index == len(conversation) - 1)
        if content and messages and messages[-1]["role"] == role == "user":
            messages[-1]["content"] += content
        elif content:
            messages.append({"role": role, "content": content})
    trimmed, prefilled = "", False
    if is_continuation(request) and messages and messages[-1]["role"] == "assistant":
        if capabilities.continues == "ask":
            messages.append({"role": "user", "content": [{"type": "text", "text": CONTINUE}]})
        else:
            trimmed, prefilled = _trim(messages), True
    for message in [m for m in messages if m["role"] == "user"][-MARKED_TURNS:]:
        message["content"][-1] = {**message["content"][-1], "cache_control": cache}
    return messages, trimmed, prefilled


def _without_refused(all_turns: list[Turn]) -> list[Turn]:
    accepted: list[Turn] = []
    for index, turn in enumerate(all_turns):
        if turn.refused and index < len(all_turns) - 1:
            if accepted and accepted[-1].role == "user":
                accepted.pop()
        else:
            accepted.append(turn)
    return accepted


def _trim(messages: list[Block]) -> str:
    """Trim the end of a partial answer, which the API requires, and return the white space."""
    content = messages[-1]["content"]
    if content[-1]["type"] != "text":
        return ""
    text = content[-1]["text"]
    content[-1] = {**content[-1], "text": text.rstrip()}
    return text[len(text.rstrip()) :]


def _content(turn: Turn, images: bool, *, last: bool) -> list[Block]:
    if turn.role == "assistant":
        return _assistant_blocks(turn, last)
    if turn.role == "tools":
        return [_tool_result(part, images) for part in turn.parts if isinstance(part, ToolCallPart)]
    return [block for part in turn.parts if (block := _user_block(part, images))]


def _user_block(part: Part, images: bool) -> Block | None:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    if isinstance(part, FilePart) and part.data:
        source = {"type": "base64", "media_type": part.media_type, "data": part.data}
        return {"type": "document", "source": source, "title": part.name}
    if isinstance(part, FilePart):
        return {"type": "text", "text": file_text(part)}
    if isinstance(part, ImagePart) and images:
        return _image(part)
    if isinstance(part, ImagePart):
        return {"type": "text", "text": unseen(part)}
    return None


def _image(part: ImagePart) -> Block:
    return {"type": "image", "source": {"type": "base64", "media_type": part.media_type, "data": part.data}}


def _tool_result(part: ToolCallPart, images: bool) -> Block:
    parts = result_parts(part, images)
    content: str | list[Block] = [
        {"type": "text", "text": one} if isinstance(one, str) else _image(one) for one in parts if one
    ]
    if len(parts) == 1 and isinstance(parts[0], str):
        content = parts[0] or "(nothing)"
    block: Block = {"type": "tool_result", "tool_use_id": _id(part.id), "content": content}
    return block if part.state == "done" else {**block, "is_error": True}


def _assistant_blocks(turn: Turn, last: bool) -> list[Block]:
    blocks: list[Block] = []
    waiting: list[Block] = []  # results of the provider's tools that did not directly follow their calls
    for part in turn.parts:
        own = (part.opaque or {}).get("anthropic") if turn.own and not isinstance(part, _PLAIN) else None
        blocks += _take_due(waiting, own if isinstance(part, ToolCallPart) and part.by_provider else None)
        if isinstance(part, TextPart):
            if part.text.strip():
                blocks.append({"type": "text", "text": part.text})
        elif isinstance(part, ReasoningPart):
            blocks += _thinking_blocks(part, own)
        elif isinstance(part, ToolCallPart) and not part.by_provider:
            call = {"type": "tool_use", "id": _id(part.id), "name": part.name or "unnamed"}
            blocks.append({**(own or {}), **call, "input": dict(part.arguments or {})})
        elif own and isinstance(part, NoticePart):
            blocks.append(own)
        elif own and "call" in own and ("result" in own or last):
            blocks.append(own["call"])
            if "result" in own:
                waiting.append(own)
    return [*blocks, *_take_due(waiting, None)]


_PLAIN = (TextPart, ImagePart, FilePart)


def _take_due(waiting: list[Block], call: Block | None) -> list[Block]:
    """Remove and return the results that come before the next block: all of them, or those that preceded this call."""

    def stands_before(pending: Block) -> bool:
        if call is None or "call" not in call:
            return True
        if call["of"] == pending["result_of"]:
            return call["at"] > pending["result_at"]
        return call["of"] != pending["of"]

    due = sorted((pending for pending in waiting if stands_before(pending)), key=lambda pending: pending["result_at"])
    waiting[:] = [pending for pending in waiting if pending not in due]
    return [pending["result"] for pending in due]


def _thinking_blocks(part: ReasoningPart, own: Any) -> Iterable[Block]:
    if not own:
        return
    if own.get("type") != "thinking":
        yield own
    elif own.get("signature"):
        yield {**own, "thinking": part.text}


def _id(call_id: str) -> str:
    return _NOT_IN_ID.sub("_", call_id)[:128] or "call"
