"""What is in a server's database, read from outside."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """A message as stored."""

    id: str
    conversation_id: str
    parent_id: str | None
    role: str
    status: str
    parts: list[dict]

    @property
    def text(self) -> str:
        return "".join(part["text"] for part in self.parts if part["type"] == "text")


@contextmanager
def reading(database: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)) as connection:
        connection.row_factory = sqlite3.Row
        yield connection


def messages(database: Path, conversation_id: str | None = None) -> list[Row]:
    """The messages of one conversation or of all, in the order in which the server took them."""
    query = "select id, conversation_id, parent_id, role, status, parts from message order by conversation_id, position"
    with reading(database) as connection:
        rows = [Row(**dict(row) | {"parts": json.loads(row["parts"])}) for row in connection.execute(query)]
    return [row for row in rows if conversation_id in (None, row.conversation_id)]


def unended(database: Path) -> list[str]:
    """The answers that say that they are being written."""
    with reading(database) as connection:
        query = "select id from message where status in ('streaming', 'waiting')"
        return [row[0] for row in connection.execute(query)]
