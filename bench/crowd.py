"""Answers at once, from ten to where it breaks: each over a socket of the provider's, with a tab that reads it.

A tab is no browser but ``bench.tab``. Provider, tabs and server share the machine, so the CPU of each is shown: where
they have all of it, it is the machine that breaks. Nothing may be lost at any number; what grows is the delay.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from itertools import count

import httpx2

from bench.app import MODEL, App, app
from bench.idle import SETTINGS
from bench.load import Load, Simulator, simulator
from bench.measure import tree_cpu_seconds
from bench.server import Unanswered, lag
from bench.tab import Tab, tab
from bench.tables import number, percentile, show
from devservers import redis

COUNTS = (10, 25, 50, 100, 200)
RATE = 50
_tags = count(1)


async def run(quick: bool) -> None:
    load = Load("crowd", "numbered", 300 if quick else 500, RATE)
    settings = SETTINGS | {"STREAMCHAT_ACCOUNTS": "", "STREAMCHAT_TOOLS": ""}
    rows = []
    async with simulator() as provider:
        for at_once in COUNTS:
            async with app(provider, settings=settings) as running:
                rows.append([f"{at_once}", "1", *await _crowd(provider, running, load, at_once)])
        if redis.why_not() is None:
            server = redis.RedisServer()
            server.start()
            try:
                two = settings | {"STREAMCHAT_WORKERS": "2", "STREAMCHAT_REDIS_URL": server.url}
                for at_once in COUNTS[2:]:
                    async with app(provider, settings=two) as running:
                        rows.append([f"{at_once}", "2", *await _crowd(provider, running, load, at_once)])
            finally:
                server.remove()
    show(
        f"Answers of {load.tokens} words at {RATE}/s, all at once",
        ["answers", "workers", "late p50 ms", "p95", "max", "while all came: p50", "p95", "lost"]
        + ["CPU of the server", "of provider and tabs"],
        rows,
        f"Late: from the provider's send to the tab's socket. CPU: cores, while the answers came; this machine has "
        f"{os.cpu_count()}. Load at the end: {os.getloadavg()[0]:.1f}.",
    )


async def _crowd(provider: Simulator, running: App, load: Load, at_once: int) -> Sequence[str]:
    async with tab(running.port) as first:
        await _answer(first, Load("warm-up", "numbered", 20, RATE).message)
    async with AsyncExitStack() as stack:
        tabs = [await stack.enter_async_context(tab(running.port)) for _ in range(at_once)]
        messages = [f"{load.message} tab {next(_tags)}" for _ in tabs]
        used, own, began = tree_cpu_seconds(running.pid), _rest(provider), time.monotonic()
        await asyncio.gather(*(_answer(one, text) for one, text in zip(tabs, messages, strict=True)))
        seconds = time.monotonic() - began
        cores = [(tree_cpu_seconds(running.pid) - used) / seconds, (_rest(provider) - own) / seconds]
    words, lost = await _late(provider, load, dict(zip(messages, tabs, strict=True)))
    # From the first word of the last answer to the last word of the first one.
    begun, over = max(sent[0] for sent, _ in words), min(sent[-1] for sent, _ in words)
    late = [delay for _, delays in words for delay in delays]
    together = [delay for sent, delays in words for at, delay in zip(sent, delays, strict=True) if begun <= at <= over]
    return [
        *(number(percentile(late, share) * 1000, 0) for share in (0.5, 0.95, 1)),
        *(number(percentile(together, share) * 1000, 0) if together else "–" for share in (0.5, 0.95)),
        number(lost, 0),
        *(number(value, 2) for value in cores),
    ]


async def _answer(one: Tab, message: str) -> None:
    await one.ask(message, MODEL)
    await one.read()


async def _late(
    provider: Simulator, load: Load, tabs: dict[str, Tab]
) -> tuple[list[tuple[list[float], list[float]]], int]:
    """Return when each answer's words were sent and how late each came, and how many did not come as they were sent."""
    headers = {"authorization": f"Bearer {provider.address.api_key}"}
    async with httpx2.AsyncClient(headers=headers, timeout=60) as client:
        url = f"{provider.address.url}/_log?limit={len(tabs)}"
        records = {one["message"]: one for one in (await client.get(url)).json()["requests"]}
    words, lost = [], 0
    for message, one in tabs.items():
        try:
            sent = records[message]["emits"]
            words.append((sent, lag(one.received, sent, load.ends)))
        except (Unanswered, KeyError, StopIteration):
            lost += 1
    return words, lost


def _rest(provider: Simulator) -> float:
    """Return the CPU seconds of this process and of the provider's."""
    return time.process_time() + tree_cpu_seconds(provider.pid)
