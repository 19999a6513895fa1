"""How tests run a tool."""

from __future__ import annotations

from typing import Any

from streamchat.chat.events import ToolProgress, ToolResult
from streamchat.tools import Context, Tool, execute

SOMEBODY = Context("local", "conversation")


async def events_of(tool: Tool, arguments: Any = None, context: Context = SOMEBODY) -> list[ToolProgress | ToolResult]:
    return [event async for event in execute(tool, "c1", {} if arguments is None else arguments, context)]


async def result_of(tool: Tool, arguments: Any = None, context: Context = SOMEBODY) -> ToolResult:
    """The last event, which is the only result."""
    *before, last = await events_of(tool, arguments, context)
    assert all(isinstance(event, ToolProgress) for event in before)
    assert isinstance(last, ToolResult)
    return last
