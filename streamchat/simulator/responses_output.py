"""Objects of the OpenAI Responses format: output items and the response that contains them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from streamchat.simulator.request import Ask
from streamchat.simulator.steps import Call

_INCOMPLETE = {"length": "max_output_tokens", "content-filter": "content_filter"}


def reasoning_item(number: int, index: int, text: str | None, seal: str) -> dict[str, Any]:
    """Return a reasoning item. ``text`` ``None``: no summary yet; ``seal``: the encrypted content."""
    summary = [] if text is None else [{"type": "summary_text", "text": text}]
    return {"id": f"rs_sim{number:08d}{index:03d}", "type": "reasoning", "encrypted_content": seal, "summary": summary}


def message_item(number: int, index: int, text: str, refusal: str, status: str = "completed") -> dict[str, Any]:
    """Return a message item with a text part and a refusal part, each only if it is not empty."""
    content: list[dict[str, Any]] = []
    if text:
        content.append(text_part(text))
    if refusal:
        content.append({"type": "refusal", "refusal": refusal})
    return {
        "id": f"msg_sim{number:08d}{index:03d}",
        "type": "message",
        "status": status,
        "content": content,
        "role": "assistant",
    }


def text_part(text: str) -> dict[str, Any]:
    """Return a part with output text."""
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def call_item(number: int, index: int, call: Call, status: str) -> dict[str, Any]:
    """Return a function call item."""
    return {
        "id": f"fc_sim{number:08d}{index:03d}",
        "type": "function_call",
        "status": status,
        "arguments": call.arguments,
        "call_id": call.call_id,
        "name": call.name,
    }


def reply(
    ask: Ask,
    number: int,
    created: float,
    reason: str | None,
    output: Sequence[dict[str, Any]],
    counts: tuple[int, int] | None = None,
    error: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the response object. ``reason`` ``None``: in progress; ``counts``: output and reasoning tokens."""
    status = "in_progress" if reason is None else "incomplete" if reason in _INCOMPLETE else "completed"
    return {
        "id": f"resp_sim{number:08d}",
        "object": "response",
        "created_at": int(created),
        "status": "failed" if error else status,
        "background": False,
        "error": error,
        "incomplete_details": {"reason": _INCOMPLETE[reason]} if reason in _INCOMPLETE else None,
        "instructions": None,
        "max_output_tokens": ask.max_tokens,
        "model": ask.scene,
        "output": list(output),
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None if counts is None else _usage(ask, *counts),
        "user": None,
        "metadata": {},
    }


def _usage(ask: Ask, tokens: int, thoughts: int) -> dict[str, Any]:
    return {
        "input_tokens": ask.input_tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": tokens,
        "output_tokens_details": {"reasoning_tokens": thoughts},
        "total_tokens": ask.input_tokens + tokens,
    }
