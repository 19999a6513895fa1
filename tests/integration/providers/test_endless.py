"""What a server sends without an end takes bounded memory."""

from __future__ import annotations

import tracemalloc

import pytest

from tests.integration.providers.replay import Reply, replay
from tests.unit.providers import wire
from tests.unit.providers.asking import KINDS, ask

both = pytest.mark.parametrize("kind", KINDS)


@both
async def test_a_hundred_megabytes_in_one_line(kind: str) -> None:
    """A line without an end breaks the answer off, and costs no more memory than one event may."""
    pieces = [wire.said(kind, "kept")] + [b"data: " + b"x" * 65536] + [b"x" * 65536] * 1600
    async with replay(Reply(pieces)) as server:
        tracemalloc.start()
        heard = await ask(kind, server.url)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert heard.error is not None
    assert (heard.error.kind, heard.text) == ("event-too-large", "kept")
    assert peak < 60_000_000


@both
async def test_a_whole_message_without_an_end(kind: str) -> None:
    """The same for JSON that never closes."""
    async with replay(Reply([b'{"a": "'] + [b"x" * 65536] * 1600)) as server:
        heard = await ask(kind, server.url)
    assert heard.error is not None
    assert heard.error.kind == "too-long"
