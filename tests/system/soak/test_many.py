"""Much at once: a long conversation, many readers, and tabs that were away for longer than Reflex remembers them."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from bench import seed
from tests.support.loop import LoopThread
from tests.support.page_model import Frame, PageModel
from tests.support.raw import RawTab
from tests.support.reader import MODEL, Reader, of, whole
from tests.support.simulated import Simulated
from tests.support.tab import Tab
from tests.support.vendor import Reply, Vendor
from tests.system.soak import LONG, stored
from tests.system.soak.server import Watched

Serve = Callable[..., Watched]
MEGABYTE = 1_000_000
# To store it costs as the square of its messages.
TURNS = 250 if LONG else 120
READERS = 200 if LONG else 30
CANARY = re.compile(r"canary-\d+")
GROWTH = 0.10
EXPIRY = 2


def test_a_long_conversation(serve: Serve, simulated: Simulated, loop: LoopThread, tmp_path: Path):
    """A page that opens a long conversation gets less than its texts have, and less than a megabyte; the rest when it
    asks, in order."""
    data = tmp_path / "long"
    conversation_id = loop.run(seed.conversation(data, turns=TURNS, words=400, model=MODEL), 120)
    served = serve(data, **simulated.settings)
    with RawTab(served.url, f"/c/{conversation_id}") as tab:
        opened = tab.frame("open")
        sent = sum(len(packet) for packet in tab.raw)
        assert sent < MEGABYTE
        page = PageModel()
        page.feed(opened)
        more = opened["earlier"]
        assert more, "not all at once"
        while more:
            before = len(tab.frames)
            tab.call("earlier", before=page.ids[0])
            frame = tab.frame("earlier", after=before)
            assert len(json.dumps(frame)) < MEGABYTE
            page.feed(frame)
            more = frame["earlier"]
    rows = stored.messages(served.database)
    assert len(rows) == 2 * TURNS
    assert sent < sum(len(row.text) for row in rows)
    assert [(m.id, m.text) for m in page.messages.values()] == [(row.id, row.text) for row in rows]


@pytest.mark.parametrize("connected", [True, False])
async def test_away_for_longer_than_reflex_remembers(serve: Serve, simulated: Simulated, connected: bool):
    """The tab's state is purged while it is idle, or asleep: then a message is sent as ever, its answer arrives
    live, and the history is there."""
    served = serve(**simulated.settings, REFLEX_REDIS_TOKEN_EXPIRATION=str(EXPIRY))
    async with Reader(served.url) as reader:
        await reader.answered(of(20, 0))
        if not connected:
            await reader.freeze()
            await reader.close()
        await forgotten(served)
        if not connected:
            reader.open()
        await reader.answered(of(40, 20))
        assert [m.text for m in reader.page.messages.values() if m.role == "assistant"] == [whole(20), whole(40)]
        assert len(reader.arrivals) > 10, "live"
        rows = [(row.id, row.text) for row in stored.messages(served.database)]
        assert [(m.id, m.text) for m in reader.page.messages.values()] == rows


async def forgotten(served: Watched) -> None:
    """Until the server holds no tab's state."""
    end = time.monotonic() + 120
    while (await asyncio.to_thread(served.report))["states"]:
        assert time.monotonic() < end, "the states are not purged"
        await asyncio.sleep(0.5)


@pytest.mark.timeout(1200)
async def test_many_readers(serve: Serve, vendor: Vendor):
    """Two hundred answers at once (``make soak``), each with a reader who sees nothing of the others' and stops it;
    twice, and the second time costs no memory that the first did not."""
    vendor.answer = echo
    expiry = {"REFLEX_REDIS_TOKEN_EXPIRATION": str(EXPIRY)}  # a closed tab's state stays for so long
    served = serve(OPENAI_BASE_URL=vendor.url, OPENAI_API_KEY="none", STREAMCHAT_RUN_KEEP="3", **expiry)
    kinds = served.kinds()
    held = []
    for number in range(2):
        await crowd(served, range(number * READERS, (number + 1) * READERS))
        await forgotten(served)
        held.append((await asyncio.to_thread(served.at_rest, kinds))["resident"])
    assert held[1] <= held[0] * (1 + GROWTH), held


def echo(request: dict[str, Any]) -> Reply:
    """Says the canary of who asked, again and again and never to an end."""
    (canary,) = CANARY.findall(str(request["messages"][-1]["content"]))
    return Reply([f"{canary} "] * 10_000, pause=0.5)


async def crowd(served: Watched, numbers: Iterable[int]) -> None:
    readers = [Canary(served.url, number) for number in numbers]
    try:
        await at_each(readers, 240, "a new chat", lambda reader: reader.tab.page.opened)
        for reader in readers:
            await reader.tab.ask(reader.canary, MODEL)
        await at_each(readers, 240, "an answer", lambda reader: reader.pieces >= 3)
        assert not any(reader.ended for reader in readers), "not all at once"
        for reader in readers:
            await reader.tab.call("stop")
        await at_each(readers, 240, "the end", lambda reader: reader.ended)
        await nothing_open(served)
        rows = {row.id: (row.status, row.text) for row in stored.messages(served.database)}
        for reader in readers:
            (_, answer) = reader.tab.page.messages.values()
            assert (answer.status, answer.text) == rows[answer.id]
            assert answer.text == f"{reader.canary} " * answer.text.count(" ")
            assert (answer.status, reader.strangers, reader.tab.gaps) == ("stopped", set(), [])
    finally:
        await asyncio.gather(*(reader.tab.close() for reader in readers))


async def nothing_open(served: Watched) -> None:
    """Until no row says that its answer is being written: many endings at once take their turn."""
    end = time.monotonic() + 120
    while stored.unended(served.database):
        assert time.monotonic() < end, "there are rows that say streaming"
        await asyncio.sleep(0.2)


async def at_each(readers: list[Canary], seconds: float, what: str, found: Callable[[Canary], object]) -> None:
    for reader in readers:
        await reader.tab.until(lambda reader=reader: found(reader), seconds, what)


class Canary:
    """A reader with a word of its own, who looks for the words of others in every frame."""

    def __init__(self, url: str, number: int) -> None:
        self.canary = f"canary-{number}"
        self.strangers: set[str] = set()
        self.pieces = 0
        self.ended = False
        self.tab = Tab(url, on_frame=self._look)
        self.tab.open()

    def _look(self, frame: Frame) -> None:
        words = CANARY.findall(json.dumps(frame))
        self.strangers |= set(words) - {self.canary}
        self.pieces += len(words) if "t" in frame else 0
        self.ended |= frame.get("k") == "end"
