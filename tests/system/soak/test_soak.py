"""A bad day in short: many readers, lost connections, reloads, Stop, and a server that is killed twice.

Seeded: ``SOAK_SEED=…`` plays the same steps again; ``SOAK_SECONDS=120`` plays more (``make soak``); ``SOAK_DIARY=file``
gets what was done when. If it fails it tells the seed, the diary, and the end of the server's log.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from devservers.ports import free_port
from tests.support.loop import LoopThread
from tests.support.relay import Relay
from tests.support.simulated import Simulated
from tests.system.soak import LONG, plan, stored
from tests.system.soak.crowd import Crowd, Diary
from tests.system.soak.pages import Pages
from tests.system.soak.plan import KEY, PAGES, SERVER, conversation_of
from tests.system.soak.server import Watched
from tests.system.soak.told import Sent, Told

SEED = int(os.environ.get("SOAK_SEED", "20261124"))
SECONDS = float(os.environ.get("SOAK_SECONDS", "20"))
# For the last answers to end, and for the readers to hear of it.
SETTLE_SECONDS = 150
# Ended answers are kept for so long here, instead of ten minutes.
RUN_KEEP = 3
# Seconds of text, where a server is killed or an answer stopped. The promise is one, on a machine that has time.
AT_MOST_LOST = 1.0 if LONG else 3.0
GROWTH = 0.10  # of memory


@dataclass
class Soak:
    """``killed``: when, as ``time.time()``."""

    served: Watched
    told: Told
    diary: Diary = field(default_factory=Diary)
    killed: list[float] = field(default_factory=list)
    _one: threading.Lock = field(default_factory=threading.Lock)

    def kill(self) -> None:
        """``kill -9`` in the middle of everything, which is while answers are written, and the same again on the same
        data."""
        with self._one:
            end = time.monotonic() + 30
            while len(stored.unended(self.served.database)) < 2 and time.monotonic() < end:
                time.sleep(0.1)
            self.killed.append(time.time())
            self.served.kill()
            self.diary.write("the server is dead")
            self.served.start()
            self.diary.write("the server is there again")


@contextmanager
def explained(soak: Soak) -> Iterator[None]:
    """What somebody needs who wants to see it again."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"SOAK_SEED={SEED} SOAK_SECONDS={SECONDS:g}")
        error.add_note("\n".join(soak.diary.lines))
        error.add_note(f"the server's log ends with:\n{soak.served.log[-4000:]}")
        raise
    finally:
        if place := os.environ.get("SOAK_DIARY"):
            Path(place).write_text("\n".join(soak.diary.lines))


@pytest.fixture(params=["memory", "redis"])
def engine(request: pytest.FixtureRequest) -> tuple[dict[str, str], float]:
    """Settings of a log, and for how many seconds it is tried: the whole time, and a part of it."""
    if request.param == "memory":
        return {}, SECONDS
    return {"STREAMCHAT_REDIS_URL": request.getfixturevalue("redis").url}, max(SECONDS / 3, 20)


@pytest.mark.timeout(SECONDS + 900)
def test_a_bad_day(
    engine: tuple[dict[str, str], float],
    loop: LoopThread,
    browser: Browser,
    built: None,
    simulated: Simulated,
    tmp_path: Path,
):
    """Whatever happened to its readers and to the server: each answer is on every page as it is stored, and stored as
    it was sent; what was cut short is short by a second at most; nothing is left running, and memory is back."""
    relay = Relay(loop, free_port(), port := free_port()).start()
    log, seconds = engine
    settings = simulated.settings | log | {"STREAMCHAT_PUBLIC_URL": relay.url, "STREAMCHAT_RUN_KEEP": str(RUN_KEEP)}
    soak = Soak(Watched(tmp_path / "data", settings, port), Told(simulated.settings))
    crowd = Crowd(soak.served.url, soak.diary, soak.kill)
    pages = Pages(browser, soak.served, relay, soak.diary)
    soak.served.start()
    try:
        with explained(soak):
            rest = soak.served.kinds()
            before = warm_up(soak, crowd, pages, loop, rest)
            play(soak, crowd, pages, loop, seconds)
            check(soak, crowd, pages)
            after = idle(soak, crowd, pages, loop, rest)
            assert after["files"] <= before["files"] * 1.25, "open files: connections that nobody uses"
            assert after["resident"] <= before["resident"] * (1 + GROWTH), (before, after)
            soak.served.stop()
            assert "Traceback" not in soak.served.log
    finally:
        pages.close()
        loop.run(crowd.leave())
        soak.served.kill()
        relay.close()


def warm_up(soak: Soak, crowd: Crowd, pages: Pages, loop: LoopThread, rest: set[str]) -> dict[str, Any]:
    """Everybody reads an answer to its end and goes; what the server is like then."""
    loop.run(crowd.begin(plan.firsts(SEED)), 240)
    pages.come(crowd.paths)
    loop.run(crowd.settle(SETTLE_SECONDS), SETTLE_SECONDS + 10)
    return idle(soak, crowd, pages, loop, rest)


