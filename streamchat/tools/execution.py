"""Runs one call within its limits and tells how it goes, in events.

Knows nothing of runs or approval. Rules:

* Raises nothing but ``CancelledError`` and ``GeneratorExit``; the last event is the one ``ToolResult``.
* Neither the end of the time nor the end of the reader waits for the tool.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Mapping

from streamchat.chat.events import Json, ToolProgress, ToolResult
from streamchat.tools.context import Context
from streamchat.tools.definition import Tool
from streamchat.tools.thread import Call, Outcome, stuck

MAX_STUCK = 32
TOO_MANY = "Too many earlier calls of tools are stuck. No more are begun for now."
logger = logging.getLogger(__name__)


async def execute(
    tool: Tool, call_id: str, arguments: Mapping[str, Json], context: Context
) -> AsyncGenerator[ToolProgress | ToolResult, None]:
    """Run it. The result's state is ``done``, ``error``, ``timeout``, or ``invalid`` for arguments that do not fit."""
    if stuck() >= MAX_STUCK:
        yield ToolResult(call_id, "error", error=TOO_MANY)
        return
    call = Call(tool, arguments, context)
    try:
        call.start()
    except RuntimeError:
        logger.exception("tool %s: no thread", tool.name)
        yield ToolResult(call_id, "error", error="The server has no thread left to run this tool.")
        return
    began = time.monotonic()
    deadline = asyncio.get_running_loop().time() + tool.timeout
    try:
        yield ToolProgress(call_id)
        while isinstance(told := await _next(call, deadline, tool), str):
            yield ToolProgress(call_id, told)
        took = round((time.monotonic() - began) * 1000)
        yield ToolResult(call_id, told.state, told.result, told.error, duration_ms=took)
    finally:
        call.leave()


async def _next(call: Call, deadline: float, tool: Tool) -> str | Outcome:
    try:
        async with asyncio.timeout_at(deadline):
            return await call.told()
    except TimeoutError:
        return Outcome("timeout", error=f"The tool was stopped: it took longer than {tool.timeout:g} s.")
