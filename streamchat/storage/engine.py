"""Connections: the set-up of each database, and its read and write transactions.

Knows nothing of tables. Rules:

* SQLite: WAL, lock time-out of 5 s, ``synchronous=NORMAL``, foreign keys on. A write transaction takes the
  write lock at once: a transaction that starts with a read may not be able to upgrade later.
* SQLite has one writer, so the writers of this process queue here, in order, instead of polling the file.
* PostgreSQL: pooled connections are tested before use, so a restarted server costs no failed call.
* A transaction is a synchronous function that runs in a thread: one hop for all of its statements, so neither a long
  one stops the event loop, nor does a busy loop make it wait between two statements.
* It completes even if its caller is cancelled.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import StaticPool

from streamchat import extras
from streamchat.daemon_threads import DaemonPool
from streamchat.errors import StorageError
from streamchat.storage.address import Address
from streamchat.storage.database_errors import translated
from streamchat.storage.mapping import dumps, loads

T = TypeVar("T")
Work: TypeAlias = Callable[[Connection], T]
CheckAccount: TypeAlias = Callable[[Connection, str], None]
"""Raises ``Unauthorized`` unless this owner may store something new in this transaction."""

_WRITES = "streamchat_writes"
# At the same time: a writer finds a free connection, whatever is read.
_READS = 8
_WRITES_AT_ONCE = 7  # with PostgreSQL
_CLOSE_TIMEOUT = 10  # seconds for open transactions at shutdown


class Database:
    """The connections to one database. ``patience``: seconds to wait for a lock.

    Raises ``StorageError`` if the driver of PostgreSQL is not installed.
    """

    def __init__(self, address: Address, patience: float) -> None:
        self.address = address
        try:
            self.engine = _sqlite_engine(address, patience) if address.file else _postgres_engine(address, patience)
        except ImportError:
            raise StorageError(f"PostgreSQL needs {extras.hint('postgres')}", reason="address") from None
        self._writes = asyncio.Semaphore(1 if address.file else _WRITES_AT_ONCE)
        self._reads = asyncio.Semaphore(_READS)
        self._threads = DaemonPool("storage")
        self._tasks: set[asyncio.Task[Any]] = set()
        self.errors: Counter[str] = Counter()
        """Failed calls by reason: see ``StorageError``."""
        self._identity: tuple[int, int] | None = None

    async def read(self, work: Work[T]) -> T:
        """Run ``work`` on one consistent snapshot. Raises ``StorageError``."""
        return await self._complete(self._read(work))

    async def write(self, work: Work[T]) -> T:
        """Run ``work`` in one transaction, committed as a whole or not at all. Raises ``StorageError``."""
        return await self._complete(self._write(work))

    async def _read(self, work: Work[T]) -> T:
        with translated(self.address.shown):
            async with self._reads:
                return await self._in_thread(self._run_read, work)

    async def _write(self, work: Work[T]) -> T:
        with translated(self.address.shown):
            async with self._writes:
                return await self._in_thread(self._run_write, work)

    def read_within(self, work: Work[T]) -> T:
        """Run ``work`` in the thread of a transaction of another database. Raises ``StorageError``."""
        with translated(self.address.shown):
            return self._run_read(work)

    def _run_read(self, work: Work[T]) -> T:
        with self.engine.connect() as connection:
            return work(connection)

    def _run_write(self, work: Work[T]) -> T:
        self._check_still_there()
        with self.engine.connect() as connection:
            connection.execution_options(**{_WRITES: True})
            with connection.begin():
                return work(connection)

    async def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)

    async def _complete(self, work: Coroutine[Any, Any, T]) -> T:
        task = asyncio.create_task(work, name="storage")
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return await asyncio.shield(task)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            error = task.exception()  # retrieved, so that asyncio does not log it if the caller was cancelled
            if isinstance(error, StorageError):
                self.errors[error.reason] += 1

    def remember_file(self) -> None:
        """Make a removed or replaced file an error from now on: SQLite would keep writing to the removed file."""
        if self.address.file is not None:
            self._identity = _identity(self.address)

    def _check_still_there(self) -> None:
        if self._identity is not None and _identity(self.address) != self._identity:
            raise StorageError(
                f"The database {self.address.shown} was removed or replaced while it was in use; start again.",
                reason="gone",
            )

    async def close(self) -> None:
        """Wait for open transactions (at most 10 seconds), then close the connections."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_CLOSE_TIMEOUT)
        await self._in_thread(self.engine.dispose)
        self._threads.shutdown()


def _identity(address: Address) -> tuple[int, int] | None:
    try:
        status = os.stat(address.file or "")
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _sqlite_engine(address: Address, patience: float) -> Engine:
    # In memory, the one connection has everything.
    pool: dict[str, Any] = {"poolclass": StaticPool} if address.in_memory else {"pool_size": _READS + 1}
    engine = create_engine(
        address.url,
        connect_args={"isolation_level": None, "timeout": patience, "check_same_thread": False},
        json_serializer=dumps,
        json_deserializer=loads,
        **pool,
    )

    @event.listens_for(engine, "connect")
    def set_up(dbapi_connection: Any, _record: object) -> None:
        cursor = dbapi_connection.cursor()
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgres_engine(address: Address, patience: float) -> Engine:
    options = {
        "connect_timeout": 5,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 15_000,
        "application_name": "streamchat",
    }
    defaults = {name: value for name, value in options.items() if name not in address.url.query}
    engine = create_engine(
        address.url,
        # No server-side prepared statements: they break behind a pooler in transaction mode.
        connect_args={**defaults, "prepare_threshold": None},
        pool_pre_ping=True,
        pool_timeout=10,
        json_serializer=dumps,
        json_deserializer=loads,
    )

    wait = f"SET LOCAL lock_timeout = '{int(patience * 1000)}ms'"

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES)
        connection.exec_driver_sql(wait if writes else "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")

    return engine
