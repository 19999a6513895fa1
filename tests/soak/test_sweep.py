"""The sweep ends answers whose process is gone, and no other, however slow the database is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from pathlib import Path

import pytest

from streamchat.chat.messages import TextPart
from streamchat.runs.feed import MemoryFeed
from streamchat.runs.log import MemoryLog
from streamchat.runs.runs import Runs
from streamchat.runs.writer import Writer
from streamchat.settings import Settings
from streamchat.storage import Storage
from streamchat.wiring import LOCAL_OWNER, recovery
from streamchat.wiring.models import build_catalog, build_policy
from tests.soak.reader import of

STALE = timedelta(seconds=0.1)


class Busy(Storage):
    """A database in which whoever says that they live waits for others."""

    async def beat(self, run_ids: Iterable[str]) -> None:
        await asyncio.sleep(STALE.total_seconds() * 4)
        await super().beat(run_ids)


@pytest.fixture
async def runs(tmp_path: Path) -> AsyncIterator[Runs]:
    """Without the writer's heartbeat: a process that is as busy as its database."""
    settings = Settings.model_validate({"STREAMCHAT_DATA_DIR": tmp_path})
    store, models, log = Busy(settings.database), build_catalog(settings), MemoryLog()
    await store.open()
    made = Runs(
        log=log,
        feed=MemoryFeed(),
        store=store,
        models=models,
        writer=Writer(log, store),
        policy=build_policy(settings, models),
        worker="this",
    )
    yield made
    await made.close()
    await models.close()
    await store.close()


async def begin(runs: Runs, name: str) -> str:
    begun = await runs.start(
        LOCAL_OWNER,
        conversation_id=None,
        client_message_id=name,
        parts=(TextPart(of(1000, 10)),),
        model="simulator:tour",
    )
    return begun.run_id


async def test_what_begins_during_a_sweep_is_not_swept(runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An answer begun while the others' heartbeat waits for the database is as alive as they are."""
    monkeypatch.setattr(recovery, "HEARTBEAT_STALE", STALE)
    store = Busy(Settings.model_validate({"STREAMCHAT_DATA_DIR": tmp_path}).database)
    await store.open()
    sweep = recovery.Recovery(LOCAL_OWNER, store, runs, MemoryFeed())
    first = await begin(runs, "first")
    looking = asyncio.create_task(sweep.look())
    await asyncio.sleep(STALE.total_seconds() / 2)
    second = await begin(runs, "second")
    await looking
    for run_id in (first, second):
        assert (await store.answer(LOCAL_OWNER, run_id)).message.status == "streaming"
    await store.close()


async def test_what_nobody_writes_is_swept(runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An answer that is written by no task is ended as interrupted, in the same look."""
    monkeypatch.setattr(recovery, "HEARTBEAT_STALE", STALE)
    store = Storage(Settings.model_validate({"STREAMCHAT_DATA_DIR": tmp_path}).database)
    await store.open()
    lost = await store.begin(
        LOCAL_OWNER,
        conversation_id=None,
        client_message_id="lost",
        parts=[TextPart("a question")],
        model="simulator:tour",
        worker="gone",
    )
    alive = await begin(runs, "alive")
    await asyncio.sleep(STALE.total_seconds() * 2)
    await recovery.Recovery(LOCAL_OWNER, store, runs, MemoryFeed()).look()
    assert (await store.answer(LOCAL_OWNER, lost.run_id)).message.status == "interrupted"
    assert (await store.answer(LOCAL_OWNER, alive)).message.status == "streaming"
    await store.close()
