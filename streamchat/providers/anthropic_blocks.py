"""What single blocks and counts of Anthropic's API mean for a reader. No I/O, no state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streamchat.chat import events as e


def read_usage(usage: Mapping[str, Any]) -> e.UsageReported | None:
    """Token counts as the provider tells them: what was read from its cache is not in ``input``."""
    if not usage:
        return None
    details = usage.get("output_tokens_details") or {}
    values = (
        usage.get("input_tokens"),
        usage.get("output_tokens"),
        usage.get("cache_read_input_tokens"),
        details.get("thinking_tokens"),
    )
    return e.UsageReported(*(value if isinstance(value, int) else None for value in values))


def describe(block: dict[str, Any]) -> str:
    """A line for a block that is neither text nor a call."""
    kind = block.get("type")
    if kind == "compaction":
        return "The provider summarised the earlier conversation."
    if kind == "fallback":
        model = (block.get("to") or {}).get("model")
        return f"Answered by {model}." if model else "Answered by another model."
    return f"The provider sent a part of a kind that cannot be shown ({kind})."


def error_of(block: dict[str, Any], content: Any) -> str | None:
    """Why a tool of the provider's failed, or ``None``."""
    if isinstance(content, dict) and (content.get("error_code") or str(content.get("type")).endswith("_error")):
        code = content.get("error_code") or content.get("type")
        return str(content.get("error_message") or str(code).replace("_", " "))
    if not block.get("is_error"):
        return None
    texts = [item.get("text") for item in content if isinstance(item, dict)] if isinstance(content, list) else [content]
    return " ".join(text for text in texts if isinstance(text, str))[:2000] or "The tool failed."


def readable(content: Any) -> Any:
    """A result without what only the provider can read."""
    if isinstance(content, dict):
        return {key: readable(value) for key, value in content.items() if not key.startswith("encrypted_")}
    return [readable(item) for item in content] if isinstance(content, list) else content