def play(soak: Soak, crowd: Crowd, pages: Pages, loop: LoopThread, seconds: float) -> None:
    """Everybody comes again, and the plan happens. At the end all are there and wait for nothing."""
    pages.come(crowd.paths)
    loop.run(crowd.come(), 150)
    loop.run(crowd.stop_one(), 150)
    steps = plan.steps(SEED, seconds)
    soak.diary.begin()
    rough = crowd.play(step for step in steps if step.who == SERVER or step.who >= PAGES)
    playing = [asyncio.run_coroutine_threadsafe(work, loop.loop) for work in (rough, read_on(soak.told))]
    pages.play(step for step in steps if 0 <= step.who < PAGES)
    playing[0].result(seconds + 240)  # the last restart of the server included
    loop.run(crowd.come(), 150)
    loop.run(crowd.settle(SETTLE_SECONDS), SETTLE_SECONDS + 10)
    pages.settle()
    playing[1].cancel()
    soak.told.read()


async def read_on(told: Told) -> None:
    """The journal keeps the newest requests only."""
    while True:
        await asyncio.to_thread(told.read)
        await asyncio.sleep(3)


def idle(soak: Soak, crowd: Crowd, pages: Pages, loop: LoopThread, rest: set[str]) -> dict[str, Any]:
    """What the server is doing when the last reader has gone: what it did before the first came."""
    pages.leave()
    loop.run(crowd.leave(), 60)
    report = soak.served.at_rest(rest)
    soak.diary.write(report)
    return report


def check(soak: Soak, crowd: Crowd, pages: Pages) -> None:
    """Page == stored == sent."""
    assert stored.unended(soak.served.database) == []
    assert soak.told.complete
    rows = stored.messages(soak.served.database)
    soak.diary.write(Counter(row.status for row in rows if row.role == "assistant"))
    soak.diary.write(crowd.summary())
    assert len(soak.killed) == len(plan.KILLS)
    assert {row.status for row in rows} >= {"finished", "stopped", "interrupted"}, "every ending has happened"
    # One page in a while may get a last frame of an earlier follower after the first of the next; it heals.
    assert len(crowd.gaps) <= 3, crowd.gaps
    check_questions(rows, crowd)
    threads: dict[str, list[tuple[str, str, str, str]]] = defaultdict(list)
    for row in rows:
        threads[f"/c/{row.conversation_id}"].append((row.id, row.role, row.status, row.text))
    requests = soak.told.requests()
    questions = {key(row.text): row.text for row in rows if row.role == "user"}
    for question, answer in zip(rows[::2], rows[1::2], strict=True):
        assert (question.role, answer.role, answer.parent_id) == ("user", "assistant", question.id)
        check_answer(answer, requests.get(key(question.text), []), questions, soak.killed)
    for number, tab in crowd.tabs.items():
        seen = [(shown.id, shown.role, shown.status, shown.text) for shown in tab.page.messages.values()]
        assert seen == threads[crowd.paths[conversation_of(number)]], f"reader {number}"
    for number in pages.chats:
        # A person's own words stand in another element, beside their buttons.
        thread = [(*row[:3], row[3] if row[1] == "assistant" else "") for row in threads[crowd.paths[number]]]
        assert pages.shown(number) == thread, f"page {number}"
    assert [odd for oddities in pages.oddities for odd in oddities.unexpected()] == []


def check_questions(rows: list[stored.Row], crowd: Crowd) -> None:
    """What was accepted is there once, what was refused is not; each conversation is one thread."""
    questions = [row.text for row in rows if row.role == "user"]
    assert len(questions) == len(set(questions)), "a question is there twice"
    missing = {crowd.asked[id] for id in crowd.sent} - set(questions)
    assert not missing, "accepted, and gone"
    assert not {crowd.asked[id] for id in crowd.refused} & set(questions), "refused, and there"
    for before, after in pairwise(rows):
        same = before.conversation_id == after.conversation_id
        assert after.parent_id == (before.id if same else None)


def check_answer(answer: stored.Row, requests: list[Sent], questions: dict[str, str], killed: list[float]) -> None:
    """Stored is what was sent, or the beginning of it, with all but the last second."""
    assert len(requests) <= 1, f"asked {len(requests)} times: {answer}"
    if not requests:  # stopped, or the server was killed, before the provider was asked
        assert (answer.text, answer.status in ("stopped", "interrupted")) == ("", True), answer
        return
    (sent,) = requests
    assert sent.text.startswith(answer.text), answer
    match answer.status:
        case "finished":
            assert (answer.text, sent.closed_by) == (sent.text, "server"), answer
        case "stopped":
            assert answer.text.startswith(sent.text_before(sent.closed_at - AT_MOST_LOST, questions)), answer
        case "interrupted":
            death = next(at for at in killed if at > sent.started)
            assert answer.text.startswith(sent.text_before(death - AT_MOST_LOST, questions)), answer
        case status:
            raise AssertionError(f"{status}: {answer}")


def key(question: str) -> str:
    return KEY.findall(question)[0]
