"""The page in a thread of 200 messages, and its first load: what people notice of a chat that has grown.

A long answer is timed from the provider's send to the paint while the messages before it are watched for changes;
somebody types on a processor slowed down four times; a message of 200 KB is opened; the page is loaded for the first
time. Frames of the screen are counted as well: the longest pause between two of them is what the eye calls a freeze.
The second answer of a new conversation, whose first words come while the page still has other work, is watched for
that alone.
"""

from __future__ import annotations

import tempfile
from itertools import pairwise
from pathlib import Path

from playwright.async_api import Browser

from bench import seed
from bench.app import MODEL, App, app
from bench.browser import chromium, visit
from bench.load import Load, Simulator, simulator
from bench.page import SLOWER
from bench.progress import delays
from bench.tables import number, percentile, show

TURNS, WORDS = 100, 200
LONG = 52_000  # words of Markdown: a message of 200 KB
PATIENCE = 300.0
# Changes in messages that are done, and the longest pause between two frames of the screen.
_WATCH = """() => {
  const watch = (window.watched = { changes: 0, pause: 0 });
  const done = [...document.querySelectorAll('[data-testid="message"]')];
  const observer = new MutationObserver((records) => { watch.changes += records.length; });
  for (const message of done) {
    observer.observe(message, { subtree: true, childList: true, characterData: true, attributes: true });
  }
  watch.messages = done.length;
  let last = performance.now();
  const frame = (now) => {
    // From the first words on: what sending does to the answer before is none of the stream.
    if (!watch.begun && bench.paints.length) Object.assign(watch, { begun: true, changes: 0, pause: 0 });
    watch.pause = Math.max(watch.pause, now - last);
    last = now;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}"""
_LONGEST = """window.longest = 0;
new PerformanceObserver((list) => list.getEntries().forEach(({ duration }) => {
  window.longest = Math.max(window.longest, duration);
})).observe({ type: "longtask", buffered: true });"""
_READY = """window.ready = null;
const look = () => {
  if (!document.querySelector('[data-testid="composer"]')?.getClientRects().length) return requestAnimationFrame(look);
  requestAnimationFrame(() => setTimeout(() => { window.ready = performance.now(); }));
};
requestAnimationFrame(look);"""


