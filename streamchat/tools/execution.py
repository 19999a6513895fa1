"""Execution of one tool call within its limits, as a stream of events.

Knows nothing of runs or approval. Rules:

* Raises nothing but ``CancelledError`` and ``GeneratorExit``. The last event is the only ``ToolResult``.
* Neither a timeout nor a reader that leaves waits for the tool to return.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Mapping

from streamchat.chat.events import Json, ToolProgress, ToolResult
from streamchat.tools.definition import Tool
from streamchat.tools.thread import Call, Outcome, stuck
from streamchat.tools.tool_context import Context

MAX_STUCK = 32
MAX_STUCK_PER_OWNER = 8
TOO_MANY = "Too many earlier tool calls are stuck. No more are started for now."
logger = logging.getLogger(__name__)


async def execute(
    tool: Tool, call_id: str, arguments: Mapping[str, Json], context: Context
) -> AsyncGenerator[ToolProgress | ToolResult, None]:
    """Run the tool; yield progress events and then the result.

    The result's state is ``done``, ``error``, ``timeout``, or ``invalid`` if the arguments do not fit the schema. Its
    duration is in milliseconds.
    """
    if stuck() >= MAX_STUCK or stuck(context.owner) >= MAX_STUCK_PER_OWNER:
        yield ToolResult(call_id, "error", error=TOO_MANY)
        return
    call = Call(tool, arguments, context)
    try:
        call.start()
    except RuntimeError:
        logger.exception("tool %s: no thread", tool.name)
        yield ToolResult(call_id, "error", error="The server has no thread left to run this tool.")
        return
    started = time.monotonic()
    deadline = asyncio.get_running_loop().time() + tool.timeout
    try:
        yield ToolProgress(call_id)
        while isinstance(update := await _next(call, deadline, tool), str):
            yield ToolProgress(call_id, update)
        duration_ms = round((time.monotonic() - started) * 1000)
        yield ToolResult(call_id, update.state, update.result, update.error, duration_ms=duration_ms)
    finally:
        call.leave()


async def _next(call: Call, deadline: float, tool: Tool) -> str | Outcome:
    try:
        async with asyncio.timeout_at(deadline):
            return await call.receive()
    except TimeoutError:
        return Outcome("timeout", error=f"The tool was stopped: it took longer than {tool.timeout:g} s.")
