"""Extraction of text in a process of its own, which can be killed: what a hostile file costs, it costs that process.

Knows no format: the program of each reads the file from stdin and writes its result to stdout.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE
from contextlib import suppress
from pathlib import Path

from streamchat.environment import child_environment


class ExtractionFailed(Exception):
    """The program ended with an error."""


async def extract(program: Path | str, content: bytes, seconds: float) -> bytes:
    """Return what the program at this path makes of ``content``.

    It is killed after ``seconds`` (``TimeoutError``), and if the call is cancelled. Raises ``ExtractionFailed``.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", str(program), stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=child_environment()
    )
    try:
        async with asyncio.timeout(seconds):
            output, _ = await process.communicate(content)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await asyncio.shield(process.wait())
    if process.returncode != 0:
        raise ExtractionFailed
    return output
