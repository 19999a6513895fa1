"""How long it takes until the page is served, from the start of the process, with a build that is current.

*Cold*: no module is compiled yet. *Warm*: as every later start. Floor: the same interpreter and server with
one empty page.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.app import FLOOR, SHIPPED, app
from bench.load import Simulator, simulator
from bench.tables import number, show, spread


async def run(quick: bool) -> None:
    rows = []
    async with simulator() as provider:
        for name, server in (("*baseline*: uvicorn and an empty page", FLOOR), ("`streamchat run`", SHIPPED)):
            seconds = await _starts(server, provider, 2 if quick else 5)
            rows.append([name, number(seconds[0], 2), spread(seconds[1:])])
    show(
        "Start until the page is served, in seconds",
        ["", "cold", "warm"],
        rows,
        "Cold: every module is compiled first, which an installation by pip has done already.",
    )


async def _starts(server: Sequence[str], provider: Simulator, times: int) -> list[float]:
    """The first is the cold one."""
    seconds = []
    with tempfile.TemporaryDirectory(prefix="streamchat-bench-") as bytecode:
        for _ in range(times + 1):
            async with app(provider, server=server, bytecode=Path(bytecode)) as running:
                seconds.append(running.ready)
    return seconds
