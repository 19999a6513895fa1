"""The sweep ends answers whose process is gone, and no other, however slow the database is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from streamchat.chat.messages import TextPart
from streamchat.chat.request import NewRun
from streamchat.identity import LOCAL_OWNER
from streamchat.runs import persistence
from streamchat.runs.log import MemoryLog
from streamchat.runs.notifications import MemoryFeed
from streamchat.runs.persistence import Writer
from streamchat.runs.service import RunService
from streamchat.settings import Settings
from streamchat.storage import Storage
from streamchat.storage.records import StaleRun
from streamchat.wiring import recovery
from streamchat.wiring.build_models import build_catalog, build_policy
from tests.support.reader import of
from tests.system.soak.test_trouble import locked

STALE = 0.1


class Busy(Storage):
    """A database in which the question who is silent takes long."""

    async def stale(self, seconds: float) -> list[StaleRun]:
        await asyncio.sleep(STALE * 4)
        return await super().stale(seconds)


@pytest.fixture
async def runs(tmp_path: Path) -> AsyncIterator[RunService]:
    """Without the writer's heartbeat: a process that is as busy as its database."""
    settings = Settings.model_validate({"STREAMCHAT_DATA_DIR": tmp_path})
    store, models, log = Busy(settings.database), build_catalog(settings), MemoryLog()
    await store.open()
    made = RunService(
        log=log,
        feed=MemoryFeed(),
        store=store,
        models=models,
        writer=Writer(log, store),
        policy=build_policy(settings),
        worker="this",
    )
    yield made
    await made.close()
    await models.close()
    await store.close()


async def begin(runs: RunService, name: str, text: str = of(1000, 10)) -> str:
    begun = await runs.start(
        LOCAL_OWNER, NewRun(client_message_id=name, parts=(TextPart(text),), model="simulator:tour")
    )
    return begun.run_id


async def test_what_begins_during_a_sweep_is_not_swept(runs: RunService, tmp_path: Path):
    """An answer begun while the sweep waits for the database is as alive as they are."""
    store = Busy(Settings.model_validate({"STREAMCHAT_DATA_DIR": tmp_path}).database)
    await store.open()
    sweep = recovery.Recovery(store, runs, MemoryFeed(), stale_seconds=STALE)
    first = await begin(runs, "first")
    looking = asyncio.create_task(sweep.look())
    await asyncio.sleep(STALE / 2)
    second = await begin(runs, "second")
    await looking
    for run_id in (first, second):
        assert (await store.answer(LOCAL_OWNER, run_id)).message.status == "streaming"
    await store.close()


async def test_what_nobody_writes_is_swept(runs: RunService, tmp_path: Path):
    """An answer that is written by no task is ended as interrupted, in the same look."""
    store = Storage(Settings.model_validate({"STREAMCHAT_DATA_DIR": tmp_path}).database)
    await store.open()
    lost = await store.begin(
        LOCAL_OWNER,
        NewRun(client_message_id="lost", parts=[TextPart("a question")], model="simulator:tour"),
        worker="gone",
    )
    alive = await begin(runs, "alive")
    await asyncio.sleep(STALE * 2)
    await recovery.Recovery(store, runs, MemoryFeed(), stale_seconds=STALE).look()
    assert (await store.answer(LOCAL_OWNER, lost.run_id)).message.status == "interrupted"
    assert (await store.answer(LOCAL_OWNER, alive)).message.status == "streaming"
    await store.close()


async def test_an_ending_that_waits_for_the_database_is_not_swept(
    runs: RunService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Another program has the database for so long that an answer ends unsaved, and its heartbeat is old. Nobody takes
    it over: the answer is stored with its own ending all the same."""
    monkeypatch.setattr(persistence, "END_SECONDS", STALE)
    store = Storage(Settings.model_validate({"STREAMCHAT_DATA_DIR": tmp_path}).database)
    await store.open()
    run_id = await begin(runs, "unsaved", of(20, 0))
    with locked(tmp_path / "streamchat.db"):
        while runs.running(LOCAL_OWNER):
            await asyncio.sleep(0.01)
        assert runs.log.snapshot(run_id).message.status == "finished"
        await asyncio.sleep(STALE * 2)
        looking = asyncio.create_task(recovery.Recovery(store, runs, MemoryFeed(), stale_seconds=STALE).look())
        await asyncio.sleep(STALE)
    await looking
    assert (await store.answer(LOCAL_OWNER, run_id)).message.status == "streaming"
    await runs._writer.flush()
    assert (await store.answer(LOCAL_OWNER, run_id)).message.status == "finished"
    await store.close()
