"""Work on hostile files in a process of its own, which can be killed: what a file costs, it costs that process.

Knows no format: the program of each reads the file from stdin and writes its result to stdout.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE
from contextlib import suppress
from math import ceil
from pathlib import Path

from streamchat import limited_process
from streamchat.environment import child_environment

MEMORY_BYTES = 2 * 2**30


class ExtractionFailed(Exception):
    """The program ended with an error."""


async def extract(program: Path | str, content: bytes, seconds: float) -> bytes:
    """Return what the program at this path makes of ``content``.

    It is killed after ``seconds`` (``TimeoutError``), and if the call is cancelled. Raises ``ExtractionFailed``.
    """
    limits = (str(ceil(seconds)), str(MEMORY_BYTES))
    command = (sys.executable, "-P", limited_process.__file__, str(program), *limits)
    process = await asyncio.create_subprocess_exec(
        *command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=child_environment()
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
