"""Tools that leave a line in the file ``CALLS`` when they begin, for tests that count how often a call ran."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from streamchat.tools import tool


def _begun(name: str) -> None:
    with Path(os.environ["CALLS"]).open("a") as file:
        file.write(f"{name} {os.getpid()}\n")


@tool
async def quick(text: str = "") -> str:
    """Ends at once."""
    _begun("quick")
    return "done"


@tool
async def slow(text: str = "") -> str:
    """Takes a minute."""
    _begun("slow")
    await asyncio.sleep(60)
    return "done"
