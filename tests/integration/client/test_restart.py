"""A client whose server is killed while it answers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from devservers.app import Served
from streamchat import build
from streamchat.client import AsyncClient, Snapshot


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    if not build.is_current():
        build.build()
    made = Served(tmp_path / "data", {"STREAMCHAT_MODELS": "simulator:tour"}).start()
    yield made
    made.stop()


async def test_a_killed_server_ends_as_interrupted_and_not_as_a_hang(server: Served):
    """After ``kill -9`` and a restart the same loop goes on, and gets the ending with what was kept."""
    words = [f"w{n:06}" for n in range(1, 2001)]
    async with AsyncClient(server.url) as client, asyncio.timeout(120):
        run = await client.start("n=2000 rate=100 kind=numbered")
        events = []
        async for event in run.events():
            events.append(event)
            if len(events) == 150:
                await asyncio.to_thread(server.kill)
                await asyncio.to_thread(server.start)
        assert isinstance(events[-1], Snapshot)
        message = run.message
        assert message.status == "interrupted"
        assert message.error is not None
        kept = message.text.split(" ")
        assert 1 <= len(kept) < len(words)
        assert kept == words[: len(kept)]
        assert await client.get(run.id) == message
