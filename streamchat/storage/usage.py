"""Use and its limits in the database: values in, values out.

Knows the tables of ``usage_tables``; knows no settings and no rule of what is too much. Rules:

* An ending is counted in the transaction that stores it, so each answer counts once, whichever worker ends it.
* Counts come from providers: they are cut to what a column takes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Connection, Table, delete, func, insert, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from streamchat.chat.messages import Message
from streamchat.storage.account_tables import ApiKeyTable, SessionTable
from streamchat.storage.engine import Database
from streamchat.storage.mapping import plain_text
from streamchat.storage.queries import answers, conversation, message
from streamchat.storage.usage_tables import DailyUsageTable, ModelOffTable, UsageLimitTable

BY = "by"
"""In the ``request`` of an answer: the id of the API key that asked."""
MAX_COUNT = 10**12
_SUMS = ("requests", "input", "output", "cost", "unpriced", "own_key_requests", "own_key_cost")


def _table(model: Any) -> Table:
    return model.__table__


daily = _table(DailyUsageTable)
limit = _table(UsageLimitTable)
model_off = _table(ModelOffTable)
session = _table(SessionTable)
api_key = _table(ApiKeyTable)


@dataclass(frozen=True, slots=True)
class Limits:
    """What an owner or a key may use; ``None`` for no limit of its own.

    ``requests``, ``tokens`` (read and written) and ``cost`` (US dollars) are of a day of UTC; ``running``: answers at
    the same time.
    """

    requests: int | None = None
    running: int | None = None
    tokens: int | None = None
    cost: float | None = None

    def over(self, defaults: Limits) -> Limits:
        """Return these limits, with what they leave out taken from ``defaults``."""
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        return Limits(**{n: getattr(defaults, n) if value is None else value for n, value in own.items()})


@dataclass(frozen=True, slots=True)
class Counts:
    """What was used on a day. ``requests``: answers that ended; ``running``: those in progress now, in any process."""

    requests: int = 0
    running: int = 0
    tokens: int = 0
    cost: float = 0.0

    def __add__(self, other: Counts) -> Counts:
        """Return the sum of each."""
        return Counts(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))


@dataclass(frozen=True, slots=True)
class DayUsage:
    """Answers of a day, by who asked and which model answered. ``credential``: of an API key, "" for a person.

    ``own_key_requests``, ``own_key_cost``: what of ``requests`` and ``cost`` was made with keys that people brought.
    """

    day: str
    owner: str
    credential: str
    model: str
    requests: int
    input: int
    output: int
    cost: float
    unpriced: int
    own_key_requests: int
    own_key_cost: float


def today() -> str:
    """Return the day of UTC."""
    return datetime.now(UTC).date().isoformat()


class UsageStore:
    """Use and its limits. ``databases``: all in which answers are; ``main``: the one that has the limits."""

    def __init__(self, main: Database, databases: Callable[[], Sequence[Database]]) -> None:
        self._main = main
        self._databases = databases

    async def used(self, owner: str, day: str) -> dict[str, Counts]:
        """Return what this owner used on a day by API key, ``""`` for the owner without one."""
        counts: defaultdict[str, Counts] = defaultdict(Counts)

        def work(connection: Connection) -> None:
            tokens, cost = func.sum(daily.c.input + daily.c.output), func.sum(daily.c.cost)
            sums = select(daily.c.credential, func.sum(daily.c.requests), tokens, cost)
            of_day = sums.where(daily.c.day == day, daily.c.owner == owner).group_by(daily.c.credential)
            for credential, requests, tokens, cost in connection.execute(of_day):
                counts[credential] += Counts(int(requests), 0, int(tokens), float(cost))
            running = answers(owner, message.c.request).where(message.c.status == "streaming")
            for (request,) in connection.execute(running):
                counts[_credential(request)] += Counts(running=1)

        for database in self._databases():
            await database.read(work)
        return dict(counts)

    async def report(self, since: date) -> list[DayUsage]:
        """Return all use since this day, the newest day first."""
        totals: defaultdict[tuple[str, ...], list[float]] = defaultdict(lambda: [0] * len(_SUMS))

        def work(connection: Connection) -> None:
            for row in connection.execute(select(daily).where(daily.c.day >= since.isoformat())):
                sums = totals[row.day, row.owner, row.credential, row.model]
                for index, name in enumerate(_SUMS):
                    sums[index] += getattr(row, name)

        for database in self._databases():
            await database.read(work)
        rows = [DayUsage(*key, *sums) for key, sums in totals.items()]  # pyrefly: ignore[bad-argument-type] as summed
        rows.sort(key=lambda row: (row.owner, row.credential, row.model))
        return sorted(rows, key=lambda row: row.day, reverse=True)

    async def seen(self) -> dict[str, datetime]:
        """Return when each account last used a session or an API key."""

        def work(connection: Connection) -> dict[str, datetime]:
            times: dict[str, datetime] = {}
            for table in (session, api_key):
                last = select(table.c.account_id, func.max(table.c.used_at)).group_by(table.c.account_id)
                for account_id, at in connection.execute(last):
                    if at is not None:
                        times[account_id] = max(at, times.get(account_id, at))
            return times

        return await self._main.read(work)

    async def limits(self) -> dict[str, Limits]:
        """Return all limits of owners and keys, by id."""

        def work(connection: Connection) -> dict[str, Limits]:
            names = [field.name for field in fields(Limits)]
            rows = connection.execute(select(limit))
            return {row.subject: Limits(**{name: getattr(row, name) for name in names}) for row in rows}

        return await self._main.read(work)

    async def set_limits(self, owner: str, limits: Limits, *, key: str | None = None) -> None:
        """Replace the limits of an owner, or of one of the owner's keys."""
        subject = key or owner

        def work(connection: Connection) -> None:
            connection.execute(delete(limit).where(limit.c.subject == subject))
            if limits != Limits():
                connection.execute(insert(limit).values(subject=subject, owner=owner, **asdict(limits)))

        await self._main.write(work)

    async def models_off(self) -> frozenset[str]:
        """Return the ids of the models that are switched off."""

        def work(connection: Connection) -> frozenset[str]:
            return frozenset(connection.execute(select(model_off.c.model)).scalars())

        return await self._main.read(work)

    async def switch_model(self, model_id: str, *, off: bool) -> None:
        """Switch a model off, or on again."""

        def work(connection: Connection) -> None:
            connection.execute(delete(model_off).where(model_off.c.model == model_id))
            if off:
                connection.execute(insert(model_off).values(model=model_id))

        await self._main.write(work)


