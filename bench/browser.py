"""Chromium on the page under test: opens it, asks, waits for the end, and hands over what was recorded.

Knows the test ids and ``recorder.js``; nothing of loads or tables.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, CDPSession, Page, async_playwright

from bench.progress import Paint

ARGUMENTS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
_RECORDER = (Path(__file__).parent / "recorder.js").read_text()
_END = "bench.status() && !['streaming', 'waiting'].includes(bench.status())"
_KEYS_PER_SECOND = 6


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        path = os.environ.get("CHROMIUM", "/usr/bin/chromium")
        browser = await playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()


@dataclass(frozen=True, slots=True)
class Work:
    """Seconds of the page's main thread: all tasks, and of these script, layout and style."""

    tasks: float
    script: float
    layout: float

    def __sub__(self, before: Work) -> Work:
        return Work(self.tasks - before.tasks, self.script - before.script, self.layout - before.layout)


class Visit:
    """One page, loaded and quiet."""

    def __init__(self, page: Page, cdp: CDPSession) -> None:
        self.page = page
        self.cdp = cdp

    async def ask(self, message: str) -> None:
        """Start the recorder and send a message."""
        await self.page.evaluate("bench.startup()")
        await self.page.fill('[data-testid="composer"]', message)
        await self.page.click('[data-testid="send"]')

    async def end(self, seconds: float) -> None:
        """Wait until the page says that the answer has ended, at most so long, and has painted that."""
        await self.page.wait_for_function(_END, timeout=seconds * 1000, polling=100)
        await asyncio.sleep(0.3)

    async def type_while_answering(self) -> None:
        """Type into the composer until the answer ends."""
        await self.page.focus('[data-testid="composer"]')
        for place in range(10_000):
            await self.page.keyboard.press(" " if place % 6 == 5 else "abcde"[place % 6])
            await asyncio.sleep(1 / _KEYS_PER_SECOND)
            if place % 6 == 5 and await self.page.evaluate(_END):
                return

    async def paints(self) -> list[Paint]:
        found = await self.page.evaluate("bench.paints")
        return [Paint(at / 1000, length, tail) for at, length, tail in found]

    async def recorded(self, what: str) -> Any:
        return await self.page.evaluate(f"bench.{what}")

    async def text(self) -> str:
        return await self.page.evaluate("bench.text()")

    async def work(self) -> Work:
        found = await self.cdp.send("Performance.getMetrics")
        metrics = {metric["name"]: metric["value"] for metric in found["metrics"]}
        layout = metrics["LayoutDuration"] + metrics["RecalcStyleDuration"]
        return Work(metrics["TaskDuration"], metrics["ScriptDuration"], layout)

    async def slow_down(self, rate: float) -> None:
        await self.cdp.send("Emulation.setCPUThrottlingRate", {"rate": rate})


@asynccontextmanager
async def visit(browser: Browser, url: str) -> AsyncIterator[Visit]:
    """Load the page in a profile of its own and let it come to rest."""
    # What waits in the page is evaluated there, which the page's Content-Security-Policy forbids.
    context = await browser.new_context(viewport={"width": 1280, "height": 800}, bypass_csp=True)
    try:
        page = await context.new_page()
        await page.add_init_script(_RECORDER)
        cdp = await context.new_cdp_session(page)
        await cdp.send("Performance.enable")
        await page.goto(url)
        await page.wait_for_selector('[data-testid="send"]')
        await page.wait_for_load_state("networkidle")
        await asyncio.sleep(1)
        yield Visit(page, cdp)
    finally:
        await context.close()
