"""Interpretation of single items and token counts of the Responses API: above all the tools that the provider runs.

No I/O, no state: their names, inputs and outputs. An unknown type is read the same way.
"""

from __future__ import annotations

from typing import Any

from streamchat.chat import events as e
from streamchat.providers.token_counts import count
from streamchat.providers.tolerant_json import decode_object

_FRAME = {"id", "type", "status", "call_id", "name", "server_label", "arguments", "input", "output", "outputs"}
_FRAME |= {"result", "results", "error", "approval_request_id", "execution", "environment", "caller"}
# These carry their own result; other calls are answered by a separate item, or not at all.
_SELF_CONTAINED = {"web_search_call", "file_search_call", "code_interpreter_call", "image_generation_call", "mcp_call"}
_PLAIN = {"message", "reasoning", "function_call"}


def is_text(part: Any) -> bool:
    """Return whether this part of a message is text of the answer."""
    return isinstance(part, dict) and part.get("type") in ("output_text", "text") and isinstance(part.get("text"), str)


def is_server_call(item: dict[str, Any]) -> bool:
    """Return whether this is a call that the provider runs."""
    kind = str(item.get("type"))
    return kind not in _PLAIN and kind.endswith("_call")


def is_server_output(item: dict[str, Any]) -> bool:
    """Return whether this is the output of such a call."""
    return str(item.get("type")).endswith("_output")


def call_name(item: dict[str, Any]) -> str:
    """Return the name of the tool in the conversation."""
    return str(item.get("name") or str(item.get("type")).removesuffix("_call"))


def call_key(item: dict[str, Any]) -> str:
    """Return the id under which the output of the call arrives."""
    return str(item.get("call_id") or item.get("id") or "")


def call_arguments(item: dict[str, Any]) -> dict[str, Any]:
    """Return the input of the call, as an object."""
    raw = item.get("arguments")
    if isinstance(raw, dict):
        return raw
    if isinstance(raw, str) and (parsed := decode_object(raw)) is not None:
        return parsed
    if isinstance(item.get("input"), str):
        return {"input": item["input"]}
    return {key: value for key, value in item.items() if key not in _FRAME and value is not None}


def call_outcome(item: dict[str, Any]) -> tuple[str, Any, str | None] | None:
    """Return state, result and error message; ``None`` if the result comes in another item or never."""
    if error := item.get("error"):
        return "error", None, str(error.get("message") or error) if isinstance(error, dict) else str(error)
    if item.get("status") in ("failed", "incomplete"):
        return "error", None, "The tool did not finish."
    kind = item.get("type")
    if kind == "image_generation_call":
        return "done", {"image": f"{len(item.get('result') or '')} characters of base64"}, None
    for key in ("results", "outputs", "output", "result"):
        if item.get(key) is not None:
            return "done", item[key], None
    return ("done", None, None) if kind in _SELF_CONTAINED else None


def output_result(item: dict[str, Any]) -> Any:
    """Return the result in an output item."""
    for key in ("output", "tools", "result"):
        if item.get(key) is not None:
            return item[key]
    return None


def describe(item: dict[str, Any]) -> str:
    """Return a line for an item that is neither text nor a call."""
    kind, server = str(item.get("type")), str(item.get("server_label") or "a server")
    if kind == "mcp_list_tools":
        return f"Listed the tools of {server}."
    if kind == "mcp_approval_request":
        return f"{server} asks for an approval that cannot be given here."
    if kind == "compaction":
        return "The provider summarised the earlier conversation."
    return f"The provider sent a part of a kind that cannot be shown ({kind})."


def read_usage(usage: dict[str, Any]) -> e.UsageReported:
    """Return the token counts as the provider reports them."""
    read = usage.get("input_tokens_details") or {}
    values = (
        usage.get("input_tokens"),
        usage.get("output_tokens"),
        read.get("cached_tokens"),
        (usage.get("output_tokens_details") or {}).get("reasoning_tokens"),
        read.get("cache_write_tokens") or None,
    )
    return e.UsageReported(*map(count, values))