def count_ended(connection: Connection, ended: Iterable[Message]) -> None:
    """Count these answers, whose endings were stored in this transaction, in the order of the rows' keys."""
    by_id = {answer.id: answer for answer in ended if answer.ended}
    if not by_id:
        return
    requests = select(message.c.id, message.c.request, conversation.c.owner).join_from(message, conversation)
    day, sums_by_key = today(), dict[tuple[str, str, str], dict[str, Any]]()
    for row in connection.execute(requests.where(message.c.id.in_(list(by_id)))):
        answer = by_id[row.id]
        key = (row.owner, _credential(row.request), plain_text(answer.model))
        sums = sums_by_key.setdefault(key, dict.fromkeys(_SUMS, 0))
        for name, value in _counts(answer).items():
            sums[name] += value
    names = ("owner", "credential", "model")
    rows = [{"day": day} | dict(zip(names, key, strict=True)) | sums for key, sums in sorted(sums_by_key.items())]
    if rows:
        connection.execute(_ADD[connection.dialect.name], rows)


def _add(statement: Any) -> Any:
    sums = {name: daily.c[name] + statement.excluded[name] for name in _SUMS}
    return statement.on_conflict_do_update(index_elements=list(daily.primary_key), set_=sums)


_ADD = {"sqlite": _add(sqlite_insert(daily)), "postgresql": _add(postgresql_insert(daily))}


def _counts(answer: Message) -> dict[str, float]:
    usage = answer.usage
    cost = None if usage is None else usage.cost_usd
    own = usage is not None and usage.own_key
    return {
        "requests": 1,
        "input": _bounded(usage.input) if usage else 0,
        "output": _bounded(usage.output) if usage else 0,
        "cost": 0.0 if cost is None else cost,
        "unpriced": int(cost is None),
        "own_key_requests": int(own),
        "own_key_cost": (cost or 0.0) if own else 0.0,
    }


def _bounded(count: int | None) -> int:
    return min(max(0, count or 0), MAX_COUNT)


def _credential(request: Mapping[str, Any] | None) -> str:
    key_id = request.get(BY) if isinstance(request, Mapping) else None
    return key_id if isinstance(key_id, str) else ""
