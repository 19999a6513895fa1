"""Built-in tools, one per file. ``calculate`` and ``fetch_url`` require the extra ``tools``."""

from __future__ import annotations

from streamchat import extras
from streamchat.tools.builtin.current_time import current_time
from streamchat.tools.builtin.plot import plot
from streamchat.tools.builtin.search_conversations import search_conversations
from streamchat.tools.definition import Tool
from streamchat.tools.ssrf_guard import Policy, is_public


def builtin_tools(allowed: Policy = is_public) -> list[Tool]:
    """Return the tools whose libraries are installed. ``allowed``: the addresses that ``fetch_url`` may connect to."""
    tools = [current_time, search_conversations, plot]
    if extras.is_installed("tools"):
        from streamchat.tools.builtin.calculate import calculate
        from streamchat.tools.builtin.fetch_url import fetch_url_tool

        tools = [calculate, current_time, search_conversations, fetch_url_tool(allowed), plot]
    return tools
