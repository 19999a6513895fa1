"""The one place where database errors become sentences.

Knows nothing of what was asked. Rules:

* Only ``StorageError`` (and the project's other errors) leaves storage; no SQL, value, password or traceback in it.
* ``transient`` errors may pass by themselves (locked, full, unreachable): a writer keeps what it has and tries again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from streamchat.errors import StorageError

Told = tuple[str, str, bool]
"""Sentence with ``{at}`` for the place, reason, transient."""

_BUSY: Told = ("The database {at} is locked by another program.", "locked", True)
_FULL: Told = ("There is no space left for the database {at}.", "full", True)
_READ_ONLY: Told = ("The database {at} is read-only.", "read-only", False)
_CORRUPT: Told = ("The database {at} is damaged or not a database; it was left as it is.", "corrupt", False)
_UNOPENED: Told = ("The database {at} cannot be opened.", "unreachable", False)
_UNREACHED: Told = ("The database {at} cannot be reached.", "unreachable", True)
_REFUSED: Told = ("The database {at} refused the user name or the password.", "refused", False)
_UNKNOWN: Told = ("The database {at} does not exist.", "gone", False)
_TABLES: Told = ("The tables of the database {at} are missing or not those of streamchat.", "gone", False)
_CONFLICT: Told = ("The database {at} was changed by somebody else at the same moment.", "conflict", True)
_CROWDED: Told = ("The database {at} has no free connection or memory.", "busy", True)
_OTHER: Told = ("The database {at} could not do what was asked.", "failed", False)

_SQLITE: dict[int, Told] = {
    sqlite3.SQLITE_BUSY: _BUSY,
    sqlite3.SQLITE_LOCKED: _BUSY,
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_READONLY: _READ_ONLY,
    sqlite3.SQLITE_CORRUPT: _CORRUPT,
    sqlite3.SQLITE_NOTADB: _CORRUPT,
    sqlite3.SQLITE_CANTOPEN: _UNOPENED,
    sqlite3.SQLITE_PERM: _UNOPENED,
    sqlite3.SQLITE_AUTH: _UNOPENED,
    sqlite3.SQLITE_IOERR: ("The disk of the database {at} reports an error.", "disk", True),
    sqlite3.SQLITE_ERROR: _TABLES,
}
# By SQLSTATE: the whole code first, then its class (two characters).
_POSTGRES: dict[str, Told] = {
    "25006": _READ_ONLY,
    "28": _REFUSED,
    "3D": _UNKNOWN,
    "3F": _TABLES,
    "40": _BUSY,
    "42501": ("The database {at} does not allow this user to write.", "refused", False),
    "42": _TABLES,
    "53100": _FULL,
    "53": _CROWDED,
    "55": _BUSY,
    "57014": ("The database {at} took too long to answer.", "slow", True),
    "57": _UNREACHED,
    "08": _UNREACHED,
    "58": ("The disk of the database {at} reports an error.", "disk", True),
    "XX001": _CORRUPT,
    "XX002": _CORRUPT,
}


@contextmanager
def translated(shown: str) -> Iterator[None]:
    """Turn every database error inside into a ``StorageError`` about ``shown``."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, CommandError, OSError) as error:
        raise storage_error(error, shown) from error


def storage_error(error: BaseException, shown: str) -> StorageError:
    sentence, reason, transient = _told(error)
    return StorageError(sentence.format(at=shown), reason=reason, transient=transient)


def _told(error: BaseException) -> Told:
    if isinstance(error, PoolTimeout):
        return "The database {at} is too busy.", "busy", True
    if isinstance(error, IntegrityError):
        return _CONFLICT
    cause = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(cause, "sqlite_errorcode", None)
    if code is not None:
        return _SQLITE.get(code & 0xFF, _OTHER)
    state = getattr(cause, "sqlstate", None)
    if state:
        return _POSTGRES.get(state) or _POSTGRES.get(state[:2], _OTHER)
    if isinstance(cause, OSError):
        return _UNOPENED
    if isinstance(error, OperationalError | InterfaceError):
        return _startup(str(cause))
    return _OTHER


def _startup(text: str) -> Told:
    """libpq gives no SQLSTATE where the connection itself failed: only its words tell."""
    if "authentication failed" in text or "no password supplied" in text:
        return _REFUSED
    if "does not exist" in text:
        return _REFUSED if "role" in text else _UNKNOWN
    return _CROWDED if "too many" in text or "remaining connection slots" in text else _UNREACHED
