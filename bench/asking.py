"""A tool that asks before it runs, for answers that wait (``bench.idle``)."""

from __future__ import annotations

from streamchat.tools import tool


@tool(approve=True)
async def send(to: str) -> str:
    """Send a message."""
    return f"sent to {to}"
