"""What reads and endings cost the answers beside them: the lag of their readers, and what ``kill -9`` loses.

Answers of 50 tokens/s, each token the time at which it was made; read in the server's process, as every transport does.
Rules: the server is a process of its own, with the API over uvicorn and SQLite on the disk; the pollers are another
process and ask again as soon as they have the reply. Then the server is killed, and the database is asked for the last
token of each answer.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx2
import uvicorn
from starlette.responses import PlainTextResponse

from bench.concurrency import MODEL, WIDTH, Delays, Paced
from bench.tables import median, number, percentile, show, spread
from streamchat.chat.events import TextDelta
from streamchat.chat.messages import TextPart
from streamchat.chat.request import NewRun
from streamchat.identity import LOCAL_OWNER
from streamchat.providers.base import ModelInfo
from streamchat.providers.catalog import Source
from streamchat.runs.reader import RunReader
from streamchat.settings import Settings
from streamchat.storage import Storage
from streamchat.web.app import guard, mount
from streamchat.wiring import ServiceHolder, Services, running_services

POLLERS = 40
LENGTH = 60.0
# name: answers that go on, answers that end within ENDING_SECONDS of each other, pollers
QUIET = "50 answers"
CASES = {
    QUIET: (50, 0, 0),
    f"50 answers, {POLLERS} pollers": (50, 0, POLLERS),
    "50 answers, beside which 100 end": (50, 100, 0),
    "50 answers, beside which 200 end": (50, 200, 0),
}
ENDING_SECONDS = 2.0
# What is not counted at the beginning: a client that polls may read 60 times at once, once.
SETTLING_SECONDS = 6.0


async def run(quick: bool) -> None:
    seconds, rounds = (16.0, 3) if quick else (26.0, 5)
    measured: dict[str, list[_Measured]] = {name: [] for name in CASES}
    for _ in range(rounds):  # each round has its own quiet one beside the others: the machine may be busy in turns
        for name, case in CASES.items():
            measured[name].append(await _case(*case, seconds))
    rows = []
    for name, cases in measured.items():
        p50, p95 = ([percentile(case.lags, share) * 1000 for case in cases] for share in (0.5, 0.95))
        ratio = median(case.p95 / quiet.p95 for case, quiet in zip(cases, measured[QUIET], strict=True))
        lost = max(max(case.lost) for case in cases)
        polls = sum(case.polls for case in cases) / rounds / seconds
        rows.append([name, spread(p50, 1), spread(p95, 1), number(ratio), number(lost, 2), number(polls)])
    head = ["", "lag p50 ms", "p95 ms", "p95 / quiet", "lost at kill -9: worst s", "polls/s"]
    notes = (
        f"{rounds} rounds of {seconds:g} s, the first {SETTLING_SECONDS:g} not counted; p95 / quiet: the median over "
        f"the rounds. Load at the end: {os.getloadavg()[0]:.1f}.",
        "lost: the age of the last stored token when the server was killed.",
    )
    show("Polling and endings beside answers", head, rows, *notes)


@dataclass(frozen=True, slots=True)
class _Measured:
    """``lags`` and ``lost``: seconds. ``polls``: answered ones."""

    lags: list[float]
    lost: list[float]
    polls: int

    @property
    def p95(self) -> float:
        return percentile(self.lags, 0.95)


async def _case(going: int, ending: int, pollers: int, seconds: float) -> _Measured:
    with tempfile.TemporaryDirectory() as data:
        server = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.polling", data, str(going), str(ending), str(seconds)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1 << 26,  # of a line: all lags
        )
        assert server.stdout
        assert server.stdin
        ready = json.loads(await server.stdout.readline())
        await _read_once(ready["port"], ready["conversations"])
        server.stdin.write(b"go\n")
        polling = [asyncio.create_task(_poll(ready["port"], ready["conversations"], n)) for n in range(pollers)]
        lags = json.loads(await server.stdout.readline())["lags"]
        server.kill()
        killed = time.monotonic()
        await server.wait()
        for task in polling:
            task.cancel()
        polls = sum(n for n in await asyncio.gather(*polling, return_exceptions=True) if isinstance(n, int))
        store = Storage(Settings.model_validate({"STREAMCHAT_DATA_DIR": data}).database)
        await store.open()
        lost = [
            killed - float((await store.answer(LOCAL_OWNER, run_id)).message.text[-WIDTH:]) for run_id in ready["runs"]
        ]
        await store.close()
    return _Measured(lags, lost, polls)


async def _read_once(port: int, conversations: list[str]) -> None:
    """Have the server do for the first time what it does once: imports, and the compilation of its statements."""
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        for conversation_id in conversations[:3]:
            await client.get(f"/api/conversations/{conversation_id}")


async def _poll(port: int, conversations: list[str], number: int) -> int:
    taken = 0
    with suppress(asyncio.CancelledError, httpx2.HTTPError):
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            while True:
                answer = await client.get(f"/api/conversations/{conversations[number % len(conversations)]}")
                taken += answer.status_code == 200
    return taken


async def serve(data: str, going: int, ending: int, seconds: float) -> None:
    """The server: prints its port and runs, and when it is time to be killed its lags."""
    settings = Settings.model_validate({"STREAMCHAT_DATA_DIR": data, "STREAMCHAT_MODELS": MODEL})
    async with running_services(settings) as services:
        long, short = Paced(int(LENGTH * 50)), Paced(int((seconds - ENDING_SECONDS) * 50))
        models = [Source("paced", long, [ModelInfo(MODEL, "w")]), Source("short", short, [ModelInfo("short:w", "w")])]
        services.models.sources = [*services.models.sources, *models]
        holder = ServiceHolder(services)
        app = guard(mount(PlainTextResponse(""), holder), holder)
        config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", access_log=False, lifespan="off")
        server = uvicorn.Server(config)
        running = [asyncio.create_task(server.serve())]
        while not server.started:  # noqa: ASYNC110 uvicorn has no event for it
            await asyncio.sleep(0.01)
        gc.freeze()  # as the program does when it serves
        delays = Delays()
        begun = [await _begin(services, MODEL, n, going) for n in range(going)]
        others = [await _begin(services, "short:w", n, ending, ENDING_SECONDS) for n in range(ending)]
        running += [asyncio.create_task(_read(services, run_id, delays)) for run_id, _ in begun]
        running += [asyncio.create_task(_read(services, run_id, Delays())) for run_id, _ in others]
        port = server.servers[0].sockets[0].getsockname()[1]
        ready = {"port": port, "runs": [run for run, _ in begun], "conversations": [c for _, c in begun]}
        print(json.dumps(ready), flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        long.go.set()
        short.go.set()
        await asyncio.sleep(min(SETTLING_SECONDS, seconds / 2))
        delays.seconds.clear()
        await asyncio.sleep(seconds - min(SETTLING_SECONDS, seconds / 2))
        # To a pipe at once: what is not read yet would keep the process from being killed in the middle.
        os.write(1, (json.dumps({"lags": [round(lag, 5) for lag in delays.seconds]}) + "\n").encode())
        await asyncio.sleep(10)  # until it is killed
        os._exit(1)


async def _begin(services: Services, model: str, number: int, of: int, spread: float = 0.02) -> tuple[str, str]:
    offset = TextPart(str(number / of * spread))
    new = NewRun(client_message_id=f"{model} {number}", parts=(offset,), model=model)
    begun = await services.runs.start(LOCAL_OWNER, new)
    return begun.run_id, begun.conversation_id


async def _read(services: Services, run_id: str, delays: Delays) -> None:
    async for batch in RunReader(services.runs, LOCAL_OWNER, run_id).batches():
        for entry in batch if isinstance(batch, list) else ():
            if isinstance(entry.event, TextDelta):
                delays.read(entry.event.text)


if __name__ == "__main__":
    data, *counts = sys.argv[1:]
    assert Path(data).is_dir()
    asyncio.run(serve(data, int(counts[0]), int(counts[1]), float(counts[2])))
