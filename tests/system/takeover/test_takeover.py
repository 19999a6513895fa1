"""Two real workers, of which one dies, stands still or has a wrong clock: answers go on, and nothing comes twice."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.support.counting_model import COUNTING
from tests.support.long import LONG
from tests.system.takeover.conftest import Reader, StartPair

WORDS = 60
SENTENCE = f"kind=numbered n={WORDS} rate=20"
BEGUN = 100  # characters


def on(database: str) -> pytest.MarkDecorator:
    """With that database; ``make soak`` has both. For what the storage has no part in but to keep the answers."""
    return pytest.mark.parametrize("start_pair", ["sqlite", "postgresql"] if LONG else [database], indirect=True)


def numbered(count: int) -> str:
    return " ".join(f"w{n:06}" for n in range(1, count + 1))


def seams(reader: Reader) -> list[str]:
    return [data["text"] for _, name, data in reader.events if name == "notice" and data["kind"] == "seam"]


async def test_a_killed_worker_s_answer_is_continued(start_pair: StartPair):
    """``kill -9`` in the middle: the other worker goes on in the same log, with a seam, and a reader of it sees every
    number once; so does one that comes later."""
    pair = await start_pair()
    run_id = await pair.one.ask(SENTENCE)
    reader = Reader(pair.two, run_id).start()
    await reader.until(lambda: len(reader.text) > BEGUN)
    pair.one.kill()
    await reader.ended()
    assert reader.names[-1] == "finished"
    assert "snapshot" not in reader.names
    assert reader.numbers_follow()
    assert reader.text == numbered(WORDS)
    assert len(seams(reader)) == 1
    late = Reader(pair.two, run_id).start()
    await late.ended()
    assert late.text == reader.text
    stored = await pair.two.run(run_id)
    assert (stored["status"], stored["seq"]) == ("finished", reader.events[-1][0])


async def test_a_worker_that_stood_still_writes_nothing(start_pair: StartPair):
    """SIGSTOP for longer than a heartbeat may fail, then SIGCONT: the answer is continued once, and the readers of both
    workers end with the same text."""
    pair = await start_pair()
    run_id = await pair.one.ask(SENTENCE)
    near, far = Reader(pair.one, run_id).start(), Reader(pair.two, run_id).start()
    await far.until(lambda: len(far.text) > BEGUN)
    with pair.one.standing_still():
        await far.ended()
    await near.ended()
    assert far.names[-1] == near.names[-1] == "finished"
    assert near.text == far.text == numbered(WORDS)
    assert len(seams(far)) == 1
    assert far.numbers_follow()
    for worker in (pair.one, pair.two):
        stored = await worker.run(run_id)
        assert (stored["status"], stored["seq"]) == ("finished", far.events[-1][0])
    assert far.names.count("finished") == 1


@on("sqlite")
async def test_a_call_that_came_while_a_worker_stood_still(start_pair: StartPair):
    """The model's call of a tool waits in the socket of a worker that stands still: the other one asks the model again,
    without a seam as nothing was said yet, and the tool runs there and nowhere else."""
    pair = await start_pair()
    run_id = await pair.one.ask("tools=quick calls=1 ttft=2000")
    near, far = Reader(pair.one, run_id).start(), Reader(pair.two, run_id).start()
    with pair.one.standing_still():
        await far.ended()
    await near.ended()
    assert far.names[-1] == near.names[-1] == "finished"
    assert (seams(far), near.text) == ([], far.text)
    assert far.numbers_follow()
    assert pair.ran() == [f"quick {pair.two.pid}"]


@on("postgresql")
async def test_a_call_in_flight_asks_the_person(start_pair: StartPair):
    """The worker dies while a tool runs: nobody knows whether it had its effect, so the person decides, and it does not
    run again by itself. Denied, the answer goes on."""
    pair = await start_pair()
    run_id = await pair.one.ask("kind=numbered n=10 rate=100 tools=slow calls=1")
    reader = Reader(pair.two, run_id).start()
    await reader.until(lambda: pair.ran() and "tool-progress" in reader.names)
    pair.one.kill()
    await reader.until(lambda: reader.names[-1] == "waiting")
    (call_id,) = reader.events[-1][2]["call_ids"]
    assert len(pair.ran()) == 1
    decision = {"call_id": call_id, "approve": False}
    assert (await pair.two.call("POST", f"/api/runs/{run_id}/decisions", json=decision)).status_code == 200
    await reader.ended()
    assert (reader.names[-1], len(pair.ran())) == ("finished", 1)
    assert reader.numbers_follow()


@on("sqlite")
async def test_sigterm_hands_over(start_pair: StartPair):
    """A rolling restart: the answer goes on elsewhere at once, without a lost word, and may be handed on again."""
    pair = await start_pair()
    run_id = await pair.one.ask("kind=numbered n=75 rate=10")
    reader = Reader(pair.two, run_id).start()
    await reader.until(lambda: len(reader.text) > 50)
    await asyncio.to_thread(pair.one.stop)
    await reader.until(lambda: len(seams(reader)) == 1)
    await asyncio.to_thread(pair.one.start)
    await asyncio.to_thread(pair.two.stop)
    back = Reader(pair.one, run_id, reader.events[:]).start()
    await back.ended()
    assert back.names[-1] == "finished"
    assert len(seams(back)) == 2
    assert back.numbers_follow()
    assert back.text == numbered(75)


@on("postgresql")
async def test_stop_of_a_dead_worker_s_answer(start_pair: StartPair):
    """Stop on another worker, whose answer it is not and whose worker is gone: it ends as *stopped*."""
    pair = await start_pair(STREAMCHAT_CONTINUE="0")
    run_id = await pair.one.ask("kind=numbered n=5000 rate=10")
    reader = Reader(pair.two, run_id).start()
    await reader.until(lambda: len(reader.text) > 50)
    with pair.one.standing_still():
        response = await pair.two.call("DELETE", f"/api/runs/{run_id}")
        assert (response.status_code, response.json()["status"]) in ((200, "stopped"), (200, "interrupted"))
        await reader.ended()
    async with asyncio.timeout(30):  # it hears of it a moment after it goes on
        while (await pair.one.run(run_id))["status"] != response.json()["status"]:
            await asyncio.sleep(0.1)


async def test_redis_is_away_meanwhile(start_pair: StartPair):
    """Only the database is left to say whose run it is: one ending, and both workers agree on it."""
    pair = await start_pair()
    run_id = await pair.one.ask(SENTENCE)
    near = Reader(pair.one, run_id).start()
    await near.until(lambda: len(near.text) > BEGUN)
    await asyncio.to_thread(pair.redis.stop)
    try:
        with pair.one.standing_still():
            async with asyncio.timeout(60):
                while (await pair.two.run(run_id))["status"] != "finished":
                    await asyncio.sleep(0.1)
    finally:
        await asyncio.to_thread(pair.redis.start)
    await near.ended()
    first, second = [await worker.run(run_id) for worker in (pair.one, pair.two)]
    assert first == second
    assert (near.names[-1], near.text.strip()) == ("finished", first["message"]["text"].strip())
    assert near.text == numbered(WORDS)


LIBRARY = next(iter(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)


@pytest.mark.skipif(LIBRARY is None, reason="faketime is not installed")
@pytest.mark.parametrize(
    ("start_pair", "offset"),
    # Not behind with SQLite: libfaketime lets such a process wait for seconds in its locks.
    [("sqlite", "+3600"), ("postgresql", "-3600"), *([("postgresql", "+3600")] if LONG else [])],
    indirect=["start_pair"],
)
async def test_a_clock_that_is_wrong(start_pair: StartPair, offset: str):
    """The clock of one worker is an hour off: neither takes the other's answers for dead, and all of them end."""
    pair = await start_pair(
        second={"LD_PRELOAD": str(LIBRARY), "FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}, **COUNTING
    )
    workers = (pair.one, pair.two, pair.one, pair.two)
    # Longer than a worker may be silent.
    runs = [await worker.ask("20 2", "python:count") for worker in workers]
    readers = [Reader(worker, run_id).start() for worker, run_id in zip(reversed(workers), runs, strict=True)]
    for reader in readers:
        await reader.ended()
        assert (reader.names[-1], seams(reader), reader.text.strip()) == ("finished", [], numbered(20))


async def test_one_process_that_restarts_goes_on(tmp_path: Path):
    """Without another worker the answer waits for the next start: after SIGTERM with every word and every number, after
    ``kill -9`` with what was stored."""
    from tests.system.takeover.conftest import Worker

    worker = Worker(tmp_path / "data", {"STREAMCHAT_CONTINUE": "1"})
    await asyncio.to_thread(worker.start)
    try:
        run_id = await worker.ask("kind=numbered n=50 rate=10")
        reader = Reader(worker, run_id).start()
        await reader.until(lambda: len(reader.text) > 50)
        await asyncio.to_thread(worker.stop)
        await asyncio.to_thread(worker.start)
        await reader.until(lambda: len(seams(reader)) == 1)
        assert reader.numbers_follow()
        worker.kill()
        await asyncio.to_thread(worker.start)
        await reader.ended()
        assert reader.names[-1] == "finished"
        assert reader.text == numbered(50)
        stored = await worker.run(run_id)
        assert stored["message"]["text"] == reader.text
    finally:
        worker.kill()


@on("sqlite")
async def test_nothing_is_continued_without_the_setting(start_pair: StartPair):
    """``STREAMCHAT_CONTINUE=0``: *interrupted*, with what had arrived, and Retry is the person's."""
    pair = await start_pair(STREAMCHAT_CONTINUE="0")
    run_id = await pair.one.ask(SENTENCE)
    reader = Reader(pair.two, run_id).start()
    await reader.until(lambda: len(reader.text) > BEGUN)
    pair.one.kill()
    await reader.ended()
    assert (reader.names[-1], seams(reader)) == ("interrupted", [])
    assert reader.numbers_follow()
    assert numbered(WORDS).startswith(reader.text.strip())
