"""Latency of an owner's answers in the database: distributions per model and day, failures, the slowest ones.

Knows the figures of ``chat.timing`` by name, and no settings. Rules:

* The database counts and sorts. What comes out has a row per model and day, however many answers there are.
* Looked at are answers that were asked here and have ended: no copies (forks, imports), no temporary chats. At most
  ``MAX_ANSWERS`` of them, the newest, in the ``MAX_CONVERSATIONS`` conversations that changed last.
* An answer that waited for a person's approval has no times: how long the person took is no latency.
* Percentiles are nearest ranks: a value that an answer had.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Any

from sqlalchemy import CTE, ColumnElement, Connection, Float, Subquery, Text, case, func, literal, select, union_all
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

from streamchat.storage.engine import Database
from streamchat.storage.queries import VISIBLE, conversation, message

TIMES = ("ttfb_ms", "ttft_ms", "ttlt_ms", "ttc_ms")
RATE = "tokens_per_second"
FIGURES = (*TIMES, RATE)
MAX_ANSWERS = 5_000
MAX_CONVERSATIONS = 5_000
SLOWEST = 10
"""Answers that are named, for each figure."""
_OF_TIMES = (100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 60_000)
BOUNDS = dict.fromkeys(TIMES, _OF_TIMES) | {RATE: (5, 10, 20, 50, 100, 200, 500)}
"""The upper ends of the buckets of each figure; the last bucket has none."""
_FAILURES = ("failed", "interrupted")


class day_of(GenericFunction[str]):
    """The day of a time, in UTC: ``2026-11-29``."""

    type = Text()
    inherit_cache = True


@compiles(day_of, "sqlite")
def _sqlite_day(element: day_of, compiler: SQLCompiler, **options: Any) -> str:
    return f"substr({compiler.process(element.clauses, **options)}, 1, 10)"  # stored as a text in UTC


@compiles(day_of, "postgresql")
def _postgresql_day(element: day_of, compiler: SQLCompiler, **options: Any) -> str:
    return f"to_char({compiler.process(element.clauses, **options)} AT TIME ZONE 'UTC', 'YYYY-MM-DD')"


@dataclass(frozen=True, slots=True)
class Distribution:
    """A figure of several answers, in ms or in tokens per second.

    ``answers``: how many have it. ``counts``: how many are in each bucket of ``BOUNDS``; empty for a single day.
    """

    answers: int
    min: float
    p50: float
    p95: float
    max: float
    counts: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Group:
    """The answers of a model, of one day or, with the day ``""``, of all. ``figures``: those that an answer has.

    ``failed``: how many failed or were interrupted.
    """

    day: str
    model: str
    answers: int
    failed: int
    figures: dict[str, Distribution]


@dataclass(frozen=True, slots=True)
class Failures:
    """Answers of a model that failed or were interrupted for one kind of reason."""

    model: str
    kind: str
    answers: int


@dataclass(frozen=True, slots=True)
class SlowAnswer:
    """One of the slowest answers by a figure."""

    message_id: str
    conversation_id: str
    title: str
    model: str
    status: str
    created_at: datetime
    value: float


@dataclass(frozen=True, slots=True)
class LatencyReport:
    """The answers since a day. ``complete``: whether these are surely all.

    ``models``: the one with most answers first. ``days``: the oldest first. ``slowest``: by figure.
    """

    answers: int
    complete: bool
    models: list[Group]
    days: list[Group]
    failures: list[Failures]
    slowest: dict[str, list[SlowAnswer]]


class LatencyStore:
    """Figures of the answers in this database."""

    bounds = BOUNDS

    def __init__(self, database: Database) -> None:
        self._database = database

    async def report(self, owner: str, since: date) -> LatencyReport:
        """Return the figures of this owner's answers since this day of UTC."""
        return await self._database.read(lambda connection: _report(connection, owner, since))


def _report(connection: Connection, owner: str, since: date) -> LatencyReport:
    start = datetime.combine(since, time(), UTC)
    sample = _sample(owner, start)
    answers, failed, failures = _outcomes(connection, sample)
    figures = _distributions(connection, sample)
    groups = [
        Group(day, model, number, failed[day, model], figures.get((day, model), {}))
        for (day, model), number in sorted(answers.items())
    ]
    models = [group for group in groups if not group.day]
    total = sum(group.answers for group in models)
    return LatencyReport(
        answers=total,
        complete=total < MAX_ANSWERS and not _has_more_conversations(connection, owner, start),
        models=sorted(models, key=lambda group: -group.answers),
        days=[group for group in groups if group.day],
        failures=sorted(failures, key=lambda row: (-row.answers, row.kind, row.model)),
        slowest=_slowest(connection, sample),
    )


def _sample(owner: str, start: datetime) -> CTE:
    """Return the answers to look at, with a column per figure. It is read once in a statement."""
    recent = (
        select(conversation.c.id, conversation.c.title)
        .where(conversation.c.owner == owner, conversation.c.deleted_at.is_(None), conversation.c.updated_at >= start)
        .order_by(conversation.c.updated_at.desc())
        .limit(MAX_CONVERSATIONS)
        .subquery()
    )
    # The newest first: no more rows than are looked at are read as a whole.
    newest = (
        select(message.c.id, recent.c.title)
        .join(recent, recent.c.id == message.c.conversation_id)
        .where(message.c.role == "assistant", message.c.status.not_in(("streaming", "waiting")))
        .where(message.c.request_key.is_not(None), message.c.created_at >= start, VISIBLE)
        .order_by(message.c.created_at.desc())
        .limit(MAX_ANSWERS)
        .subquery()
    )
    timing, unhurried = message.c.timing, func.coalesce(message.c.timing["waited_ms"].as_float(), 0.0) == 0.0
    times = [case((unhurried, timing[name].as_float())).label(name) for name in TIMES]
    columns = [message.c[name] for name in ("id", "conversation_id", "model", "status", "created_at")]
    return (
        select(*columns, newest.c.title, day_of(message.c.created_at).label("day"), *times)
        .add_columns(timing[RATE].as_float().label(RATE), message.c.error["kind"].as_string().label("kind"))
        .join(newest, newest.c.id == message.c.id)
        .cte("answers_looked_at")
        .prefix_with("MATERIALIZED")
    )


