"""The messages of a request in Anthropic's shape.

No I/O. Rules:

* Blocks that the provider sent (thinking with its signature, its own tools' calls and results) go back
  unchanged and in their order.
* A turn that the provider refused is left out with its question, as it asks: else it refuses again.
* Cache markers end the last turns of the person, so that the next request finds the long beginning.
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
from streamchat.providers.base import Capabilities
from streamchat.providers.history import CONTINUE, Turn, file_text, is_continuation, result_text, turns

MARKED_TURNS = 2
_NOT_IN_ID = re.compile(r"[^a-zA-Z0-9_-]")
Block = dict[str, Any]


def anthropic_messages(
    request: Request, capabilities: Capabilities, cache: dict[str, str]
) -> tuple[list[Block], str, bool]:
    """Messages, white space cut from the end of a partial answer, and whether they end in that answer."""
    asked = _without_refused(turns(request))
    messages: list[Block] = []
    for index, turn in enumerate(asked):
        role = "assistant" if turn.role == "assistant" else "user"
        content = _content(turn, capabilities.images, last=index == len(asked) - 1)
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
    kept: list[Turn] = []
    for index, turn in enumerate(all_turns):
        if turn.refused and index < len(all_turns) - 1:
            if kept and kept[-1].role == "user":
                kept.pop()
        else:
            kept.append(turn)
    return kept


def _trim(messages: list[Block]) -> str:
    """The API refuses white space at the end of what is to be continued."""
    content = messages[-1]["content"]
    if content[-1]["type"] != "text":
        return ""
    text = content[-1]["text"]
    content[-1] = {**content[-1], "text": text.rstrip()}
    return text[len(text.rstrip()) :]


def _content(turn: Turn, images: bool, *, last: bool) -> list[Block]:
    if turn.role == "assistant":
        return _answer(turn, last)
    if turn.role == "tools":
        return [_tool_result(part) for part in turn.parts if isinstance(part, ToolCallPart)]
    return [block for part in turn.parts if (block := _asked(part, images))]


def _asked(part: Part, images: bool) -> Block | None:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    if isinstance(part, FilePart):
        return {"type": "text", "text": file_text(part)}
    if isinstance(part, ImagePart) and images:
        return {"type": "image", "source": {"type": "base64", "media_type": part.media_type, "data": part.data}}
    if isinstance(part, ImagePart):
        return {"type": "text", "text": f"[an image that this model cannot see: {part.name or 'unnamed'}]"}
    return None


def _tool_result(part: ToolCallPart) -> Block:
    block: Block = {"type": "tool_result", "tool_use_id": _id(part.id), "content": result_text(part) or "(nothing)"}
    return block if part.state == "done" else {**block, "is_error": True}


def _answer(turn: Turn, last: bool) -> list[Block]:
    blocks: list[Block] = []
    waiting: list[Block] = []  # results of the provider's tools, that did not come right behind their calls
    for part in turn.parts:
        own = (part.opaque or {}).get("anthropic") if turn.own and not isinstance(part, _PLAIN) else None
        blocks += _due(waiting, own if isinstance(part, ToolCallPart) and part.by_provider else None)
        if isinstance(part, TextPart):
            if part.text.strip():
                blocks.append({"type": "text", "text": part.text})
        elif isinstance(part, ReasoningPart):
            blocks += _thought(part, own)
        elif isinstance(part, ToolCallPart) and not part.by_provider:
            call = {"type": "tool_use", "id": _id(part.id), "name": part.name or "unnamed"}
            blocks.append({**(own or {}), **call, "input": dict(part.arguments or {})})
        elif own and isinstance(part, NoticePart):
            blocks.append(own)
        elif own and "call" in own and ("result" in own or last):
            blocks.append(own["call"])
            if "result" in own:
                waiting.append(own)
    return [*blocks, *_due(waiting, None)]


_PLAIN = (TextPart, ImagePart, FilePart)


def _due(waiting: list[Block], call: Block | None) -> list[Block]:
    """Results that come before the next block: all of them, or those that stood before this call."""

    def stands_before(kept: Block) -> bool:
        if call is None or "call" not in call:
            return True
        if call["of"] == kept["result_of"]:
            return call["at"] > kept["result_at"]
        return call["of"] != kept["of"]

    due = sorted((kept for kept in waiting if stands_before(kept)), key=lambda kept: kept["result_at"])
    waiting[:] = [kept for kept in waiting if kept not in due]
    return [kept["result"] for kept in due]


def _thought(part: ReasoningPart, own: Any) -> Iterable[Block]:
    if not own:
        return
    if own.get("type") != "thinking":
        yield own
    elif own.get("signature"):
        yield {**own, "thinking": part.text}


def _id(call_id: str) -> str:
    return _NOT_IN_ID.sub("_", call_id)[:128] or "call"
