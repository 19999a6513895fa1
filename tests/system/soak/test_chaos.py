"""Two workers, and everything that can go away does, while answers are written: no answer notices.

Workers are killed, frozen, stopped in order and started with another clock; Redis and PostgreSQL are restarted: one
after the other, at random. Seeded: ``SOAK_SEED=…`` plays the same again; ``SOAK_SECONDS=180`` plays longer
(``make soak``).
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from devservers.app import Served
from devservers.cluster import Machine, why_not
from streamchat.chat.events import ENDINGS
from streamchat.chat.messages import Message, ToolCallPart
from streamchat.client import AsyncClient
from streamchat.client.async_client import AsyncRun
from streamchat.client.run_state import Snapshot
from streamchat.errors import InvalidInput, StreamchatError
from streamchat.storage import Storage
from tests.support.simulated import Simulated
from tests.system.soak import LONG

SEED = int(os.environ.get("SOAK_SEED", "20261129"))
SECONDS = float(os.environ.get("SOAK_SECONDS", "30"))
# As many a second as 200 in three minutes.
ANSWERS = max(40, round(SECONDS * 200 / 180))
AT_ONCE = 12
# A word costs CPU in each process that it passes; an answer of few words lasts as long.
WORDS, RATE = ((40, 200), (15, 40)) if LONG else ((10, 50), (4, 10))
# A worker that stands still for so long is taken for dead by the other one.
FROZEN_SECONDS = 12.0
# For one answer, whatever happens meanwhile.
PATIENCE = 150.0
FAKETIME = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)


@dataclass
class Chaos:
    """What goes wrong, one thing at a time, so that one worker is always there."""

    machine: Machine
    chance: random.Random
    diary: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    _began: float = field(default_factory=time.monotonic)

    def play(self, until: float) -> None:
        """Until that moment of ``time.monotonic()``. Every kind happens before one happens again."""
        kinds = ["kill", "freeze", "terminate", "redis", "postgres"]
        # A worker with another clock is a program that has to start, for 5 s of CPU: in the short version
        # ``test_takeover.py::test_a_clock_that_is_wrong`` has it.
        if LONG and FAKETIME:
            kinds.append("clock")
        waiting: list[str] = []
        while time.monotonic() < until:
            if not waiting:
                waiting = self.chance.sample(kinds, len(kinds))
            kind = waiting.pop()
            worker = self.chance.choice((self.machine.one, self.machine.two))
            self.diary.append(f"{time.monotonic() - self._began:6.1f} {kind} {worker.port}")
            self.counts[kind] += 1
            getattr(self, f"_{kind}")(worker)
            self.diary.append(f"{time.monotonic() - self._began:6.1f} over")
            time.sleep(self.chance.uniform(0.5, 3))

    def _kill(self, worker: Served) -> None:
        worker.kill()
        time.sleep(self.chance.uniform(0, 2))
        worker.start()

    def _freeze(self, worker: Served) -> None:
        os.kill(worker.pid, signal.SIGSTOP)
        time.sleep(FROZEN_SECONDS)
        os.kill(worker.pid, signal.SIGCONT)

    def _terminate(self, worker: Served) -> None:
        worker.stop()
        worker.start()

    def _clock(self, worker: Served) -> None:
        """From now on it lives an hour ahead or behind."""
        worker.stop()
        plain = dict(worker.settings)
        worker.settings |= {
            "LD_PRELOAD": str(FAKETIME),
            "FAKETIME": self.chance.choice(("+1h", "-1h")),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        worker.start()
        worker.settings.clear()
        worker.settings |= plain

    def _redis(self, _worker: Served) -> None:
        self.machine.redis.stop()
        time.sleep(self.chance.uniform(0, 2))
        self.machine.redis.start()

    def _postgres(self, _worker: Served) -> None:
        self.machine.postgres.stop()
        self.machine.postgres.start()


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    return tmp_path / "notes"


@pytest.fixture
def machine(built: None, simulated: Simulated, notes: Path) -> Iterator[Machine]:
    if reason := why_not():
        pytest.skip(reason)
    settings = simulated.settings | {
        "STREAMCHAT_MODELS": "openai:tour,openai:tools",
        "STREAMCHAT_TOOLS": "tests.system.soak.noting_tool",
        "STREAMCHAT_CONTINUE": "10",
        "NOTES": str(notes),
    }
    started = Machine(settings)
    try:
        yield started.start()
    finally:
        started.remove()


@dataclass(frozen=True)
class Answer:
    """One answer as its reader saw it. ``endings``: how many events ended it."""

    run_id: str
    words: int
    has_tool: bool
    message: Message
    endings: int


class Reader:
    """Asks and reads through the proxy, with the client that is shipped."""

    def __init__(self, client: AsyncClient, chance: random.Random) -> None:
        self._client = client
        self._chance = chance
        self.answers: list[Answer] = []
        self.denied = 0

    async def read(self, number: int) -> None:
        """Read one answer from its question to its end."""
        has_tool, words = self._chance.random() < 0.5, self._chance.randint(*WORDS)
        rate = self._chance.randint(*RATE)
        text = f"q{number} n={words} rate={rate} kind=numbered"
        model = "openai:tour"
        if has_tool:
            text, model = f"{text} tools=note_down calls=1", "openai:tools"
        run = await self._client.start(text, model=model, client_message_id=f"chaos-{number}")
        async with asyncio.timeout(PATIENCE):
            endings = await self._to_the_end(run)
        self.answers.append(Answer(run.id, words, has_tool, run.message, endings))

    async def _to_the_end(self, run: AsyncRun) -> int:
        """Return how many events ended it. Between two snapshots the numbers have no gap."""
        before, endings = 0, 0
        async for entry in run.entries():
            assert isinstance(entry.event, Snapshot) or entry.seq == before + 1, (before, entry)
            before = entry.seq
            endings += isinstance(entry.event, ENDINGS)
            if run.message.status == "waiting":
                await self._decide(run)
        return max(endings, int(run.message.ended))

    async def _decide(self, run: AsyncRun) -> None:
        """Deny what may have run already when its worker went: a person would look first."""
        for part in run.message.parts:
            while isinstance(part, ToolCallPart) and part.state in ("unknown", "awaiting-approval"):
                try:
                    await self._client.decide(run.id, part.id, approve=False)
                    self.denied += 1
                    break
                except InvalidInput:
                    break  # the first try had arrived
                except StreamchatError:
                    await asyncio.sleep(0.5)


@contextmanager
def explained(chaos: Chaos) -> Iterator[None]:
    """What somebody needs who wants to see it again."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"SOAK_SEED={SEED} SOAK_SECONDS={SECONDS:g}")
        error.add_note("\n".join(chaos.diary))
        for worker in (chaos.machine.one, chaos.machine.two):
            error.add_note(f"the log of {worker.port} ends with:\n{worker.log[-3000:]}")
        raise