def _has_more_conversations(connection: Connection, owner: str, start: datetime) -> bool:
    recent = select(conversation.c.id).where(
        conversation.c.owner == owner, conversation.c.deleted_at.is_(None), conversation.c.updated_at >= start
    )
    return connection.execute(recent.offset(MAX_CONVERSATIONS).limit(1)).first() is not None


_Keys = defaultdict[tuple[str, str], int]


def _outcomes(connection: Connection, sample: CTE) -> tuple[_Keys, _Keys, list[Failures]]:
    """Return the answers and the failures by day and model, and of each kind."""
    keys = (sample.c.day, sample.c.model, sample.c.status, sample.c.kind)
    answers, failed = _Keys(int), _Keys(int)
    kinds: defaultdict[tuple[str, str], int] = defaultdict(int)
    for day, model, status, kind, number in connection.execute(select(*keys, func.count()).group_by(*keys)):
        for of in ("", day):
            answers[of, model] += number
            failed[of, model] += number if status in _FAILURES else 0
        if status in _FAILURES:
            kinds[model, kind or status] += number
    return answers, failed, [Failures(model, kind, number) for (model, kind), number in kinds.items()]


def _distributions(connection: Connection, sample: CTE) -> dict[tuple[str, str], dict[str, Distribution]]:
    counts: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    values = _values(sample, sample.c.model)
    bucket = case(*[(values.c.figure == name, _bucket(values.c.value, BOUNDS[name])) for name in FIGURES])
    keys = (values.c.figure, values.c.model, bucket)
    for figure, model, index, number in connection.execute(select(*keys, func.count()).group_by(*keys)):
        of = counts[figure, model] = counts[figure, model] or [0] * (len(BOUNDS[figure]) + 1)
        of[index] = number
    found: defaultdict[tuple[str, str], dict[str, Distribution]] = defaultdict(dict)
    for row in connection.execute(_percentiles(sample)):
        of = [] if row.day else counts[row.figure, row.model]
        found[row.day, row.model][row.figure] = Distribution(row.number, row.min, row.p50, row.p95, row.max, of)
    return found


def _values(sample: CTE, *columns: ColumnElement[Any]) -> Subquery:
    """Return a row per answer and figure: ``figure``, ``value`` and these columns."""
    return union_all(*[_one(sample, name, *columns) for name in FIGURES]).subquery()


def _one(sample: CTE, name: str, *columns: ColumnElement[Any]) -> Any:
    value = sample.c[name]
    return select(literal(name, Text).label("figure"), value.label("value"), *columns).where(value.is_not(None))


def _bucket(value: ColumnElement[Any], bounds: tuple[int, ...]) -> ColumnElement[int]:
    return case(*[(value < literal(bound, Float), index) for index, bound in enumerate(bounds)], else_=len(bounds))


def _percentiles(sample: CTE) -> Any:
    """Return the query over ``figure``, ``day``, ``model`` and the fields of ``Distribution``; day ``""``: all days."""
    days = (sample.c.day, literal("", Text).label("day"))
    values = union_all(*[_one(sample, name, sample.c.model, day) for name in FIGURES for day in days]).subquery()
    group = (values.c.figure, values.c.day, values.c.model)
    rank = func.row_number().over(partition_by=group, order_by=values.c.value)
    number = func.count().over(partition_by=group)
    ranked = select(*group, values.c.value, rank.label("rank"), number.label("number")).subquery()
    value = ranked.c.value

    def percentile(share: int) -> ColumnElement[float]:
        return func.max(case((ranked.c.rank == (ranked.c.number * share + 99) // 100, value)))

    keys = (ranked.c.figure, ranked.c.day, ranked.c.model)
    fields = (
        func.max(ranked.c.number).label("number"),
        func.min(value).label("min"),
        percentile(50).label("p50"),
        percentile(95).label("p95"),
        func.max(value).label("max"),
    )
    return select(*keys, *fields).group_by(*keys)


def _slowest(connection: Connection, sample: CTE) -> dict[str, list[SlowAnswer]]:
    columns = [sample.c[name] for name in ("id", "conversation_id", "title", "model", "status", "created_at")]
    values = _values(sample, *columns)
    # Of times the long ones are slow, of rates the low ones.
    slowness = case((values.c.figure == RATE, -values.c.value), else_=values.c.value)
    rank = func.row_number().over(partition_by=values.c.figure, order_by=(slowness.desc(), values.c.id))
    ranked = select(values, rank.label("rank")).subquery()
    query = select(ranked).where(ranked.c.rank <= SLOWEST).order_by(ranked.c.figure, ranked.c.rank)
    found: dict[str, list[SlowAnswer]] = {name: [] for name in FIGURES}
    for row in connection.execute(query):
        found[row.figure].append(
            SlowAnswer(row.id, row.conversation_id, row.title, row.model, row.status, row.created_at, row.value)
        )
    return found
