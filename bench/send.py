"""From the click on Send in a real browser until the provider is asked, and until the first word is painted.

The provider answers at once, so all of it is the program's own: the page, its socket, the database, the request, and
the way back. The floor is a page that fetches and a relay without an SDK or a database. One clock: it is one machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from types import MappingProxyType

from playwright.async_api import Browser

from bench.app import FLOOR, SHIPPED, App, app
from bench.browser import Visit, chromium, visit
from bench.load import Simulator, simulator
from bench.tables import number, percentile, show

PATIENCE = 30.0
MESSAGE = "n=5 rate=50 ttft=0 kind=numbered"
_CLICK = """() => {
  document.querySelector('[data-testid="send"]').click();
  return performance.timeOrigin + performance.now();
}"""
_TURNS = ("in a new chat", "the next question")


async def run(quick: bool, peers: Mapping[tuple[str, ...], str] = MappingProxyType({})) -> None:
    """Print the table. ``peers``: further servers, and their names."""
    times = 10 if quick else 40
    waits: dict[str, list[tuple[float, float]]] = {}
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(simulator())
        browser = await stack.enter_async_context(chromium())
        servers = {FLOOR: "*baseline*", **peers, SHIPPED: "streamchat"}
        running = {
            name: await stack.enter_async_context(app(provider, server=server)) for server, name in servers.items()
        }
        for number_of_round in range(times + 2):  # in turn: the machine may be busy for a while
            for name, one in running.items():
                asked = await _asked(browser, one, provider, len(_TURNS))
                if number_of_round >= 2:  # what only the first answers of a process cost
                    for turn, wait in zip(_TURNS, asked, strict=True):
                        waits.setdefault(f"{name}, {turn}", []).append(wait)
    show(
        "From the click on Send",
        ["", "provider asked: p50 ms", "p95", "first word painted: p50 ms", "p95", "max"],
        [
            [name, *_figures([w[0] for w in each], False), *_figures([w[1] for w in each])]
            for name, each in waits.items()
        ],
        f"{times} times each, in turn. The provider answers at once.",
    )


def _figures(values: Sequence[float], most: bool = True) -> list[str]:
    return [number(percentile(values, share)) for share in ((0.5, 0.95, 1) if most else (0.5, 0.95))]


async def _asked(browser: Browser, running: App, provider: Simulator, questions: int) -> list[tuple[float, float]]:
    """Milliseconds from the click to the request, and to the first paint with text: of each question in turn."""
    waits: list[tuple[float, float]] = []
    async with visit(browser, running.url) as page:
        for _ in range(questions):
            waits.append(await _once(page, provider, "restart" if waits else "startup"))
            await asyncio.sleep(0.5)
    return waits


async def _once(page: Visit, provider: Simulator, begin: str) -> tuple[float, float]:
    await page.page.evaluate(f"bench.{begin}()")
    await page.page.fill('[data-testid="composer"]', MESSAGE)
    await page.page.wait_for_selector('[data-testid="send"]:enabled')
    await asyncio.sleep(0.2)
    clicked = await page.page.evaluate(_CLICK)
    await page.end(PATIENCE)
    asked = (await provider.last())["started"] * 1000
    painted = (await page.recorded("paints"))[0][0]
    return asked - clicked, painted - clicked
