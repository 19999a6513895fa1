"""Database schema of use and its limits: what answers of a day took, what each may take, and which models are off.

Knows nothing of queries. Rules:

* A day is a day of UTC, as ``2026-11-29``. An answer counts on the day on which its ending was stored.
* ``owner`` is that of a conversation. ``credential`` is the id of the API key that asked, empty for a person.
* A change here needs a migration; a test compares the two.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Float, Integer, Text
from sqlmodel import Field

from streamchat.storage.tables import Table


def _key() -> Any:
    return Field(sa_column=Column(Text, primary_key=True))


def _count(kind: Any) -> Any:
    return Field(default=0, sa_column=Column(kind, nullable=False))


def _limit(kind: Any) -> Any:
    return Field(default=None, sa_column=Column(kind, nullable=True))


class DailyUsageTable(Table, table=True):
    """Answers of a day, by who asked and which model answered.

    ``cost``: US dollars of those whose cost is known; ``unpriced``: how many have none. ``own_key_requests``,
    ``own_key_cost``: what of both was made with keys that people brought.
    """

    __tablename__ = "daily_usage"

    day: str = _key()
    owner: str = _key()
    credential: str = _key()
    model: str = _key()
    requests: int = _count(Integer)
    input: int = _count(BigInteger)
    output: int = _count(BigInteger)
    cost: float = _count(Float)
    unpriced: int = _count(Integer)
    own_key_requests: int = _count(Integer)
    own_key_cost: float = _count(Float)


class UsageLimitTable(Table, table=True):
    """Limits of one owner or one API key; ``NULL`` leaves a limit to the settings.

    ``subject``: the id of the owner or of the key; ``owner``: whose key it is, or the same. ``cost``: US dollars a
    day; ``running``: answers at the same time; the others are counts of a day.
    """

    __tablename__ = "usage_limit"

    subject: str = _key()
    owner: str = Field(sa_column=Column(Text, nullable=False))
    requests: int | None = _limit(Integer)
    running: int | None = _limit(Integer)
    tokens: int | None = _limit(BigInteger)
    cost: float | None = _limit(Float)


class ModelOffTable(Table, table=True):
    """Models that an admin has switched off."""

    __tablename__ = "model_off"

    model: str = _key()
