"""What people cost: identity and ownership of a request, a login, and what one person's flood does to another's stream.

The flood is measured in pairs: the same stream, quiet and beside the flood, in turn.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import LiteralString

import httpx2
import psycopg

from bench.app import App, app
from bench.load import simulator
from bench.measure import timed
from bench.tables import number, percentile, show
from devservers import postgres
from streamchat.accounts.passwords import Passwords
from streamchat.accounts.service import Client
from streamchat.accounts.sessions import COOKIE
from streamchat.chat.messages import TextPart
from streamchat.chat.request import NewRun
from streamchat.identity import Credentials
from streamchat.runs.notifications import MemoryFeed
from streamchat.settings import Settings
from streamchat.storage import Storage
from streamchat.wiring.build_accounts import build_accounts

_BY_THE_DRIVER = """SELECT m.conversation_id FROM message m JOIN conversation c ON c.id = m.conversation_id
WHERE m.id = %s AND m.role = 'assistant' AND c.owner = %s AND c.deleted_at IS NULL"""
PASSWORD = "correct horse battery"
RATE = 50
# Starts of the flood that are under way at the same time.
FLOOD = 10


async def run(quick: bool) -> None:
    await _identity(200 if quick else 2000)
    await _flood(2 if quick else 5, 100 if quick else 250)


async def _identity(times: int) -> None:
    with tempfile.TemporaryDirectory(prefix="streamchat-bench-") as folder:
        store = Storage(f"sqlite:///{Path(folder) / 'chat.db'}")
        await store.open()
        settings = Settings.model_validate({"STREAMCHAT_ACCOUNTS": "open"})
        accounts = build_accounts(settings, store, MemoryFeed())
        assert accounts is not None
        account = await accounts.sign_up("anna", PASSWORD, None, Client())
        token = await accounts.open_session(account, "password", Client())
        shown = Credentials({}, {COOKIE: token}, "127.0.0.1")
        run_id = (await store.begin(account.id, _question(), worker="w")).run_id
        stored, passwords = (await store.accounts.by_id(account.id)).password_hash, Passwords()
        rows = [
            ["identity of a request, known", *await _timed(lambda: accounts.sessions.identify(shown), times)],
            [
                "ownership of an answer of another process, SQLite",
                *await _timed(lambda: store.conversation_of(account.id, run_id), times),
            ],
            ["the answer itself, SQLite", *await _timed(lambda: store.answer(account.id, run_id), times)],
            [
                "login: CPU of the password",
                *await _cpu(lambda: passwords.check(stored, PASSWORD), max(5, times // 100)),
            ],
        ]
        await accounts.close()
        await store.close()
    if postgres.why_not() is None:
        rows += await _ownership_in_postgres(times)
    show(
        "Who somebody is", ["", "p50 ms", "p95 ms"], rows, "To reach: 0.2 ms for a request, 300 ms of CPU for a login."
    )


async def _ownership_in_postgres(times: int) -> list[list[str]]:
    server = postgres.PostgresServer()
    server.start()
    try:
        url = server.new_database()
        store = Storage(url)
        await store.open()
        run_id = (await store.begin("anna", _question(), worker="w")).run_id
        rows = [
            ["ownership, PostgreSQL", *await _timed(lambda: store.conversation_of("anna", run_id), times)],
            [
                "its baseline: the same statement by the driver",
                *await _floor(url, _BY_THE_DRIVER, (run_id, "anna"), times),
            ],
            ["the least there: SELECT 1 by the driver", *await _floor(url, "SELECT 1", (), times)],
            ["the answer itself, PostgreSQL", *await _timed(lambda: store.answer("anna", run_id), times)],
        ]
        await store.close()
    finally:
        server.remove()
    return rows


async def _floor(url: str, statement: LiteralString, values: tuple[str, ...], times: int) -> list[str]:
    # Not prepared, as here: prepared statements break behind a pooler in transaction mode.
    async with await psycopg.AsyncConnection.connect(url, autocommit=True, prepare_threshold=None) as connection:
        return await _timed(lambda: connection.execute(statement, values), times)


def _question() -> NewRun:
    return NewRun(client_message_id="a", model="m:x", parts=[TextPart("hi")])


async def _timed(work: Callable[[], Awaitable[object]], times: int) -> list[str]:
    taken = await timed(work, times)
    return [number(percentile(taken, share), 4) for share in (0.5, 0.95)]


async def _cpu(work: Callable[[], Awaitable[object]], times: int) -> list[str]:
    await work()
    taken = []
    for _ in range(times):
        began = time.process_time()
        await work()
        taken.append((time.process_time() - began) * 1000)
    return [number(percentile(taken, share), 0) for share in (0.5, 0.95)]


async def _flood(rounds: int, words: int) -> None:
    settings = {"STREAMCHAT_ACCOUNTS": "open", "STREAMCHAT_MAX_ANSWERS": "20"}
    late: dict[str, list[float]] = {"quiet": [], "beside the flood": []}
    firsts: dict[str, list[float]] = {"quiet": [], "beside the flood": []}
    started = 0
    async with simulator() as provider, app(provider, settings=settings) as running:
        async with person(running, "anna") as anna, person(running, "bert") as bert:
            for _ in range(rounds):
                for case in late:
                    flood = asyncio.create_task(_starts(bert)) if case != "quiet" else None
                    await asyncio.sleep(1)
                    first, lateness = await _stream(anna, words)
                    firsts[case].append(first)
                    late[case] += lateness
                    if flood is not None:
                        flood.cancel()
                        with suppress(asyncio.CancelledError):
                            await flood
                        started += await _stop_all(bert)
    rows = [
        [
            case,
            *(number(percentile(late[case], share)) for share in (0.5, 0.95, 1)),
            number(percentile(firsts[case], 0.5)),
        ]
        for case in late
    ]
    note = f"{rounds} pairs of {words} words at {RATE}/s; 20 answers at once; the flood began {started} answers."
    head = ["a stream of another person", "late p50 ms", "p95 ms", "max ms", "first word ms"]
    show("One person's flood beside another's stream", head, rows, note)


@asynccontextmanager
async def person(running: App, name: str) -> AsyncIterator[httpx2.AsyncClient]:
    """A browser of somebody who just signed up."""
    async with httpx2.AsyncClient(base_url=running.url, timeout=60, trust_env=False) as client:
        answer = await client.post("/sign-up", data={"name": name, "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        yield client


async def _stream(person: httpx2.AsyncClient, words: int) -> tuple[float, list[float]]:
    """One answer: ms until its first word, and how late each word came after the pace that the first one began."""
    asked = time.perf_counter()
    body = {"message": f"n={words} rate={RATE} ttft=0 kind=numbered"}
    run_id = (await person.post("/api/runs", json=body)).json()["run_id"]
    arrivals: list[float] = []
    async with person.stream("GET", f"/api/runs/{run_id}/events") as answer:
        async for line in answer.aiter_lines():
            if line == "event: text-delta":
                arrivals.append(time.perf_counter())
    gaps = [(later - earlier - 1 / RATE) * 1000 for earlier, later in zip(arrivals, arrivals[1:], strict=False)]
    return (arrivals[0] - asked) * 1000, [max(0.0, gap) for gap in gaps]


async def _starts(person: httpx2.AsyncClient) -> None:
    """Start answers for ever, ``FLOOD`` requests at a time; beyond a limit, again after a moment."""

    async def one() -> None:
        while True:
            answer = await person.post("/api/runs", json={"message": f"n=400 rate={RATE} kind=numbered"})
            if answer.status_code != 201:
                await asyncio.sleep(0.2)

    await asyncio.gather(*(one() for _ in range(FLOOD)))


async def _stop_all(person: httpx2.AsyncClient) -> int:
    """Delete everything of the flood. Returns how many answers it began."""
    count = 0
    while rows := (await person.get("/api/conversations?limit=100")).json()["conversations"]:
        for row in rows:
            await person.delete(f"/api/conversations/{row['id']}")
        count += len(rows)
    return count
