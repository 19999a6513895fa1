"""What a worker pays for what only waits: open tabs of signed-in people, readers of a silent answer, suspended answers.

Each kind has a worker of its own, whose CPU is measured first with none of them and then with all. Memory is the growth
of the process. Nothing is asked meanwhile; what remains is what keeps connections open: pings of the page's socket and
comments of Server-Sent Events.
"""

from __future__ import annotations

import asyncio
import os
import resource
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TypeAlias

import httpx2
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Origin

from bench.app import App, app
from bench.load import Simulator, simulator
from bench.measure import cpu_seconds, resident_bytes
from bench.people import person
from bench.tables import number, show
from devservers import page_socket
from devservers.page_socket import EVENT, PING, PONG
from streamchat.accounts.sessions import COOKIE

COUNT = 1000
# Begun at the same time.
AT_ONCE = 20
SETTINGS = {
    "STREAMCHAT_ACCOUNTS": "open",
    "STREAMCHAT_TOOLS": "bench.asking",
    "STREAMCHAT_FIRST_TOKEN_TIMEOUT": "3600",
    # They all come from one address and one person here.
    **{
        f"STREAMCHAT_{what}_PER_{whose}": "100000"
        for what in ("STREAMS", "RUNS", "STARTS", "EVENTS", "HANDLERS")
        for whose in ("CLIENT", "OWNER")
    },
    "STREAMCHAT_SOCKETS_PER_CLIENT": "100000",
}


Kind: TypeAlias = Callable[[App, httpx2.AsyncClient], AbstractAsyncContextManager[None]]


async def run(quick: bool) -> None:
    seconds = 15 if quick else 60
    files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(files[0], min(files[1], 4 * COUNT)), files[1]))
    rows = []
    async with simulator() as provider:
        for name, kind in {
            "signed-in tabs": _tabs,
            "readers of a silent answer": _readers,
            "waiting answers": _waiting,
        }.items():
            rows.append([f"{COUNT:,} {name}", *await _cost(provider, kind, seconds)])
    head = ["", "KB each", "MB in all", "CPU with none, % of a core", "with all", "µs/s of CPU each"]
    note = f"CPU: over {seconds} s. Load at the end: {os.getloadavg()[0]:.1f}."
    show("What only waits, on one worker", head, rows, note)


async def _cost(provider: Simulator, kind: Kind, seconds: float) -> list[str]:
    async with app(provider, settings=SETTINGS) as running, person(running, "anna") as anna:
        warm = await anna.post("/api/runs", json={"message": "n=5 rate=0"})
        assert warm.status_code == 201, warm.text
        await asyncio.sleep(3)
        quiet, memory = await _share(running, seconds), resident_bytes(running.pid)
        async with kind(running, anna):
            await asyncio.sleep(5)
            grown = resident_bytes(running.pid) - memory
            busy = await _share(running, seconds)
    each = (busy - quiet) / COUNT * 1e6
    return [
        number(grown / COUNT / 1024),
        number(grown / 2**20),
        *(number(s * 100) for s in (quiet, busy)),
        number(each, 0),
    ]


async def _share(running: App, seconds: float) -> float:
    """The CPU seconds of the worker per second."""
    used = cpu_seconds(running.pid)
    await asyncio.sleep(seconds)
    return (cpu_seconds(running.pid) - used) / seconds


@asynccontextmanager
async def _tabs(running: App, anna: httpx2.AsyncClient) -> AsyncIterator[None]:
    """Tabs that show a new chat."""
    headers = {"Cookie": f"{COOKIE}={anna.cookies.get(COOKIE)}"}
    turn = asyncio.Semaphore(AT_ONCE)

    async def open_tab() -> None:
        address = page_socket.address(running.url, str(uuid.uuid4()))
        async with turn:
            socket = await connect(
                address, origin=Origin(running.url), additional_headers=headers, max_size=None, open_timeout=60
            )
            stack.push_async_callback(socket.close)
            await socket.recv()
            await socket.send(page_socket.hello("/"))
            await _until_open(socket)
        answering.append(asyncio.create_task(_answer_pings(socket)))

    answering: list[asyncio.Task[None]] = []
    async with AsyncExitStack() as stack:
        await asyncio.gather(*(open_tab() for _ in range(COUNT)))
        yield
        assert not any(task.done() for task in answering), "the server closed a socket"
        for task in answering:
            task.cancel()


async def _until_open(socket: ClientConnection) -> None:
    async for data in socket:
        text = str(data)
        if text == PING:
            await socket.send(PONG)
        elif text.startswith(EVENT) and (page_socket.frame_of(page_socket.parsed(text)[1]) or {}).get("k") == "open":
            return
    raise RuntimeError("the server closed the socket")


async def _answer_pings(socket: ClientConnection) -> None:
    async for data in socket:
        if data == PING:
            await socket.send(PONG)


@asynccontextmanager
async def _readers(running: App, anna: httpx2.AsyncClient) -> AsyncIterator[None]:
    """Readers of an answer that says nothing."""
    started = await anna.post("/api/runs", json={"message": "n=5 ttft=3600000"})
    path = f"/api/runs/{started.json()['run_id']}/events"
    turn = asyncio.Semaphore(AT_ONCE)
    request = f"GET {path} HTTP/1.1\r\nHost: {running.url[7:]}\r\nCookie: {COOKIE}={anna.cookies.get(COOKIE)}\r\n\r\n"

    async def begin() -> None:
        async with turn:
            reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
            writer.write(request.encode())
            assert b" 200 " in await reader.readline()
        writers.append(writer)
        reading.append(asyncio.create_task(_drain(reader)))

    writers: list[asyncio.StreamWriter] = []
    reading: list[asyncio.Task[None]] = []
    await asyncio.gather(*(begin() for _ in range(COUNT)))
    yield
    assert not any(task.done() for task in reading), "the server closed a stream"
    for task in reading:
        task.cancel()
    for writer in writers:
        writer.close()


async def _drain(reader: asyncio.StreamReader) -> None:
    while await reader.read(65536):
        pass


@asynccontextmanager
async def _waiting(running: App, anna: httpx2.AsyncClient) -> AsyncIterator[None]:
    """Answers that wait for an approval of a tool call."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def begin() -> None:
        async with turn:
            started = await anna.post("/api/runs", json={"message": "calls=1 tools=send ttft=0 rate=0"})
            async with anna.stream("GET", f"/api/runs/{started.json()['run_id']}/events") as answer:
                async for line in answer.aiter_lines():
                    if line == "event: waiting":
                        return
        raise RuntimeError("an answer did not wait")

    await asyncio.gather(*(begin() for _ in range(COUNT)))
    yield


KINDS: dict[str, Kind] = {
    "signed-in tabs": _tabs,
    "readers of a silent answer": _readers,
    "waiting answers": _waiting,
}
