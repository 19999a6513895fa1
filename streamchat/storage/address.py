"""Database addresses: parses a URL, selects the driver, and describes the address without its password.

Knows nothing of connections. Rule: only ``shown`` may appear in an error message or a log.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from streamchat.errors import StorageError


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a database. ``shown``: a description without the password. ``file``: of SQLite, else ``None``."""

    url: URL
    shown: str
    file: Path | None

    @property
    def in_memory(self) -> bool:
        """Return whether it is a database in the memory of this process."""
        return self.url.database == ":memory:"


def read_address(url: str) -> Address:
    """Parse a database URL. Raises ``StorageError`` unless it names an SQLite file or a PostgreSQL database."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise _unusable("it is not a database address") from None
    vendor = parsed.drivername.partition("+")[0]
    if vendor == "sqlite":
        return _sqlite(parsed)
    if vendor in ("postgresql", "postgres"):
        host = parsed.query.get("host") or parsed.host or "localhost"
        shown = f"{host}:{parsed.port or 5432}/{parsed.database or parsed.username or ''}"
        return Address(parsed.set(drivername="postgresql+psycopg"), f"PostgreSQL at {shown}", None)
    raise _unusable("only sqlite:///path and postgresql://host/name are supported")


def _sqlite(url: URL) -> Address:
    name = url.database or ""
    path, _, query = name.removeprefix("file:").partition("?")
    if not path or ":memory:" in path or "mode=memory" in query or url.query.get("mode") == "memory":
        raise _unusable("a database in memory would forget every conversation; name a file: sqlite:///path")
    file = Path(path).absolute()  # as SQLAlchemy does: the working directory may change
    return Address(url.set(drivername="sqlite"), str(file), file)


def _unusable(why: str) -> StorageError:
    return StorageError(f"STREAMCHAT_DATABASE_URL cannot be used: {why}.", reason="address")
