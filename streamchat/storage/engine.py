"""Connections: the set-up of each database, its read and write transactions, and single reads without one.

Knows nothing of tables. Rules:

* SQLite: WAL, lock time-out of 5 s, ``synchronous=NORMAL``, foreign keys on. A write transaction takes the
  write lock at once: a transaction that starts with a read may not be able to upgrade later.
* SQLite has one writer, so the writers of this process queue here, in order, instead of polling the file. What keeps a
  process alive for the others comes first: behind two hundred beginnings it would be taken for dead.
* PostgreSQL: a pooled connection whose server was restarted costs no failed call, and no test before use: what has had
  no effect yet (a read, the beginning of a write) is done again on a new connection.
* A transaction is a synchronous function that runs in a thread: one hop for all of its statements, so neither a long
  one stops the event loop, nor does a busy loop make it wait between two statements.
* It completes even if its caller is cancelled.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
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

_KIND = "streamchat_transaction"
# An option of connections: what kind of transaction is begun; none for a single read.
_WRITE, _READ, _NONE = "write", "read", "none"
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
        # The same connections with other options.
        snapshot: dict[str, Any] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        single: dict[str, Any] = {"isolation_level": "AUTOCOMMIT"}
        if address.file:  # the driver begins nothing by itself
            snapshot, single = {}, {}
        self._for_writes = self.engine.execution_options(**{_KIND: _WRITE})
        self._for_reads = self.engine.execution_options(**{_KIND: _READ}, **snapshot)
        self._for_look_ups = self.engine.execution_options(**{_KIND: _NONE}, **single)
        at_once = 1 if address.file else _WRITES_AT_ONCE
        self._writes = asyncio.Semaphore(at_once)
        self._line = asyncio.Semaphore(at_once)  # so that no more than these are before what comes first
        self._reads = asyncio.Semaphore(_READS)
        self._threads = DaemonPool("storage")
        self._tasks: set[asyncio.Task[Any]] = set()
        self.errors: Counter[str] = Counter()
        """Failed calls by reason: see ``StorageError``."""
        self._identity: tuple[int, int] | None = None

    async def read(self, work: Work[T]) -> T:
        """Run ``work`` on one consistent snapshot. Raises ``StorageError``."""
        return await self._complete(self._read(work))

    async def look_up(self, work: Work[T]) -> T:
        """Run ``work``, which is one SELECT, without a transaction: one round trip. Raises ``StorageError``.

        A caller that is cancelled leaves the thread to its SELECT; nothing has to be completed.
        """
        return await self._read(work, self._for_look_ups)

    async def write(self, work: Work[T], *, first: bool = False) -> T:
        """Run ``work`` in one transaction, committed as a whole or not at all. Raises ``StorageError``.

        ``first``: before all that wait already.
        """
        return await self._complete(self._write(work) if first else self._write_in_line(work))

    async def _read(self, work: Work[T], engine: Engine | None = None) -> T:
        with self._counted():
            async with self._reads:
                return await self._in_thread(self._run_read, work, engine or self._for_reads)

    async def _write_in_line(self, work: Work[T]) -> T:
        async with self._line:
            return await self._write(work)

    async def _write(self, work: Work[T]) -> T:
        with self._counted():
            async with self._writes:
                return await self._in_thread(self._run_write, work)

    def read_within(self, work: Work[T]) -> T:
        """Run ``work`` in the thread of a transaction of another database. Raises ``StorageError``."""
        with translated(self.address.shown):
            return self._run_read(work, self._for_reads)

    def _run_read(self, work: Work[T], engine: Engine) -> T:
        def read() -> T:
            with engine.connect() as connection:
                return work(connection)

        return _on_live_connection(read)

    def _run_write(self, work: Work[T]) -> T:
        self._check_still_there()
        with _on_live_connection(self._begin_write) as connection:
            result = work(connection)
            connection.commit()
            return result

    def _begin_write(self) -> Connection:
        connection = self._for_writes.connect()
        try:
            connection.begin()
        except BaseException:
            connection.close()
            raise
        return connection

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
            task.exception()  # retrieved, so that asyncio does not log it if the caller was cancelled

    @contextmanager
    def _counted(self) -> Iterator[None]:
        try:
            with translated(self.address.shown):
                yield
        except StorageError as error:
            self.errors[error.reason] += 1
            raise

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


def _on_live_connection(begin: Callable[[], T]) -> T:
    """Return what this returns, of a second try if the connection had been closed. It must have no effect if it fails.

    After the first failure the pool opens new connections only.
    """
    try:
        return begin()
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
    return begin()


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
        kind = connection.get_execution_options().get(_KIND, _READ)
        if kind != _NONE:
            connection.exec_driver_sql("BEGIN IMMEDIATE" if kind == _WRITE else "BEGIN")

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
        pool_timeout=10,
        json_serializer=dumps,
        json_deserializer=loads,
    )

    # A process that stands still in the middle of a transaction (a paused machine, SIGSTOP) would keep its rows locked,
    # and nobody could take its answers over: the server ends such a transaction.
    names = ("lock_timeout", "idle_in_transaction_session_timeout")
    limits = "; ".join(f"SET LOCAL {name} = '{int(patience * 1000)}ms'" for name in names)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if connection.get_execution_options().get(_KIND) == _WRITE:
            connection.exec_driver_sql(limits)

    return engine
