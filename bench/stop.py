"""From the click on Stop in a real browser until the provider sees its connection closed, by phase of the answer.

The click's time is the page's own, the close's that of the simulator's journal: one clock, since it is one machine.
"""

from __future__ import annotations

import asyncio

from playwright.async_api import Browser

from bench.app import App, app
from bench.browser import Visit, chromium, visit
from bench.load import Simulator, simulator
from bench.tables import number, percentile, show

PATIENCE = 30.0
_CLICK = "() => { document.querySelector('[data-testid=\"stop\"]').click(); return Date.now(); }"
# phase → the words that bring it, and what shows in the page that it is reached
PHASES = {
    "before the first token": ("n=5 ttft=60000", '[data-testid="stop"]'),
    "text": ("n=50000 rate=50 kind=numbered", 'text="w000005"'),
    "tool arguments": ("calls=1 args=big rate=20", '[data-testid="tool-panel"][data-state="receiving"]'),
}


async def run(quick: bool) -> None:
    times = 3 if quick else 15
    async with simulator() as provider, chromium() as browser, app(provider) as running:
        rows = []
        for phase, (words, reached) in PHASES.items():
            waited = [await _stopped(browser, running, provider, words, reached) for _ in range(times)]
            rows.append([phase, *(number(percentile(waited, share)) for share in (0.5, 0.95, 1))])
    note = f"{times} times each. The promise is 300 ms."
    show(
        "From the click on Stop until the provider's connection is closed",
        ["", "p50 ms", "p95 ms", "max ms"],
        rows,
        note,
    )


async def _stopped(browser: Browser, running: App, provider: Simulator, words: str, reached: str) -> float:
    async with visit(browser, running.url) as page:
        await page.ask(words)
        await page.page.wait_for_selector('[data-testid="stop"]')
        await _reach(page, reached)
        clicked = await page.page.evaluate(_CLICK)
        async with asyncio.timeout(PATIENCE):
            while (closed := (await provider.last())["closed_at"]) is None:  # noqa: ASYNC110 another process has it
                await asyncio.sleep(0.02)
        return closed * 1000 - clicked


async def _reach(page: Visit, reached: str) -> None:
    if reached.startswith("text="):
        word = reached.removeprefix("text=").strip('"')
        await page.page.wait_for_function("word => bench.text().includes(word)", arg=word, timeout=PATIENCE * 1000)
    else:
        await page.page.wait_for_selector(reached, timeout=PATIENCE * 1000)
    await asyncio.sleep(0.3)
