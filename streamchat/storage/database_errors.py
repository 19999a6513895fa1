"""The only translation of database errors into error messages.

Knows nothing of the queries. Rules:

* Only ``StorageError`` (and the project's other errors) leaves storage, without SQL, values, passwords or tracebacks.
* ``transient`` errors may resolve by themselves (locked, full, unreachable): a writer keeps its data and retries.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from streamchat.errors import StorageError

Explanation = tuple[str, str, bool]
"""The error message with ``{at}`` for the address, the reason, and whether the error is transient."""

_BUSY: Explanation = ("The database {at} is locked by another program.", "locked", True)
_FULL: Explanation = ("There is no space left for the database {at}.", "full", True)
_READ_ONLY: Explanation = ("The database {at} is read-only.", "read-only", False)
_CORRUPT: Explanation = ("The database {at} is damaged or not a database; it was left as it is.", "corrupt", False)
_UNOPENED: Explanation = ("The database {at} cannot be opened.", "unreachable", False)
_UNREACHED: Explanation = ("The database {at} cannot be reached.", "unreachable", True)
_REFUSED: Explanation = ("The database {at} refused the user name or the password.", "refused", False)
_UNKNOWN: Explanation = ("The database {at} does not exist.", "gone", False)
_TABLES: Explanation = ("The tables of the database {at} are missing or not those of streamchat.", "gone", False)
_CONFLICT: Explanation = ("The database {at} was changed by another connection at the same moment.", "conflict", True)
_CROWDED: Explanation = ("The database {at} has no free connection or memory.", "busy", True)
_OTHER: Explanation = ("The database {at} could not complete the operation.", "failed", False)

_SQLITE: dict[int, Explanation] = {
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
# By SQLSTATE: the full code first, then its class (two characters).
_POSTGRES: dict[str, Explanation] = {
    "25006": _READ_ONLY,
    "25P03": ("The database {at} ended a transaction that stood still.", "slow", True),
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
    """Turn every database error inside into a ``StorageError`` about the database ``shown``."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        raise storage_error(error, shown) from error


def storage_error(error: BaseException, shown: str) -> StorageError:
    """Return the ``StorageError`` for a database error; ``shown`` names the database in its message."""
    message, reason, transient = _explain(error)
    return StorageError(message.format(at=shown), reason=reason, transient=transient)


def _explain(error: BaseException) -> Explanation:
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
        return _explain_connection_failure(str(cause))
    return _OTHER


def _explain_connection_failure(text: str) -> Explanation:
    """Classify by libpq's message, because a failed connection attempt has no SQLSTATE."""
    if "authentication failed" in text or "no password supplied" in text:
        return _REFUSED
    if "does not exist" in text:
        return _REFUSED if "role" in text else _UNKNOWN
    return _CROWDED if "too many" in text or "remaining connection slots" in text else _UNREACHED
