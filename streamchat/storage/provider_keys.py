"""Keys of vendors that people bring: rows in, rows out. They are encrypted before they come here.

Knows no cipher and no vendor. Rules: one key per owner and vendor, and saving it again replaces it. Every call for a
person takes ``owner`` first.
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, Row, Table, Text, delete, insert, select, update
from sqlmodel import Field

from streamchat.errors import NotFound
from streamchat.storage.engine import CheckAccount, Database
from streamchat.storage.tables import SECRET, now, time_field
from streamchat.storage.tables import Table as Base


class ProviderKeyTable(Base, table=True):
    """Keys that people bring, by vendor. ``sealed``: the key, encrypted. ``ending``: its last characters."""

    __tablename__ = "provider_key"

    owner: str = Field(sa_column=Column(Text, primary_key=True))
    vendor: str = Field(sa_column=Column(Text, primary_key=True))
    sealed: str = Field(sa_column=Column(Text, nullable=False, info={SECRET: True}))
    ending: str = Field(sa_column=Column(Text, nullable=False))
    set_at: Any = time_field()
    used_at: Any = time_field(nullable=True)


provider_key: Table = ProviderKeyTable.__table__


@dataclass(frozen=True, slots=True)
class ProviderKey:
    """One key. ``used_at``: ``None`` if it was not used yet."""

    owner: str
    vendor: str
    sealed: str
    ending: str
    set_at: datetime
    used_at: datetime | None = None


class ProviderKeyStore:
    """The keys of everybody."""

    def __init__(self, database: Database, check_account: CheckAccount) -> None:
        self._database = database
        self._check_account = check_account

    async def list(self, owner: str) -> builtins.list[ProviderKey]:
        """Return the keys of a person, by vendor."""

        def read(connection: Connection) -> list[ProviderKey]:
            mine = select(provider_key).where(provider_key.c.owner == owner)
            return [_key(row) for row in connection.execute(mine.order_by(provider_key.c.vendor))]

        return await self._database.read(read)

    async def all(self) -> builtins.list[ProviderKey]:
        """Return the keys of everybody."""

        def read(connection: Connection) -> list[ProviderKey]:
            return [_key(row) for row in connection.execute(select(provider_key))]

        return await self._database.read(read)

    async def save(self, owner: str, vendor: str, sealed: str, ending: str) -> ProviderKey:
        """Store a key, in place of the one before it."""
        new = ProviderKey(owner, vendor, sealed, ending, now())

        def write(connection: Connection) -> None:
            self._check_account(connection, owner)
            connection.execute(delete(provider_key).where(*_is(owner, vendor)))
            values = {"sealed": sealed, "ending": ending, "set_at": new.set_at}
            connection.execute(insert(provider_key).values(owner=owner, vendor=vendor, **values))

        await self._database.write(write)
        return new

    async def delete(self, owner: str, vendor: str) -> None:
        """Delete a key. Raises ``NotFound``."""

        def write(connection: Connection) -> None:
            if not connection.execute(delete(provider_key).where(*_is(owner, vendor))).rowcount:
                raise NotFound("There is no such key.")

        await self._database.write(write)

    async def seal_again(self, key: ProviderKey, sealed: str) -> None:
        """Replace how a key is encrypted, if it is still the same one."""

        def write(connection: Connection) -> None:
            same = (*_is(key.owner, key.vendor), provider_key.c.sealed == key.sealed)
            connection.execute(update(provider_key).where(*same).values(sealed=sealed))

        await self._database.write(write)

    async def used(self, at: Mapping[tuple[str, str], datetime]) -> None:
        """Store when keys, by owner and vendor, were last used."""

        def write(connection: Connection) -> None:
            for (owner, vendor), when in sorted(at.items()):
                connection.execute(update(provider_key).where(*_is(owner, vendor)).values(used_at=when))

        await self._database.write(write)


def _is(owner: str, vendor: str) -> tuple[Any, Any]:
    return provider_key.c.owner == owner, provider_key.c.vendor == vendor


def _key(row: Row) -> ProviderKey:
    return ProviderKey(row.owner, row.vendor, row.sealed, row.ending, row.set_at, row.used_at)
