"""Approval prompt: asks the user at the terminal about a tool call.

Knows lines of text, not the client: the caller acts on the decisions. Rule: an empty line denies the call only if the
user pressed Enter; the end of the input is no decision, and the call still awaits approval.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Iterable

from streamchat.chat.messages import Message, ToolCallPart
from streamchat.client.terminal import short


async def decisions(message: Message, call_ids: Iterable[str]) -> AsyncGenerator[tuple[str, bool], None]:
    """Yield each call id with the user's decision, ``True`` to allow. Stops at the end of the input."""
    calls = {part.id: part for part in message.parts if isinstance(part, ToolCallPart)}
    for call_id in call_ids:
        call = calls[call_id]
        print(f"Allow {short(call.name)} {short(dict(call.arguments or {}))}? [y/N] ", end="", flush=True)  # noqa: T201 a prompt
        line = await _line()
        if not line:
            return
        yield call_id, line.strip().lower() in ("y", "yes")


async def _line() -> str:
    """Read the next line without blocking the event loop; empty at the end of the input."""
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(sys.stdin, ready.set)
    try:
        await ready.wait()
        return sys.stdin.readline()  # a terminal delivers whole lines
    finally:
        loop.remove_reader(sys.stdin)
