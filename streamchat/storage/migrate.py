"""Brings a database to this program's tables, at the start.

Knows nothing of what the tables mean. Rules:

* One process migrates at a time (SQLite: the write lock; PostgreSQL: an advisory lock); the others wait
  and find nothing left to do. All steps are one transaction: a failed step leaves the database as it was.
* An SQLite file is looked at through a read-only connection first. One that is damaged, newer than this
  program or somebody else's is reported and not touched.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from streamchat.errors import StorageError
from streamchat.storage.engine import Database
from streamchat.storage.failures import translated

SCRIPTS = Path(__file__).parent / "migrations"
_LOCK = 7310577061298463844  # any number that only this program takes
_CHECKED_BYTES = 256 * 2**20  # a check reads the whole file: about a second per 500 MB


def alembic_config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


async def prepare(database: Database, patience: float) -> None:
    """Create or upgrade the tables. Raises ``StorageError`` with one sentence."""
    shown, file = database.address.shown, database.address.file
    if file is not None:
        await asyncio.to_thread(_examine, file, shown)
        with translated(shown):
            await asyncio.to_thread(_set_wal, file, patience)
    await database.write(lambda connection: connection.run_sync(_upgrade, shown))
    database.remember_file()


def _upgrade(connection: Connection, shown: str) -> None:
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL lock_timeout = '60s'")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
    else:
        # A read-only database lets a transaction begin; only a write shows it.
        (version,) = connection.exec_driver_sql("PRAGMA user_version").one()
        connection.exec_driver_sql(f"PRAGMA user_version = {version}")
    current = MigrationContext.configure(connection).get_current_revision()
    if current is None and {"conversation", "message"} & set(inspect(connection).get_table_names()):
        raise _somebody_elses(shown)
    _check_known(current, shown)
    command.upgrade(alembic_config(connection), "head")


def _check_known(revision: str | None, shown: str) -> None:
    scripts = ScriptDirectory(str(SCRIPTS))
    if revision is not None and revision not in {script.revision for script in scripts.walk_revisions()}:
        raise StorageError(
            f"The database {shown} was written by a newer version of streamchat; "
            "update streamchat, or name another database in STREAMCHAT_DATABASE_URL.",
            reason="newer",
        )


def _examine(file: Path, shown: str) -> None:
    """Raise what is wrong with the file, without changing a byte of it. Creates its folder if need be."""
    with translated(shown):
        if not file.exists():
            _create(file, shown)
            return
        if not stat.S_ISREG(file.stat().st_mode):
            raise StorageError(f"The database {shown} is not a file.", reason="corrupt")
        if not os.access(file, os.W_OK) or not os.access(file.parent, os.W_OK):
            raise StorageError(f"The database {shown} is read-only.", reason="read-only")
        with file.open("rb") as raw:
            if raw.read(16) not in (b"", b"SQLite format 3\0"):
                raise StorageError(f"The database {shown} is damaged or not a database.", reason="corrupt")
        with closing(sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True, timeout=1)) as connection:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if file.stat().st_size <= _CHECKED_BYTES:
                _check_pages(connection, shown)
            if "alembic_version" in tables:
                revisions = connection.execute("SELECT version_num FROM alembic_version").fetchall()
                for (revision,) in revisions:
                    _check_known(revision, shown)
            elif tables:
                raise _somebody_elses(shown)


def _create(file: Path, shown: str) -> None:
    """An empty file that only this user can read: conversations are private. SQLite's own files follow its mode."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        why = error.strerror or "it cannot be written"
        raise StorageError(f"The database {shown} cannot be created: {why}.", reason="read-only") from error


def _check_pages(connection: sqlite3.Connection, shown: str) -> None:
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise StorageError(f"The database {shown} is damaged; it was left as it is.", reason="corrupt")


def _set_wal(file: Path, patience: float) -> None:
    """Switch to WAL; where several processes do so at the same moment, SQLite refuses some at once.

    (Measured: 1 of 900 with six at a time, in spite of its time-out.)
    """
    until = time.monotonic() + patience
    while True:
        with closing(sqlite3.connect(file, timeout=patience)) as connection:
            try:
                connection.execute("PRAGMA journal_mode=WAL").fetchone()
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                    raise
        time.sleep(0.02)


def _somebody_elses(shown: str) -> StorageError:
    return StorageError(
        f"The database {shown} has tables of another program; name another one in STREAMCHAT_DATABASE_URL.",
        reason="foreign",
    )
