"""Trouble with the database while answers are written: they are shown to their end, what was stored is not lost.

The reader is a tab without a browser; the trouble is real: another program's lock, a full disk, a PostgreSQL that
restarts.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from devservers.postgres import PostgresServer, why_not
from tests.support.page_model import Shown
from tests.support.reader import MODEL, Reader, of, whole
from tests.support.simulated import Simulated
from tests.system.soak import stored
from tests.system.soak.server import Watched

Serve = Callable[..., Watched]


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Another program writes, and does not come to its end."""
    with closing(sqlite3.connect(database, isolation_level=None, timeout=20)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


async def stored_soon(served: Watched, answer: Shown, seconds: float = 60) -> stored.Row:
    """The row, once it has the end that the page shows."""
    end = time.monotonic() + seconds
    while True:
        (row,) = [row for row in stored.messages(served.database) if row.id == answer.id]
        if (row.status, row.text) == (answer.status, answer.text):
            return row
        assert time.monotonic() < end, f"stored is {row.status} {row.text[-40:]!r}, shown {answer.status}"
        await asyncio.sleep(0.2)


async def shown_again(reader: Reader, served: Watched) -> None:
    """A fresh page shows exactly what the database has, and that is what this page shows."""
    rows = [(row.id, row.status, row.text) for row in stored.messages(served.database)]
    async with Reader(served.url, reader.path) as fresh:
        await fresh.until(lambda: fresh.page.opened, 60, "the transcript")
        for page in (fresh.page, reader.page):
            assert [(m.id, m.status, m.text) for m in page.messages.values()] == rows


async def test_locked_for_some_seconds(serve: Serve, simulated: Simulated):
    """Words go on arriving as if nothing were, and afterwards all of it is stored without a notice."""
    served = serve(**simulated.settings)
    async with Reader(served.url) as reader:
        await reader.answered(of(3, 0))
        await reader.ask(of(120, 15), MODEL)
        await reader.until(lambda: len(reader.page.messages) == 4, 60, "the question")
        await reader.reached(8)
        with locked(served.database):
            await reader.reached(60)
        await reader.ended()
        assert (reader.answer.text, reader.notices) == (whole(120), [])
        await stored_soon(served, reader.answer)
        await shown_again(reader, served)


async def test_locked_for_longer_than_a_heartbeat(serve: Serve, simulated: Simulated):
    """An answer whose process could not say for a while that it lives is not taken for dead: it lives."""
    served = serve(**simulated.settings)
    async with Reader(served.url) as reader:
        await reader.ask(of(200, 10), MODEL)
        await reader.reached(10)
        with locked(served.database):
            await asyncio.sleep(13)
        await reader.ended()
        assert (reader.answer.text, reader.notices) == (whole(200), [])
        await stored_soon(served, reader.answer)
        await shown_again(reader, served)


async def test_locked_at_the_end(serve: Serve, simulated: Simulated):
    """The answer is shown to its end, with a sentence that it is not saved; a message is refused with one, too. When
    the database is free again everything is stored, also that answer, and nobody says any more that it is not."""
    served = serve(**simulated.settings)
    async with Reader(served.url) as reader:
        first = (await reader.answered(of(3, 0))).text
        await reader.ask(of(120, 40), MODEL)
        await reader.until(lambda: len(reader.page.messages) == 4, 60, "the question")
        await reader.reached(40)
        with locked(served.database):
            await reader.until(lambda: reader.answer.text == whole(120), 30, "all words, while nothing can be stored")
            await reader.ended(timeout=60)
            (notice,) = reader.notices
            assert "could not be saved" in notice
            assert "locked" in notice
            refused = await reader.ask(of(5, 0), MODEL)
            await reader.until(lambda: refused in reader.page.refused, 60, "a sentence")
            assert "locked" in reader.page.refused[refused]
        await stored_soon(served, reader.answer)
        third = await reader.answered(of(5, 0))
        assert third.text == whole(5)
        rows = stored.messages(served.database)
        assert [row.text for row in rows if row.role == "assistant"] == [first, whole(120), whole(5)]
        assert not [part for row in rows for part in row.parts if part["type"] == "notice"], "it is saved now"
        await shown_again(reader, served)


async def test_stop_while_locked(serve: Serve, simulated: Simulated):
    """Stop closes the provider's connection at once, whatever the database does."""
    served = serve(**simulated.settings)
    async with Reader(served.url) as reader:
        await reader.answered(of(3, 0))
        text = f"stop while locked {of(2000, 40)}"
        await reader.ask(text, MODEL)
        await reader.until(lambda: len(reader.page.messages) == 4, 60, "the question")
        await reader.reached(40)
        with locked(served.database):
            await reader.call("stop")
            await asyncio.to_thread(simulated.wait_closed, text, "client")
            await reader.ended("stopped", timeout=60)
        kept = reader.answer.text
        assert whole(2000).startswith(kept)
        await stored_soon(served, reader.answer)


async def test_the_server_ends_while_locked(serve: Serve, simulated: Simulated):
    """SIGTERM ends it within a bounded time; after the next start nothing says that it is being written."""
    served = serve(**simulated.settings)
    async with Reader(served.url) as reader:
        await reader.ask(of(2000, 40), MODEL)
        await reader.reached(60)
        with locked(served.database):
            await asyncio.to_thread(served.stop, 60)
        await asyncio.to_thread(served.start)
        await reader.ended("interrupted")
        assert whole(2000).startswith(reader.answer.text)
        assert stored.unended(served.database) == []
        await shown_again(reader, served)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can mount a small disk here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


async def test_a_full_disk(small_disk: Path, serve: Serve, simulated: Simulated):
    """The answer is shown to its end with a sentence that it is not saved; when there is space again it is stored, as
    is the next one, and what was there before is as it was."""
    served = serve(small_disk / "data", **simulated.settings)
    filler = small_disk / "filler"
    async with Reader(served.url) as reader:
        first = await reader.answered(of(50, 0))
        await reader.ask(of(1500, 300), MODEL)
        await reader.until(lambda: len(reader.page.messages) == 4, 60, "the question")
        await reader.reached(40)
        fill(filler)
        await reader.ended(timeout=60)
        assert reader.answer.text == whole(1500)
        (notice,) = reader.notices
        assert "no space" in notice
        filler.unlink()
        row = await stored_soon(served, reader.answer)
        assert [part["type"] for part in row.parts] == ["text"], "it is saved now"
        third = await reader.answered(of(50, 0))
        answers = [row.text for row in stored.messages(served.database) if row.role == "assistant"]
        assert answers == [first.text, whole(1500), third.text]
        await shown_again(reader, served)


def fill(filler: Path) -> None:
    """Until not a page is left."""
    size = 0
    with filler.open("wb", buffering=0) as raw:
        while pages := os.statvfs(filler).f_bavail:
            with suppress(OSError):  # the server has taken one of them meanwhile
                os.posix_fallocate(raw.fileno(), size, pages * os.statvfs(filler).f_frsize)
                size += pages * os.statvfs(filler).f_frsize


@pytest.mark.skipif(bool(why_not()), reason=str(why_not()))
async def test_postgres_restarts(serve: Serve, simulated: Simulated):
    """The answer goes on through the restart and is stored; so is the next one."""
    postgres = PostgresServer()
    try:
        postgres.start()
        served = serve(**simulated.settings, STREAMCHAT_DATABASE_URL=postgres.new_database())
        async with Reader(served.url) as reader:
            await reader.answered(of(3, 0))
            await reader.ask(of(320, 40), MODEL)
            await reader.until(lambda: len(reader.page.messages) == 4, 60, "the question")
            await reader.reached(40)
            await asyncio.to_thread(postgres.stop)
            await reader.reached(reader.answer.text.count(" ") + 80)
            await asyncio.to_thread(postgres.start)
            await reader.ended(timeout=60)
            assert (reader.answer.text, reader.notices) == (whole(320), [])
            await reader.answered(of(5, 0))
            shown = [(m.id, m.status, m.text) for m in reader.page.messages.values()]
            async with Reader(served.url, reader.path) as fresh:
                await fresh.until(lambda: fresh.page.opened, 60, "the transcript")
                assert [(m.id, m.status, m.text) for m in fresh.page.messages.values()] == shown
    finally:
        postgres.remove()
