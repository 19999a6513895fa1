"""A thousand followers of one conversation, on one worker: how late each of them has a word, and what they cost.

Followers are sockets of one asyncio process beside the server; what they receive is looked at only at the end. The
floor is ``bench.relay``, which numbers, keeps and encodes nothing, on the same server. Lateness is counted from the
moment in which the provider sent a word, and includes the time until the follower's own process comes to its socket.
"""

from __future__ import annotations

import asyncio
import os
import re
import resource
import time
from bisect import bisect_right
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import accumulate

import httpx2

from bench.app import App, app
from bench.load import Load, Simulator, simulator
from bench.measure import cpu_seconds, resident_bytes
from bench.tables import number, percentile, show

COUNT = 1000
RATES = (2, 10, 50)
# Begun at the same time.
AT_ONCE = 50
RELAY = ("-m", "bench.relay")
SETTINGS = {"STREAMCHAT_STREAMS_PER_CLIENT": "100000", "STREAMCHAT_STREAMS_PER_OWNER": "100000"}
_WORD = re.compile(rb"w(\d{6})")
_SERVERS = {
    "our server": ("-m", "streamchat", "run"),
    "the baseline: a bare relay": RELAY,
}


async def run(quick: bool) -> None:
    count, seconds = (COUNT // 5, 5) if quick else (COUNT, 10)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4 * count)), hard))
    rows = []
    async with simulator() as provider:
        for name, server in _SERVERS.items():
            async with app(provider, server=server, settings=SETTINGS) as running:
                for rate in RATES:
                    load = Load("", "numbered", rate * seconds, rate)
                    rows.append([f"{name}, {rate} words/s", *await _measured(running, provider, load, count)])
    head = [
        f"{count:,} followers of one conversation",
        "late p50 ms",
        "p95 ms",
        "max ms",
        "CPU of a core, %",
        "µs of CPU per word and follower",
        "KB each",
    ]
    note = f"{seconds} s each. KB: growth of the server while they follow. Load at the end: {os.getloadavg()[0]:.1f}."
    show("Followers", head, rows, note)


async def _measured(running: App, provider: Simulator, load: Load, count: int) -> list[str]:
    """Let so many follow while one answer is written; the cells of its row."""
    floor = await _is_floor(running)
    async with httpx2.AsyncClient(base_url=running.url, timeout=60, trust_env=False) as client:
        if floor:
            path, ask = "/api/runs/relay/events", "/api/runs"
        else:
            begun = await client.post("/api/runs", json={"message": "n=1 rate=0 ttft=0 kind=markdown"})
            conversation = f"/api/conversations/{begun.json()['conversation_id']}"
            path, ask = f"{conversation}/events?after=latest", f"{conversation}/messages"
            await client.get(f"/api/runs/{begun.json()['run_id']}/events")  # to its end
        memory = resident_bytes(running.pid)
        async with _followers(running, path, count) as followers:
            used, began = cpu_seconds(running.pid), time.monotonic()
            started = await client.post(ask, json={"message": load.message})
            assert started.status_code == 201, started.text
            async with asyncio.timeout(load.seconds * 3 + 60):
                await asyncio.gather(*(one.until(load.tokens) for one in followers))
            share = (cpu_seconds(running.pid) - used) / (time.monotonic() - began)
            each = (cpu_seconds(running.pid) - used) / load.tokens / count
            grown = resident_bytes(running.pid) - memory
    emits = await provider.emits(load)
    late = [at - emits[word - 1] for one in followers for word, at in one.arrivals()]
    if len(late) != load.tokens * count:
        raise RuntimeError(f"{len(late):,} of {load.tokens * count:,} words arrived")
    figures = [number(percentile(late, place) * 1000) for place in (0.5, 0.95, 1)]
    return [*figures, number(share * 100), number(each * 1e6), number(grown / count / 1024)]


async def _is_floor(running: App) -> bool:
    async with httpx2.AsyncClient(trust_env=False) as client:
        return (await client.get(running.url)).text == "a relay"


class _Follower(asyncio.Protocol):
    """One socket: what came, and when."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._times: list[float] = []
        self._last = b""
        self._ended = asyncio.get_running_loop().create_future()
        self.answered = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self._times.append(time.time())
        self._pieces.append(data)
        if not self.answered.done():
            self.answered.set_result(data.startswith(b"HTTP/1.1 200 "))
        if self._last and self._last in data and not self._ended.done():
            self._ended.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._ended.done():
            self._ended.set_exception(exc or ConnectionError("the server closed a stream"))

    async def until(self, word: int) -> None:
        """Wait for the last word. Call it before the word comes."""
        self._last = b"w%06d" % word
        await self._ended

    def arrivals(self) -> list[tuple[int, float]]:
        """Each word, and when all of it was there."""
        ends = list(accumulate(map(len, self._pieces)))
        found = _WORD.finditer(b"".join(self._pieces))
        return [(int(word[1]), self._times[bisect_right(ends, word.end() - 1)]) for word in found]


@asynccontextmanager
async def _followers(running: App, path: str, count: int) -> AsyncIterator[list[_Follower]]:
    """So many sockets that follow, each with its response begun."""
    turn, loop = asyncio.Semaphore(AT_ONCE), asyncio.get_running_loop()
    request = f"GET {path} HTTP/1.1\r\nHost: {running.url[7:]}\r\n\r\n".encode()
    transports: list[asyncio.Transport] = []

    async def begin(number: int) -> _Follower:
        # Each from an address of its own, as clients are: what one may read in a second is limited.
        address = f"127.0.{number // 250 + 1}.{number % 250 + 1}"
        async with turn:
            transport, follower = await loop.create_connection(
                _Follower, "127.0.0.1", running.port, local_addr=(address, 0)
            )
            transports.append(transport)
            transport.write(request)
            assert await follower.answered, "a follower was refused"
        return follower

    try:
        yield await asyncio.gather(*(begin(number) for number in range(count)))
    finally:
        for transport in transports:
            transport.abort()
