"""What single items and counts of the Responses API mean: above all the tools that the provider runs itself.

No I/O, no state: what to call them, what went in, what came out. An unknown kind is read the same way.
"""

from __future__ import annotations

from typing import Any

from streamchat.chat import events as e
from streamchat.providers.payload import decode_object

_FRAME = {"id", "type", "status", "call_id", "name", "server_label", "arguments", "input", "output", "outputs"}
_FRAME |= {"result", "results", "error", "approval_request_id", "execution", "environment", "caller"}
# These answer for themselves; other calls are answered by an item of their own, or by nobody.
_SELF_CONTAINED = {"web_search_call", "file_search_call", "code_interpreter_call", "image_generation_call", "mcp_call"}
_PLAIN = {"message", "reasoning", "function_call"}


def is_server_call(item: dict[str, Any]) -> bool:
    """Whether this is a call that is not ours to run."""
    kind = str(item.get("type"))
    return kind not in _PLAIN and kind.endswith("_call")


def is_server_output(item: dict[str, Any]) -> bool:
    return str(item.get("type")).endswith("_output")


def call_name(item: dict[str, Any]) -> str:
    """What it is called in the conversation."""
    return str(item.get("name") or str(item.get("type")).removesuffix("_call"))


def call_key(item: dict[str, Any]) -> str:
    """The id under which its output comes."""
    return str(item.get("call_id") or item.get("id") or "")


def call_arguments(item: dict[str, Any]) -> dict[str, Any]:
    """What went in, as an object."""
    raw = item.get("arguments")
    if isinstance(raw, dict):
        return raw
    if isinstance(raw, str) and (parsed := decode_object(raw)) is not None:
        return parsed
    if isinstance(item.get("input"), str):
        return {"input": item["input"]}
    return {key: value for key, value in item.items() if key not in _FRAME and value is not None}


def call_outcome(item: dict[str, Any]) -> tuple[str, Any, str | None] | None:
    """State, result and error sentence; ``None`` where the result comes elsewhere or never."""
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


def output_of(item: dict[str, Any]) -> Any:
    """What an output item brings."""
    for key in ("output", "tools", "result"):
        if item.get(key) is not None:
            return item[key]
    return None


def describe(item: dict[str, Any]) -> str:
    """A line for an item that is neither text nor a call."""
    kind, server = str(item.get("type")), str(item.get("server_label") or "a server")
    if kind == "mcp_list_tools":
        return f"Listed the tools of {server}."
    if kind == "mcp_approval_request":
        return f"{server} asks for an approval that cannot be given here."
    if kind == "compaction":
        return "The provider summarised the earlier conversation."
    return f"The provider sent a part of a kind that cannot be shown ({kind})."


def read_usage(usage: dict[str, Any]) -> e.UsageReported:
    """Token counts as the provider tells them; what was read from its cache is part of ``input``."""
    values = (
        usage.get("input_tokens"),
        usage.get("output_tokens"),
        (usage.get("input_tokens_details") or {}).get("cached_tokens"),
        (usage.get("output_tokens_details") or {}).get("reasoning_tokens"),
    )
    return e.UsageReported(*(value if isinstance(value, int) else None for value in values))
