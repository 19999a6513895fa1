"""What it costs that every write of an answer names its owner: the same writes with and without the check, in turn.

An append in memory has no check: only what goes to Redis and to the database names the owner's epoch. *Without* is the
same code with ids that have no epoch, and with statements that neither compare it nor read back which rows took them.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

from sqlalchemy import bindparam, update

from bench.log import WORD, redis
from bench.tables import number, show, spread
from streamchat.chat.events import TextDelta
from streamchat.chat.messages import Message, TextPart
from streamchat.chat.request import NewRun
from streamchat.chat.writes import Change
from streamchat.identity import LOCAL_OWNER
from streamchat.runs.log import Snapshot
from streamchat.runs.redis.engine import redis_engine
from streamchat.storage import Storage, commands
from streamchat.storage.tables import OPEN, clock

RUNS, TOKENS = 50, 25  # what half a second of fifty answers at 50 tokens/s is
EPOCH = 3


async def run(quick: bool) -> None:
    pairs = 20 if quick else 60
    rows = []
    with redis() as url:
        if url:
            costs = [[await _append(url, epoch) for epoch in (0, EPOCH)] for _ in range(pairs)]
            rows.append(_row("an append until Redis has it, µs of CPU per token", costs))
    rows.append(_row(f"a pass of the writer over {RUNS} answers, µs of CPU per token, SQLite", await _passes(pairs)))
    head = ["", "without", "with", "with/without, median of the pairs"]
    show(f"Fencing: {pairs} pairs", head, rows, "In memory an append names no owner. The order within a pair changes.")


def _row(name: str, pairs: Sequence[Sequence[float]]) -> list[str]:
    without, with_ = zip(*pairs, strict=True)
    ratio = statistics.median(b / a for a, b in pairs)
    return [name, spread(without), spread(with_), number(ratio, 3)]


async def _append(url: str, epoch: int, events: int = 2000) -> float:
    async with redis_engine(url, worker="bench") as engine:
        run_id = uuid4().hex
        engine.log.resume(Snapshot(0, Message(run_id, "assistant", status="streaming")), epoch)
        await engine.log.publisher.sent(20)
        started = time.process_time()
        for _ in range(events):
            engine.log.append(run_id, TextDelta(WORD))
        assert await engine.log.publisher.sent(60)
        return (time.process_time() - started) / events * 1e6


async def _passes(pairs: int) -> list[list[float]]:
    with tempfile.TemporaryDirectory(prefix="streamchat-bench-") as folder:
        store = Storage(f"sqlite:///{Path(folder) / 'chat.db'}")
        await store.open()
        runs = await begun(store)
        costs, seq = [], 0
        for pair in range(pairs):
            taken = [0.0, 0.0]
            for fenced in (False, True) if pair % 2 else (True, False):
                taken[fenced], seq = await write_pass(store, runs, seq, fenced=fenced)
            costs.append(taken)
        await store.close()
    return costs


async def begun(store: Storage) -> list[str]:
    """Begin ``RUNS`` answers. Returns their ids."""
    questions = [NewRun(client_message_id=str(n), model="m:x", parts=[TextPart("hi")]) for n in range(RUNS)]
    return [(await store.begin(LOCAL_OWNER, question, worker="w")).run_id for question in questions]


async def write_pass(store: Storage, runs: Sequence[str], seq: int, *, fenced: bool = True) -> tuple[float, int]:
    """Store ``TOKENS`` tokens more of each. Returns µs of CPU per token, and the seq."""
    after, seq = seq, seq + TOKENS
    events = tuple(TextDelta(WORD) for _ in range(TOKENS))
    changes = [Change(run_id, 0, after, seq, events) for run_id in runs]
    started = time.process_time()  # with the thread of the database
    if fenced:
        written = await store.write(changes)
        assert len(written.seqs) == len(runs)
    else:
        with _unfenced(seq):
            await store.write(changes)
    return (time.process_time() - started) / RUNS / TOKENS * 1e6, seq


@contextmanager
def _unfenced(seq: int) -> Iterator[None]:
    """Have the store write without comparing owners, and without reading back which rows took it."""
    message: Any = commands.message
    columns = {"seq": bindparam("new_seq"), "heartbeat_at": clock(), "updated_at": bindparam("time")}
    conditions = (message.c.id == bindparam("run"), OPEN, message.c.status == "streaming")
    plain = update(message).where(*conditions, message.c.seq == bindparam("up_to")).values(columns)

    async def rows(connection: object, run_ids: Sequence[str]) -> dict[str, Any]:
        taken = SimpleNamespace(seq=seq, epoch=0, status="streaming")
        return dict.fromkeys(run_ids, taken)

    before = commands._ADVANCE, commands._rows
    commands._ADVANCE, commands._rows = plain, rows
    try:
        yield
    finally:
        commands._ADVANCE, commands._rows = before
