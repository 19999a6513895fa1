"""Databases whose tables are there already: copies of one that was opened once, in each process of tests.

Making the tables is most of what a test of the storage costs: a third of a second of CPU.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from devservers.postgres import PostgresServer
from streamchat.storage import Storage

_TEMPLATE = "prepared"
# No row waits for another one of a foreign key, and no connection that a test left holds a lock.
_DELETE_ALL = """
DO $$
DECLARE name text;
BEGIN
    PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid();
    SET LOCAL session_replication_role = replica;
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version' LOOP
        EXECUTE format('DELETE FROM %I', name);
    END LOOP;
END $$
"""
_emptied: dict[PostgresServer, list[str]] = defaultdict(list)


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
    """Return the URL of a database on that server, with its tables, which are empty. No loop may run."""
    if _emptied[server]:
        return _emptied[server].pop()
    if not server.execute(f"SELECT datname FROM pg_database WHERE datname = '{_TEMPLATE}'"):
        server.execute(f"CREATE DATABASE {_TEMPLATE}")
        _open(server.url(_TEMPLATE))
    return server.new_database(_TEMPLATE)


def give_back(server: PostgresServer, url: str) -> None:
    """Delete all rows of such a database, for another test to take: a tenth of the CPU time of a copy. For tests that
    leave the tables and the settings of their database as they are."""
    server.execute(_DELETE_ALL, url.rpartition("/")[2])
    _emptied[server].append(url)


def _open(url: str) -> None:
    async def make_tables() -> None:
        storage = Storage(url)
        await storage.open()
        await storage.close()

    asyncio.run(make_tables())
