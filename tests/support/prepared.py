"""Databases whose tables are there already: copies of one that was opened once, in each process of tests.

Making the tables is most of what a test of the storage costs: a third of a second of CPU.
"""

from __future__ import annotations

import asyncio
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from devservers.postgres import PostgresServer
from streamchat.storage import Storage

_TEMPLATE = "prepared"


def sqlite_file(file: Path) -> None:
    """Create the file of a database, with its tables. No loop may run."""
    file.touch(0o600)
    file.write_bytes(_tables())


@cache
def _tables() -> bytes:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "tables.db"
        _open(f"sqlite:///{file}")
        return file.read_bytes()


def postgres_database(server: PostgresServer) -> str:
    """Return the URL of a new database on that server, with its tables. No loop may run."""
    if not server.execute(f"SELECT datname FROM pg_database WHERE datname = '{_TEMPLATE}'"):
        server.execute(f"CREATE DATABASE {_TEMPLATE}")
        _open(server.url(_TEMPLATE))
    return server.new_database(_TEMPLATE)


def _open(url: str) -> None:
    async def make_tables() -> None:
        storage = Storage(url)
        await storage.open()
        await storage.close()

    asyncio.run(make_tables())
