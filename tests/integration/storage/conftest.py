"""Each storage test runs on SQLite and on a real PostgreSQL server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from devservers.postgres import PostgresServer
from streamchat.storage import Storage
from tests.support import prepared


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database of each kind: empty, or with its tables for a test that takes ``storage``."""
    has_tables = "storage" in request.fixturenames
    if request.param == "sqlite":
        file = tmp_path / "streamchat.db"
        if has_tables:
            prepared.sqlite_file(file)
        yield f"sqlite:///{file}"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    if has_tables:
        yield (url := prepared.postgres_database(server))
        prepared.give_back(server, url)
        return
    yield (url := server.new_database())
    server.drop(url)


@pytest.fixture
async def storage(url: str) -> AsyncIterator[Storage]:
    opened = Storage(url)
    await opened.open()
    yield opened
    await opened.close()
