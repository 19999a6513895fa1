"""Database schema of the audit log.

Rules:

* Rows are added, and deleted when they are too old; none is changed, but for the ids of a person who was deleted.
* A row has ids, never a name, a secret or the text of a message. Its columns are not called ``owner`` or
  ``account_id``: it belongs to the server, not to the person.
* A change here needs a migration; a test compares the two.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Index, Integer, Text
from sqlmodel import Field

from streamchat.storage.tables import Table, time_field


class AuditTable(Table, table=True):
    """``actor``: the id of the account that did it, ``subject``: of the account to which it was done.

    ``address``: from which it came, if that is known. ``detail``: a few short values, ids of other things among them.
    """

    __tablename__ = "audit_entry"
    __table_args__ = (Index(None, "at"),)

    id: int = Field(sa_column=Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True))
    at: datetime = time_field()
    event: str = Field(sa_column=Column(Text, nullable=False))
    actor: str | None = Field(default=None, sa_column=Column(Text))
    subject: str | None = Field(default=None, sa_column=Column(Text))
    address: str | None = Field(default=None, sa_column=Column(Text))
    detail: Any = Field(default=None, sa_column=Column(JSON, nullable=False))
