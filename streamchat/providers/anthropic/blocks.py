"""Interpretation of single blocks and token counts of Anthropic's API. No I/O, no state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streamchat.chat import events as e
from streamchat.providers.token_counts import count


def read_usage(usage: Mapping[str, Any]) -> e.UsageReported | None:
    """Return the token counts. The provider counts what it reads from its cache, and writes there, beside the input."""
    if not usage:
        return None
    details = usage.get("output_tokens_details")
    details = details if isinstance(details, Mapping) else {}
    cached = count(usage.get("cache_read_input_tokens"))
    written = count(usage.get("cache_creation_input_tokens"))
    fresh = count(usage.get("input_tokens"))
    return e.UsageReported(
        input=None if fresh is None else fresh + (cached or 0) + (written or 0),
        output=count(usage.get("output_tokens")),
        cached=cached,
        reasoning=count(details.get("thinking_tokens")),
        written=written or None,
    )


def describe(block: dict[str, Any]) -> str:
    """Return a line for a block that is neither text nor a call."""
    kind = block.get("type")
    if kind == "compaction":
        return "The provider summarised the earlier conversation."
    if kind == "fallback":
        model = (block.get("to") or {}).get("model")
        return f"Answered by {model}." if model else "Answered by another model."
    return f"The provider sent a part of a kind that cannot be shown ({kind})."


def error_of(block: dict[str, Any], content: Any) -> str | None:
    """Return why a tool of the provider failed, or ``None``."""
    if isinstance(content, dict) and (content.get("error_code") or str(content.get("type")).endswith("_error")):
        code = content.get("error_code") or content.get("type")
        return str(content.get("error_message") or str(code).replace("_", " "))
    if not block.get("is_error"):
        return None
    texts = [item.get("text") for item in content if isinstance(item, dict)] if isinstance(content, list) else [content]
    return " ".join(text for text in texts if isinstance(text, str))[:2000] or "The tool failed."


def readable_content(content: Any) -> Any:
    """Return a result without the fields that only the provider can read."""
    if isinstance(content, dict):
        return {key: readable_content(value) for key, value in content.items() if not key.startswith("encrypted_")}
    return [readable_content(item) for item in content] if isinstance(content, list) else content
