"""The audit log in the database: entries are added, read in pages, and deleted when they are too old.

Knows no event by name. Rule: nothing changes an entry, but that the ids of a person who is deleted are replaced.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from secrets import token_urlsafe
from typing import Any

from sqlalchemy import Connection, Table, delete, insert, or_, select, update

from streamchat.storage.audit_tables import AuditTable
from streamchat.storage.engine import Database
from streamchat.storage.tables import now

entry: Table = AuditTable.__table__
ERASED = "erased:"
"""Begins what stands in place of the id of a person who was deleted."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One entry. ``id`` grows with time. Ids of accounts may be those of people who are gone."""

    id: int
    at: datetime
    event: str
    actor: str | None
    subject: str | None
    address: str | None
    detail: Mapping[str, Any]


class AuditStore:
    """The audit log of a database that is open."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self, event: str, actor: str | None, subject: str | None, address: str | None, detail: Mapping[str, Any]
    ) -> None:
        """Add an entry. Raises ``StorageError``."""
        row = {"at": now(), "event": event, "actor": actor, "subject": subject, "address": address}
        statement = insert(entry).values(**row, detail=dict(detail))
        await self._database.write(lambda connection: connection.execute(statement))

    async def page(self, *, limit: int, before: int | None, event: str | None, account: str | None) -> list[AuditEntry]:
        """Return entries, newest first. ``before``: the id of the last one of the page before.

        ``event``: of this kind only; ``account``: done by it or to it.
        """
        query = select(entry).order_by(entry.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(entry.c.id < before)
        if event is not None:
            query = query.where(entry.c.event == event)
        if account is not None:
            query = query.where(or_(entry.c.actor == account, entry.c.subject == account))

        def work(connection: Connection) -> list[AuditEntry]:
            return [AuditEntry(*row) for row in connection.execute(query)]

        return await self._database.read(work)

    async def purge(self, before: datetime) -> None:
        """Delete the entries from before then."""
        await self._database.write(lambda connection: connection.execute(delete(entry).where(entry.c.at < before)))

    async def forget(self, account_id: str) -> str:
        """Replace the id of an account by another one, the same in all entries, without addresses and details.

        Returns what stands there now: what one person did is seen to be of one person, and of whom nobody knows.
        """
        other = ERASED + token_urlsafe(9)

        def work(connection: Connection) -> None:
            for column in (entry.c.actor, entry.c.subject):
                mine = update(entry).where(column == account_id)
                connection.execute(mine.values({column: other, entry.c.address: None, entry.c.detail: {}}))

        await self._database.write(work)
        return other
