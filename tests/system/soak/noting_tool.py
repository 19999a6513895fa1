"""A tool with an effect outside of the program: a line in the file that ``NOTES`` names, for each time it runs."""

from __future__ import annotations

import asyncio
import os

from streamchat.tools import tool
from streamchat.tools.tool_context import Context


@tool
async def note_down(context: Context, text: str = "x") -> str:
    """Write a note."""
    line = f"{context.conversation_id}\n".encode()
    file = os.open(os.environ["NOTES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, line)
    finally:
        os.close(file)
    await asyncio.sleep(0.3)
    return "noted"
