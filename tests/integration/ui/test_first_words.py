"""What a run begins with, and its words, reach the tab that has begun it without a read of the branch."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from streamchat.chat.messages import TextPart
from streamchat.chat.request import NewRun
from streamchat.identity import LOCAL_OWNER
from streamchat.runs.ports import Begun
from streamchat.ui.transcript import Transcript
from streamchat.wiring import Services
from streamchat.wiring.request_context import first_page
from tests.integration.ui.test_pace import MODEL, PATIENCE, services, until

__all__ = ["services"]


async def ask(services: Services, key: str, text: str, where: str | None = None) -> Begun:
    new = NewRun(client_message_id=key, parts=[TextPart(text)], model=MODEL, conversation_id=where)
    return await services.runs.start(LOCAL_OWNER, new)


class Reads:
    """Lets no read of a branch through until ``open`` is set."""

    def __init__(self, services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.open = asyncio.Event()
        read = services.store.branch_page

        async def wait(*arguments: Any, **more: Any) -> Any:
            self.count += 1
            await self.open.wait()
            return await read(*arguments, **more)

        monkeypatch.setattr(services.store, "branch_page", wait)


async def test_a_new_conversation(services: Services, monkeypatch: pytest.MonkeyPatch):
    """It is all there at once; what ended meanwhile, or was there before, is read as any other."""
    reads = Reads(services, monkeypatch)
    begun = await ask(services, "a", "n=300 rate=100 kind=numbered")
    page = first_page(begun)
    transcript = Transcript(services, LOCAL_OWNER, begun.conversation_id, begun=True, page=page)
    async with asyncio.timeout(PATIENCE), aclosing(transcript.frames()) as frames:
        opened, *_ = await until(frames, "piece")
        await until(frames, "piece")
    assert [one["role"] for one in opened["messages"]] == ["user", "assistant"]
    assert (opened["begun"], opened["title"], opened["model"]) == (True, begun.title, MODEL)
    assert reads.count == 0
    assert first_page(await ask(services, "a", "n=300 rate=100 kind=numbered")) is None
    reads.open.set()
    stored = await services.store.branch_page(LOCAL_OWNER, begun.conversation_id, limit=9)
    assert page is not None
    assert (page.ids, page.title, page.settings) == (stored.ids, stored.title, stored.settings)


async def test_the_next_question(services: Services, monkeypatch: pytest.MonkeyPatch):
    """It and its answer stand below the others; the branch is read once, after the end."""
    before = await ask(services, "a", "n=2 rate=0 kind=numbered")
    where = before.conversation_id
    async with (
        asyncio.timeout(PATIENCE),
        aclosing(Transcript(services, LOCAL_OWNER, where).frames()) as frames,
    ):
        opened, *_ = await until(frames, "open")
        if opened["messages"][-1]["status"] == "streaming":
            await until(frames, "end")
        while services.runs.running(LOCAL_OWNER):
            await asyncio.sleep(0.01)
        reads = Reads(services, monkeypatch)
        begun = await ask(services, "b", "n=100 rate=100 kind=numbered", where)
        got = await until(frames, "end")
        shown = [[one["id"] for one in frame["messages"]] for frame in got if frame.get("k") == "messages"]
        assert shown == [[begun.user.id, begun.answer.id]], "both at once"
        assert reads.count == 0
        reading = asyncio.ensure_future(anext(frames))
        while not reads.count:
            await asyncio.sleep(0.01)
        reads.open.set()
        await reading
        assert reads.count == 1
