"""The tools that are always there, one per file."""

from __future__ import annotations

from streamchat.tools.builtin.calculate import calculate
from streamchat.tools.builtin.current_time import current_time
from streamchat.tools.builtin.fetch_url import fetch_url_tool
from streamchat.tools.builtin.plot import plot
from streamchat.tools.builtin.search_conversations import search_conversations
from streamchat.tools.definition import Tool
from streamchat.tools.guard import Policy, is_public


def builtin_tools(allowed: Policy = is_public) -> list[Tool]:
    """``allowed``: which addresses ``fetch_url`` may connect to."""
    return [calculate, current_time, search_conversations, fetch_url_tool(allowed), plot]
