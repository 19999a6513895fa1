"""The database of temporary chats: the tables in the memory of this process.

Knows nothing of queries. Rules:

* One connection, so one transaction at a time. Nothing of it is in a file: SQLite sorts in memory too.
* It has a maximum size, beyond which a write fails as on a full disk.
* The tables are created with the first use.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event, make_url

from streamchat.storage.address import Address
from streamchat.storage.database_errors import translated
from streamchat.storage.engine import Database, T, Work
from streamchat.storage.tables import Table

# Pages of 4 KiB: 256 MiB.
MAX_PAGES = 65_536


class MemoryDatabase(Database):
    """See above. ``used``: whether there may be anything in it."""

    def __init__(self) -> None:
        address = Address(make_url("sqlite:///:memory:"), "of temporary chats", Path(":memory:"))
        super().__init__(address, 0)
        self.used = False
        self._alone = asyncio.Lock()

        @event.listens_for(self.engine, "connect")
        def bound(dbapi_connection: Any, _record: object) -> None:
            cursor = dbapi_connection.cursor()
            cursor.execute("PRAGMA temp_store=MEMORY")
            cursor.execute(f"PRAGMA max_page_count={MAX_PAGES}")
            cursor.close()

    async def _read(self, work: Work[T], engine: Engine | None = None) -> T:
        async with self._alone:
            await self._create()
            return await super()._read(work, engine)

    async def _write(self, work: Work[T]) -> T:
        async with self._alone:
            await self._create()
            return await super()._write(work)

    async def _create(self) -> None:
        if not self.used:
            with translated(self.address.shown):
                await self._in_thread(Table.metadata.create_all, self.engine)
            self.used = True
