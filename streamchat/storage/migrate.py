"""Schema migration at start-up.

Knows nothing of the meaning of the tables. Rules:

* One process migrates at a time (SQLite: the write lock; PostgreSQL: an advisory lock); the others wait
  and then have nothing to do. All steps are one transaction: a failed step leaves the database unchanged.
* An SQLite file is checked through a read-only connection first. A file that is damaged, newer than this
  version or from another program is reported and not touched.
* Alembic is imported only if there is something to migrate: at most starts the schema is up to date.
"""

from __future__ import annotations

import asyncio
import os
import re
import sqlite3
import stat
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from sqlalchemy import Connection, inspect

from streamchat.errors import StorageError
from streamchat.storage.database_errors import storage_error, translated
from streamchat.storage.engine import Database

if TYPE_CHECKING:
    from alembic.config import Config

SCRIPTS = Path(__file__).parent / "migrations"
_REVISION = re.compile(r'^revision = "(\w+)"', re.MULTILINE)
_LOCK = 7310577061298463844  # an arbitrary number that no other program uses
_CHECKED_BYTES = 256 * 2**20  # the check reads the whole file: about 1 s per 500 MB


def revisions() -> list[str]:
    """Return the schema revisions that this version knows, oldest first, in the order of the files in ``versions/``."""
    files = sorted((SCRIPTS / "versions").glob("*.py"))
    return [match[1] for file in files if (match := _REVISION.search(file.read_text("utf-8")))]


def alembic_config(connection: Connection | None = None) -> Config:
    """Return the Alembic configuration of the migrations, to run on ``connection``."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


async def prepare(database: Database, patience: float) -> None:
    """Create or upgrade the tables. ``patience``: seconds to wait for a lock. Raises ``StorageError``."""
    shown, file = database.address.shown, database.address.file
    if file is not None:
        await asyncio.to_thread(_examine, file, shown)
        with translated(shown):
            await asyncio.to_thread(_set_wal, file, patience)
    await database.write(lambda connection: _upgrade(connection, shown))
    database.remember_file()


def _upgrade(connection: Connection, shown: str) -> None:
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL lock_timeout = '60s'")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
    else:
        # A transaction begins on a read-only database as well: only a write fails.
        (version,) = connection.exec_driver_sql("PRAGMA user_version").one()
        connection.exec_driver_sql(f"PRAGMA user_version = {version}")
    tables = set(inspect(connection).get_table_names())
    current = _stored_revisions(connection) if "alembic_version" in tables else []
    if not current and {"conversation", "message"} & tables:
        raise _foreign_tables(shown)
    _check_known(current, shown)
    if current != revisions()[-1:]:
        _migrate(connection, shown)


def _stored_revisions(connection: Connection) -> list[str]:
    return list(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars())


def _migrate(connection: Connection, shown: str) -> None:
    from alembic import command
    from alembic.util import CommandError

    try:
        command.upgrade(alembic_config(connection), "head")
    except CommandError as error:
        raise storage_error(error, shown) from error


def _check_known(stored: list[str], shown: str) -> None:
    if not set(stored) <= set(revisions()):
        raise StorageError(
            f"The database {shown} was written by a newer version of streamchat; "
            "update streamchat, or name another database in STREAMCHAT_DATABASE_URL.",
            reason="newer",
        )


def _examine(file: Path, shown: str) -> None:
    """Check the file without changing it, or create it with its folder if it is missing. Raises ``StorageError``."""
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
                stored = connection.execute("SELECT version_num FROM alembic_version").fetchall()
                _check_known([revision for (revision,) in stored], shown)
            elif tables:
                raise _foreign_tables(shown)


def _create(file: Path, shown: str) -> None:
    """Create an empty file with mode 0600, because conversations are private. SQLite's other files inherit the mode."""
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
    """Switch to WAL. Retries, because SQLite refuses some of several simultaneous attempts in spite of its time-out.

    (Measured: 1 of 900 with six processes at a time.)
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


def _foreign_tables(shown: str) -> StorageError:
    return StorageError(
        f"The database {shown} has tables of another program; name another one in STREAMCHAT_DATABASE_URL.",
        reason="foreign",
    )
