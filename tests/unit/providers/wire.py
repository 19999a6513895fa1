"""The three wire formats, written down short: what a provider says, as frames of an event stream."""

from __future__ import annotations

import json
from typing import Any


def frame(data: Any, event: str = "") -> bytes:
    """One server-sent event; a string is sent as it is."""
    text = data if isinstance(data, str) else json.dumps(data)
    return (f"event: {event}\n" if event else "").encode() + f"data: {text}\n\n".encode()


def chat(delta: Any = None, finish: str | None = None, **more: Any) -> bytes:
    """A chat completion chunk."""
    choice = {"index": 0, "delta": {} if delta is None else delta, "finish_reason": finish}
    return frame({"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [choice], **more})


def tool(**fields: Any) -> bytes:
    """A chat chunk with one delta of a tool call; ``name`` and ``arguments`` go into its function."""
    function = {key: fields.pop(key) for key in ("name", "arguments") if key in fields}
    return chat({"tool_calls": [{**fields, "function": function}]})


def typed(kind: str, **fields: Any) -> bytes:
    """A named event of Responses or Messages."""
    return frame({"type": kind, **fields}, kind)


def block(index: int, kind: str, deltas: tuple[dict[str, Any], ...] = (), **start: Any) -> bytes:
    """A whole content block of Messages."""
    frames = [typed("content_block_start", index=index, content_block={"type": kind, **start})]
    frames += [typed("content_block_delta", index=index, delta=delta) for delta in deltas]
    return b"".join([*frames, typed("content_block_stop", index=index)])


def begin(kind: str) -> bytes:
    """What comes before the first word."""
    if kind == "chat":
        return chat({"role": "assistant", "content": ""})
    if kind == "responses":
        return typed("response.created", response={"id": "r", "status": "in_progress"}) + typed(
            "response.output_item.added", output_index=0, item={"type": "message", "id": "i", "role": "assistant"}
        )
    message = {"id": "msg", "role": "assistant", "content": [], "usage": {"input_tokens": 3, "output_tokens": 1}}
    return typed("message_start", message=message) + typed(
        "content_block_start", index=0, content_block={"type": "text", "text": ""}
    )


def word(kind: str, text: str) -> bytes:
    """A delta of text."""
    if kind == "chat":
        return chat({"content": text})
    if kind == "responses":
        return typed("response.output_text.delta", output_index=0, content_index=0, delta=text)
    return typed("content_block_delta", index=0, delta={"type": "text_delta", "text": text})


def finish(kind: str, reason: str = "") -> bytes:
    """The provider's own end, ``reason`` in its own words; without its last marker for chat and Messages."""
    if kind == "chat":
        return chat(finish=reason or "stop")
    if kind == "responses":
        usage = {"input_tokens": 3, "output_tokens": 2}
        if reason:
            response = {"status": "incomplete", "incomplete_details": {"reason": reason}, "usage": usage}
            return typed("response.incomplete", response=response)
        return typed("response.completed", response={"status": "completed", "usage": usage})
    return typed("content_block_stop", index=0) + typed(
        "message_delta", delta={"stop_reason": reason or "end_turn"}, usage={"output_tokens": 2}
    )


def marker(kind: str) -> bytes:
    """The end marker behind the end."""
    return {"chat": b"data: [DONE]\n\n", "responses": b"", "anthropic": typed("message_stop")}[kind]


def said(kind: str, *words: str) -> bytes:
    """The beginning of an answer, and these words."""
    return begin(kind) + b"".join(word(kind, text) for text in words)


def whole(kind: str, *words: str) -> bytes:
    """A complete answer."""
    return said(kind, *words) + finish(kind) + marker(kind)


def error(kind: str, type_: str, message: str = "no") -> bytes:
    """An error in the middle of a stream, as this vendor sends it."""
    if kind == "chat":
        return frame({"error": {"type": type_, "message": message, "code": None}})
    if kind == "responses":
        return typed("error", code=type_, message=message, param=None)
    return frame({"type": "error", "error": {"type": type_, "message": message}}, "error")


def message(kind: str, text: str) -> dict[str, Any]:
    """A whole answer that was not streamed."""
    if kind == "chat":
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        return {"object": "chat.completion", "choices": [choice], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}
    usage = {"input_tokens": 3, "output_tokens": 2}
    if kind == "responses":
        item = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}
        return {"object": "response", "status": "completed", "output": [item], "usage": usage}
    content = [{"type": "text", "text": text}]
    return {"type": "message", "id": "msg", "content": content, "stop_reason": "end_turn", "usage": usage}
