"""How long an answer stands still when its worker goes: from the signal to the first event that the next worker adds.

Two workers on one Redis and one SQLite, and a reader on the one that stays. The floor of a death is how long a worker
may be silent before it is taken for dead (``liveness.STALE_SECONDS``); SIGTERM has none.
"""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

import httpx2

from bench.app import app
from bench.load import Simulator, simulator
from bench.log import redis
from bench.tables import number, percentile, show
from streamchat.liveness import STALE_SECONDS

LIMITS = {"SIGKILL": 8.0, "SIGTERM": 1.0}


async def run(quick: bool) -> None:
    times = 3 if quick else 10
    rows = []
    with redis() as url:
        if url is None:
            return
        async with simulator() as provider:
            for name, limit in LIMITS.items():
                taken = [await _taken_over(provider, url, signal.Signals[name]) for _ in range(times)]
                figures = (number(percentile(taken, share), 2) for share in (0.5, 0.95, 1))
                rows.append([name, *figures, number(limit, 0)])
    load = os.getloadavg()[0]
    note = f"{times} times each. Dead is who was silent for {STALE_SECONDS:g} s. Load at the end: {load:.1f}."
    show("Until another worker goes on with an answer", ["", "p50 s", "p95 s", "max s", "target"], rows, note)


async def _taken_over(provider: Simulator, url: str, how: signal.Signals) -> float:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="streamchat-bench-")))
        shared = {"STREAMCHAT_REDIS_URL": url, "STREAMCHAT_DATABASE_URL": f"sqlite:///{folder / 'chat.db'}"}
        one, two = [await stack.enter_async_context(app(provider, settings=shared)) for _ in range(2)]
        async with httpx2.AsyncClient(timeout=60, trust_env=False) as client:
            body = {"message": "kind=numbered n=5000 rate=30 ttft=0"}
            started = await client.post(f"{one.url}/api/runs", json=body)
            run_id = started.json()["run_id"]
            async with client.stream("GET", f"{two.url}/api/runs/{run_id}/events") as answer:
                signalled = 0.0
                deltas = 0
                async with asyncio.timeout(60):
                    async for line in answer.aiter_lines():
                        deltas += line == "event: text-delta"
                        if deltas == 60 and not signalled:
                            os.kill(one.pid, how)
                            signalled = time.monotonic()
                        if line == "event: notice" and signalled:  # the seam
                            return time.monotonic() - signalled
    raise RuntimeError("nobody took the answer over")
