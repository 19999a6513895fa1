"""A tab gets the pieces of an answer as often as it wants them, and everything else at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from streamchat.chat.messages import TextPart
from streamchat.chat.request import NewRun
from streamchat.identity import LOCAL_OWNER
from streamchat.protocols.page.stream import Frame
from streamchat.runs.notifications import Notification
from streamchat.settings import load_settings
from streamchat.ui.transcript import Transcript
from streamchat.wiring import Services, running_services

PATIENCE = 90
NEVER = 3600.0
MODEL = "simulator:tour"


@pytest.fixture
async def services(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Services]:
    monkeypatch.setenv("STREAMCHAT_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("STREAMCHAT_MODELS", MODEL)
    async with running_services(load_settings()) as services:
        yield services


class Tab:
    """An answer of minutes, and a tab that has the first frame of it."""

    def __init__(self, services: Services, run_id: str, where: str) -> None:
        self.services, self.run_id, self.where = services, run_id, where
        self.transcript = Transcript(services, LOCAL_OWNER, where)
        self.frames = self.transcript.frames()

    async def words(self) -> int:
        """How many there are by now."""
        return (await self.services.runs.get(LOCAL_OWNER, self.run_id))[1].message.text.count("w")


@pytest.fixture
async def tab(services: Services) -> AsyncIterator[Tab]:
    question = [TextPart("n=20000 rate=100 kind=numbered")]
    begun = await services.runs.start(LOCAL_OWNER, NewRun(client_message_id="a", parts=question, model=MODEL))
    tab = Tab(services, begun.run_id, begun.conversation_id)
    async with asyncio.timeout(PATIENCE), aclosing(tab.frames):
        assert (await anext(tab.frames) or {})["k"] == "open"
        yield tab


async def until(frames: AsyncGenerator[Frame | None, None], *kinds: str) -> list[Frame]:
    """What comes, up to the first frame of one of these kinds. A piece has no kind."""
    got: list[Frame] = []
    async for frame in frames:
        if frame is None or frame.get("k") == "rows":
            continue
        got.append(frame)
        if frame.get("k", "piece") in kinds:
            break
    return got


async def test_what_waits_is_joined(tab: Tab):
    """Pieces wait until they are due; then the answer is there at once, with its end, however many pieces it had."""
    await until(tab.frames, "piece")
    tab.transcript.set_pace(NEVER)
    # A batch may be on its way: the one after it is not due before the pace changes.
    reading = asyncio.ensure_future(until(tab.frames, "end"))
    words = await tab.words()
    while await tab.words() < words + 100:
        await asyncio.sleep(0.02)
    await tab.services.runs.stop(LOCAL_OWNER, tab.where)
    assert not reading.done()
    tab.transcript.set_pace(0.0)
    assert len(await reading) < 10


async def test_other_frames_do_not_wait(tab: Tab):
    """A hidden tab is told of a new title at once."""
    await until(tab.frames, "piece")
    tab.transcript.set_pace(NEVER)
    await tab.services.store.rename(LOCAL_OWNER, tab.where, "Another title")
    tab.services.runs.feed.publish(LOCAL_OWNER, Notification("changed", tab.where))
    assert (await until(tab.frames, "about"))[-1]["title"] == "Another title"
    await tab.services.runs.stop(LOCAL_OWNER, tab.where)
