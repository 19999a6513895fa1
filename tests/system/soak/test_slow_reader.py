"""A tab that is far behind: its answer has ended and is not kept any more before it looks again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

from streamchat.chat.messages import TextPart
from streamchat.chat.request import NewRun
from streamchat.identity import LOCAL_OWNER
from streamchat.runs.notifications import Notification
from streamchat.settings import Settings
from streamchat.ui.transcript import LIST_SECONDS, Transcript
from streamchat.wiring import running_services
from tests.support.page_model import Frame, PageModel
from tests.support.reader import of, whole

KEEP = 0.05


def settings(data: Path) -> Settings:
    return Settings.model_validate({"STREAMCHAT_DATA_DIR": data, "STREAMCHAT_RUN_KEEP": KEEP})


async def frames_until(frames: AsyncGenerator[Frame | None, None], kind: str) -> list[Frame]:
    """All up to the first of this kind."""
    seen: list[Frame] = []
    async with asyncio.timeout(20):
        while not seen or seen[-1].get("k") != kind:
            frame = await anext(frames)
            if frame is not None:
                seen.append(frame)
    return seen


async def test_the_end_comes_from_the_database(tmp_path: Path):
    """It gets the whole message with its end, and goes on following."""
    async with running_services(settings(tmp_path)) as services:
        begun = await services.runs.start(
            LOCAL_OWNER, NewRun(client_message_id="1", parts=(TextPart(of(100, 50)),), model="simulator:tour")
        )
        page = PageModel()
        async with aclosing(Transcript(services, LOCAL_OWNER, begun.conversation_id).frames()) as frames:
            for frame in await frames_until(frames, "open"):
                page.feed(frame)
            assert page.answering
            while services.runs.running(LOCAL_OWNER):
                await asyncio.sleep(0.05)
            await asyncio.sleep(KEEP * 4)
            for frame in await frames_until(frames, "messages"):
                page.feed(frame)
            (_, answer) = page.messages.values()
            assert (answer.status, answer.text) == ("finished", whole(100))
            services.runs.feed.publish(LOCAL_OWNER, Notification("changed", begun.conversation_id))
            await frames_until(frames, "rows")


async def test_the_list_is_not_sent_for_every_change(tmp_path: Path):
    """Two hundred changes elsewhere within a second: the tab reads the list at once, and again after the last."""
    async with running_services(settings(tmp_path)) as services:
        lists: list[float] = []

        async def read() -> None:
            async with aclosing(Transcript(services, LOCAL_OWNER, None).frames()) as frames:
                async for frame in frames:
                    if frame and frame["k"] == "rows":
                        lists.append(time.monotonic())

        reading = asyncio.create_task(read())
        await asyncio.sleep(0.2)
        began = time.monotonic()
        for number in range(200):
            services.runs.feed.publish(LOCAL_OWNER, Notification("started", "another", str(number)))
            await asyncio.sleep(0.005)
        last = time.monotonic()
        await asyncio.sleep(LIST_SECONDS * 2)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        assert lists[0] < last
        assert lists[-1] > last
        assert len(lists) <= (last - began) / LIST_SECONDS + 2
