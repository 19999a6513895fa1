"""``python -m bench.pair CHECKOUT [ROUNDS]``: the server's CPU per word beside that of another checkout.

How fast a machine is changes within an hour by more than what is looked for. So both serve at the same time, each with
a tab that reads the same answer, in this checkout's environment. The page of the other one has to be built.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from bench.app import MODEL, App, app
from bench.load import Load, simulator
from bench.measure import cpu_seconds
from bench.tab import tab
from bench.tables import number, percentile, show
from streamchat.build import ROOT

LOADS = (Load("A", "numbered", 500, 50), Load("B", "markdown", 1000, 100))
WARM_UP = Load("warm-up", "numbered", 50, 50)


async def run(other: Path, rounds: int) -> None:
    """Print the median of each, and of the ratios of the pairs."""
    rows = []
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(simulator())
        both = [await stack.enter_async_context(app(provider, checkout=one)) for one in (other, ROOT)]
        await asyncio.gather(*(_per_1000_words(one, WARM_UP) for one in both))
        for load in LOADS:
            pairs = [await asyncio.gather(*(_per_1000_words(one, load) for one in both)) for _ in range(rounds)]
            columns = [*zip(*pairs, strict=True), [here / there for there, here in pairs]]
            rows.append([load.name, *(number(percentile(list(values), 0.5), 2) for values in columns)])
    show("CPU of the server, s per 1,000 words", ["", "there", "here", "ratio"], rows, f"Medians of {rounds} pairs.")


async def _per_1000_words(running: App, load: Load) -> float:
    async with tab(running.port) as one:
        used = cpu_seconds(running.pid)
        await one.ask(load.message, MODEL)
        await one.read()
        return (cpu_seconds(running.pid) - used) / load.tokens * 1000


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1]).resolve(), int((sys.argv[2:] or ["5"])[0])))