async def run(quick: bool) -> None:
    share = 5 if quick else 1
    with tempfile.TemporaryDirectory(prefix="streamchat-bench-") as name:
        data = Path(name)
        thread = f"/c/{await seed.conversation(data, TURNS, WORDS, MODEL)}"
        long = f"/c/{await seed.conversation(data, 1, LONG, MODEL)}"
        async with simulator() as provider, app(provider, data=data) as running, chromium() as browser:
            await _long_answers(provider, running, browser, thread, share)
            await _second_answers(provider, running, browser, 20 // share)
            await _typing(running, browser, thread, Load("typing", "markdown", 2000 // share, 50))
            await _long_message(running, browser, long)
            await _first_load(running, browser)


async def _long_answers(provider: Simulator, running: App, browser: Browser, thread: str, share: int) -> None:
    rows = []
    for load in (
        Load("long", "markdown", 10_000 // share, 300),
        Load("ordinary", "markdown", 1_000 // share, 50),
    ):
        async with visit(browser, running.url + thread) as page:
            await page.page.evaluate(_WATCH)
            work = await page.work()
            await page.ask(load.message)
            await page.end(load.seconds + PATIENCE)
            work = await page.work() - work
            emits, paints = await provider.emits(load), await page.paints()
            waited = delays(load, emits, paints, await page.text())
            watched = await page.page.evaluate("watched")
            rows.append(
                [
                    load.title,
                    *(number(percentile(waited, part) * 1000, 0) for part in (0.5, 0.95, 1)),
                    number((paints[-1].at - emits[-1]) * 1000, 0),
                    f"{watched['changes']:,} in {watched['messages']}",
                    number(watched["pause"], 0),
                    number(max(await page.recorded("long"), default=0), 0),
                    number(work.tasks),
                ]
            )
    show(
        f"An answer in a thread of {2 * TURNS} messages",
        [
            "",
            "p50 ms",
            "p95",
            "max",
            "whole after the last",
            "changes before",
            "longest pause",
            "longest task",
            "main s",
        ],
        rows,
        "From the provider's send to the paint. Whole after: the last word. Changes before: of the DOM, in the "
        "messages that were in the page: the newest ones, until somebody asks for more. Longest pause: between two "
        "frames of the screen, in ms.",
    )


async def _second_answers(provider: Simulator, running: App, browser: Browser, times: int) -> None:
    load = Load("second", "numbered", 100, 50)
    paused: dict[str, list[float]] = {"by the provider": [], "in the page": [], "between two frames of the screen": []}
    for _ in range(times):
        async with visit(browser, running.url) as page:
            for _ in range(2):
                await page.page.evaluate(_WATCH)
                await page.ask(load.message)
                await page.end(load.seconds + PATIENCE)
            emits, paints = await provider.emits(load), await page.paints()
            for times_of, among in ((emits, "by the provider"), ([one.at for one in paints], "in the page")):
                paused[among].append(max(after - before for before, after in pairwise(times_of)) * 1000)
            paused["between two frames of the screen"].append(await page.page.evaluate("watched.pause"))
    show(
        "The second answer of a new conversation",
        ["the longest pause of each: ms", "p50", "p95", "max", "above 50"],
        [
            [among, *(number(percentile(each, part), 0) for part in (0.5, 0.95, 1)), str(sum(one > 50 for one in each))]
            for among, each in paused.items()
        ],
        f"{times} times: {load.title}. In the page: between two paints with more of it, from first word to last.",
    )


async def _typing(running: App, browser: Browser, thread: str, load: Load) -> None:
    async with visit(browser, running.url + thread) as page:
        await page.slow_down(SLOWER)
        await page.ask(load.message)
        await page.type_while_answering()
        keys, long = await page.recorded("keys"), await page.recorded("long")
        figures = [number(percentile(keys, part), 0) for part in (0.5, 0.95, 1)]
        row = [load.title, str(len(keys)), *figures, number(max(long, default=0), 0)]
    show(
        f"Typing there on a processor slowed down {SLOWER} times",
        ["", "keys", "p50 ms", "p95", "max", "longest task"],
        [row],
        "From the key to the frame with the letter.",
    )


async def _long_message(running: App, browser: Browser, path: str) -> None:
    async with visit(browser, running.url) as page:
        await page.page.add_init_script(_LONGEST)
        await page.page.goto(running.url + path)
        await page.page.wait_for_function(_SETTLED, timeout=PATIENCE * 1000, polling=200)
        size = await page.page.evaluate("document.querySelector('[data-testid=\"answer\"]').textContent.length")
        row = [f"{size / 1000:,.0f} thousand characters shown", number(await page.page.evaluate("longest"), 0)]
    show("A message of 200 KB is opened", ["", "longest task ms"], [row])


# The answer's text has not grown for a second.
_SETTLED = """() => {
  const length = document.querySelector('[data-testid="answer"]')?.textContent.length ?? 0;
  if (length !== window.seenLength) {
    window.seenLength = length;
    window.seenAt = performance.now();
  }
  return length > 0 && performance.now() - window.seenAt > 1000;
}"""


async def _first_load(running: App, browser: Browser) -> None:
    rows = []
    for rate in (1, SLOWER):
        async with visit(browser, running.url):
            pass  # what only the first visitor of a server waits for
        context = await browser.new_context(viewport={"width": 1280, "height": 800}, bypass_csp=True)
        page = await context.new_page()
        await page.add_init_script(_READY)
        client = await context.new_cdp_session(page)
        await client.send("Network.enable")
        arrived: list[float] = []
        client.on("Network.loadingFinished", lambda event: arrived.append(event["encodedDataLength"]))  # noqa: B023
        await client.send("Emulation.setCPUThrottlingRate", {"rate": rate})
        await page.goto(running.url, wait_until="commit")
        await page.wait_for_function("window.ready !== null", timeout=PATIENCE * 1000)
        shown = sum(arrived)
        await page.wait_for_load_state("networkidle")
        painted = await page.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN")
        rows.append(
            [
                f"{rate}×" if rate > 1 else "as it is",
                number(shown / 1000, 0),
                number(sum(arrived) / 1000, 0),
                number(painted, 0),
                number(await page.evaluate("ready"), 0),
            ]
        )
        await context.close()
    show(
        "The first load, with an empty cache",
        ["processor slowed down", "kB until it is shown", "kB in all", "first paint ms", "shown ms"],
        rows,
        "Compressed, as they came. Shown: the frame with the message box is on the screen. In all: with what is loaded "
        "later, when the page is idle.",
    )
