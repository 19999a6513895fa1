"""Asks the person at the terminal about a tool call that waits.

Knows lines of text, not the client: who asks hands in what to do with the word. Rules: no word is a no only where a
person pressed Enter; who goes away has said nothing, and the call still waits.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Iterable

from streamchat.chat.messages import Message, ToolCallPart
from streamchat.client.terminal import short


async def decisions(message: Message, call_ids: Iterable[str]) -> AsyncGenerator[tuple[str, bool], None]:
    """Each call that waits, and whether the person allows it. Ends where there is nobody to ask."""
    calls = {part.id: part for part in message.parts if isinstance(part, ToolCallPart)}
    for call_id in call_ids:
        call = calls[call_id]
        print(f"Allow {short(call.name)} {short(dict(call.arguments or {}))}? [y/N] ", end="", flush=True)  # noqa: T201 a person is asked
        said = await _line()
        if not said:
            return
        yield call_id, said.strip().lower() in ("y", "yes")


async def _line() -> str:
    """The next line, without holding up what else is going on; empty at the end of the input."""
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(sys.stdin, ready.set)
    try:
        await ready.wait()
        return sys.stdin.readline()  # a terminal has whole lines
    finally:
        loop.remove_reader(sys.stdin)