@pytest.mark.timeout(SECONDS * 2 + 420)
async def test_whatever_goes_away(machine: Machine, notes: Path, capsys: pytest.CaptureFixture[str]):
    """Every answer is whole, ended once, the same in the log and in the database; no tool ran twice."""
    chance = random.Random(SEED)
    chaos = Chaos(machine, random.Random(f"{SEED} chaos"))
    until = time.monotonic() + SECONDS
    with explained(chaos):
        playing = asyncio.create_task(asyncio.to_thread(chaos.play, until))
        async with AsyncClient(machine.url, patience=PATIENCE) as client:
            reader = Reader(client, chance)
            gate = asyncio.Semaphore(AT_ONCE)

            async def one(number: int) -> None:
                async with gate:
                    await reader.read(number)

            async with asyncio.TaskGroup() as group:
                for number in range(ANSWERS):
                    group.create_task(one(number))
            await playing
            ran = Counter(await asyncio.to_thread(lambda: notes.read_text().split() if notes.exists() else []))
            assert [conversation for conversation, times in ran.items() if times > 1] == [], "a tool ran twice"
            await check(machine, reader.answers)
    with capsys.disabled():
        sys.stdout.write(f"\n{ANSWERS} answers, {dict(chaos.counts)}, {reader.denied} calls may have run\n")


async def check(machine: Machine, answers: list[Answer]) -> None:
    """What readers saw and what is stored are one; nothing is missing, nothing is left."""
    storage = Storage(machine.database)
    await storage.open()
    try:
        for answer in answers:
            assert (answer.message.status, answer.endings) == ("finished", 1), (answer.message.error, answer)
            stored = (await storage.answer("local", answer.run_id)).message
            assert (stored.status, stored.text) == (answer.message.status, answer.message.text)
            if not answer.has_tool:
                assert answer.message.text.split() == [f"w{n:06}" for n in range(1, answer.words + 1)], answer
        assert await storage.answering("local") == []
    finally:
        await storage.close()
    assert len({answer.run_id for answer in answers}) == len(answers) == ANSWERS
