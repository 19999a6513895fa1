"""Connections: how each database is set up, and what a reading and a writing transaction are.

Knows nothing of tables. Rules:

* SQLite: WAL, 5 s of patience for a lock, ``synchronous=NORMAL``, foreign keys on. A writing transaction
  takes the write lock at once: one that starts by reading could not be granted it later.
* SQLite has one writer, so those of this process queue here, in order, instead of polling the file.
* PostgreSQL: pooled connections are tested before use, so a restarted server costs no failed call.
* A transaction runs in a task of its own. Where its caller is cancelled it still comes to its end: a driver
  that is cut off between two statements loses the connection, and with SQLite the lock that it holds.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import nullcontext
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from streamchat.errors import StorageError
from streamchat.storage.address import Address
from streamchat.storage.codec import dumps, loads
from streamchat.storage.failures import translated

T = TypeVar("T")
Work: TypeAlias = Callable[[AsyncConnection], Awaitable[T]]

_WRITES = "streamchat_writes"
_LAST_WAIT = 10  # seconds for what is under way when the program ends


class Database:
    """The connections to one database. ``patience``: seconds to wait for a lock."""

    def __init__(self, address: Address, patience: float) -> None:
        self.address = address
        try:
            self.engine = _sqlite_engine(address, patience) if address.file else _postgres_engine(address, patience)
        except ImportError:
            needed = "PostgreSQL needs the package psycopg: pip install 'psycopg[binary]'."
            raise StorageError(needed, reason="address") from None
        self._writer = asyncio.Lock() if address.file else nullcontext()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._identity: tuple[int, int] | None = None

    async def read(self, work: Work[T]) -> T:
        """Do this on one consistent view. Raises ``StorageError``."""
        return await self._to_its_end(self._read(work))

    async def write(self, work: Work[T]) -> T:
        """Do this in one transaction, kept as a whole or not at all. Raises ``StorageError``."""
        return await self._to_its_end(self._write(work))

    async def _read(self, work: Work[T]) -> T:
        with translated(self.address.shown):
            async with self.engine.connect() as connection:
                return await work(connection)

    async def _write(self, work: Work[T]) -> T:
        with translated(self.address.shown):
            async with self._writer:
                self._check_still_there()
                async with self.engine.connect() as connection:
                    await connection.execution_options(**{_WRITES: True})
                    async with connection.begin():
                        return await work(connection)

    async def _to_its_end(self, work: Coroutine[Any, Any, T]) -> T:
        task = asyncio.create_task(work, name="storage")
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return await asyncio.shield(task)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # looked at, also where the caller has gone

    def remember_file(self) -> None:
        """From now on a removed or replaced file is an error: SQLite would write on into the removed one."""
        if self.address.file is not None:
            self._identity = _identity(self.address)

    def _check_still_there(self) -> None:
        if self._identity is not None and _identity(self.address) != self._identity:
            raise StorageError(
                f"The database {self.address.shown} was removed or replaced while it was in use; start again.",
                reason="gone",
            )

    async def close(self) -> None:
        """Let what is under way come to its end, then close the connections."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_LAST_WAIT)
        await self.engine.dispose()


def _identity(address: Address) -> tuple[int, int] | None:
    try:
        found = os.stat(address.file or "")
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _sqlite_engine(address: Address, patience: float) -> AsyncEngine:
    engine = create_async_engine(
        address.url,
        connect_args={"isolation_level": None, "timeout": patience},
        json_serializer=dumps,
        json_deserializer=loads,
    )

    @event.listens_for(engine.sync_engine, "connect")
    def set_up(dbapi_connection: Any, _record: object) -> None:
        cursor = dbapi_connection.cursor()
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgres_engine(address: Address, patience: float) -> AsyncEngine:
    options = {
        "connect_timeout": 5,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 15_000,
        "application_name": "streamchat",
    }
    given = {name: value for name, value in options.items() if name not in address.url.query}
    engine = create_async_engine(
        address.url,
        # No server-side prepared statements: they break behind a pooler in transaction mode.
        connect_args={**given, "prepare_threshold": None},
        pool_pre_ping=True,
        pool_timeout=10,
        json_serializer=dumps,
        json_deserializer=loads,
    )

    wait = f"SET LOCAL lock_timeout = '{int(patience * 1000)}ms'"

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES)
        connection.exec_driver_sql(wait if writes else "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")

    return engine
