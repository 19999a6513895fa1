"""Webhooks: who wants to be told of answers, and what is to be delivered: an outbox, which is also its log.

Knows rows, no HTTP and no signature. Rules:

* A delivery is stored in the transaction of what it tells (``enqueue``), so that none is lost with a process.
* A delivery that is due is claimed for ``lease`` seconds before it is made: of several workers one makes it. If that
  one is gone, it is due again.
* ``next_at`` is by the clock of the database, and is missing once nothing more is to be done.
* A delivery goes with its webhook and with its conversation. Temporary chats have none.
"""

from __future__ import annotations

import builtins
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    Row,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlmodel import Field

from streamchat.chat.messages import Message, ToolCallPart
from streamchat.chat.wire import message_to_wire
from streamchat.errors import InvalidInput, NotFound
from streamchat.storage.engine import CheckAccount, Database
from streamchat.storage.queries import conversation, message
from streamchat.storage.tables import SECRET, clock, new_id, now, time_field
from streamchat.storage.tables import Table as Base

ENDED, WAITING = "run.ended", "run.waiting"
EVENTS = (ENDED, WAITING)
MAX_WEBHOOKS = 20
"""Of one owner."""
Status: TypeAlias = Literal["pending", "delivered", "failed"]
# What of a message is told. Not its content: whoever may read it asks for it.
_TOLD = ("status", "model", "stop_reason", "error", "usage")


def _text(**options: Any) -> Any:
    return Field(sa_column=Column(Text, nullable=False, **options))


class WebhookTable(Base, table=True):
    """Webhooks. ``secret``: what its deliveries are signed with. ``disabled_at``: the receiver said that it is gone."""

    __tablename__ = "webhook"
    __table_args__ = (Index("ix_webhook_owner", "owner"),)

    id: str = Field(sa_column=Column(Text, primary_key=True))
    owner: str = _text()
    url: str = _text()
    events: Any = Field(sa_column=Column(JSON, nullable=False))
    secret: str = _text(info={SECRET: True})
    created_at: datetime = time_field()
    disabled_at: datetime | None = time_field(nullable=True)


class DeliveryTable(Base, table=True):
    """Deliveries. ``id``: of the event, the same for each webhook. ``body``: what is sent, byte for byte.

    ``attempts``: how many were begun. ``response_status`` and ``error``: of the last one.
    """

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        Index("ix_webhook_delivery_next_at", "next_at"),
        Index("ix_webhook_delivery_log", "webhook_id", "created_at", "id"),
        Index("ix_webhook_delivery_conversation_id", "conversation_id"),
    )

    webhook_id: str = Field(sa_column=Column(Text, ForeignKey("webhook.id", ondelete="CASCADE"), primary_key=True))
    id: str = Field(sa_column=Column(Text, primary_key=True))
    conversation_id: str = Field(
        sa_column=Column(Text, ForeignKey("conversation.id", ondelete="CASCADE"), nullable=False)
    )
    run_id: str = _text()
    type: str = _text()
    status: str = _text()
    attempts: int = Field(sa_column=Column(Integer, nullable=False))
    response_status: int | None = Field(default=None, sa_column=Column(Integer))
    error: str | None = Field(default=None, sa_column=Column(Text))
    created_at: datetime = time_field()
    attempted_at: datetime | None = time_field(nullable=True)
    next_at: datetime | None = time_field(nullable=True)
    body: str = _text()


webhook: Table = WebhookTable.__table__
delivery: Table = DeliveryTable.__table__
_LOG = [column for column in delivery.columns if column is not delivery.c.body]


@dataclass(frozen=True, slots=True)
class Webhook:
    """One webhook. ``disabled_at``: since when nothing is sent, because the receiver said that it is gone."""

    id: str
    url: str
    events: tuple[str, ...]
    created_at: datetime
    disabled_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One line of the log. ``next_at``: when it is tried next, ``None`` if it is not."""

    id: str
    type: str
    run_id: str
    conversation_id: str
    status: Status
    attempts: int
    response_status: int | None
    error: str | None
    created_at: datetime
    attempted_at: datetime | None
    next_at: datetime | None


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that this process has to make. ``attempts``: this one included; ``age``: in seconds."""

    webhook_id: str
    id: str
    owner: str
    url: str
    secret: str
    body: str
    attempts: int
    age: float


class WebhookStore:
    """The webhooks of everybody, and their deliveries."""

    def __init__(self, database: Database, check_account: CheckAccount) -> None:
        self._database = database
        self._check_account = check_account

    async def add(self, owner: str, webhook_id: str, url: str, events: Sequence[str], secret: str) -> Webhook:
        """Store a webhook. Raises ``InvalidInput`` if its owner has too many."""
        new = Webhook(webhook_id, url, tuple(events), now())

        def write(connection: Connection) -> None:
            self._check_account(connection, owner)
            count = connection.scalar(select(func.count()).where(webhook.c.owner == owner))
            if (count or 0) >= MAX_WEBHOOKS:
                raise InvalidInput(f"There are {MAX_WEBHOOKS} webhooks already; delete one first.")
            values = {"id": new.id, "owner": owner, "url": url, "events": list(events), "secret": secret}
            connection.execute(insert(webhook).values(**values, created_at=new.created_at))

        await self._database.write(write)
        return new

    async def list(self, owner: str) -> builtins.list[Webhook]:
        """Return the webhooks of a person, oldest first."""

        def read(connection: Connection) -> list[Webhook]:
            mine = select(webhook).where(webhook.c.owner == owner).order_by(webhook.c.created_at, webhook.c.id)
            return [
                Webhook(row.id, row.url, tuple(row.events), row.created_at, row.disabled_at)
                for row in connection.execute(mine)
            ]

        return await self._database.read(read)

    async def delete(self, owner: str, webhook_id: str) -> None:
        """Delete a webhook with its deliveries. Raises ``NotFound``."""

        def write(connection: Connection) -> None:
            mine = delete(webhook).where(webhook.c.id == webhook_id, webhook.c.owner == owner)
            if not (connection.execute(mine)).rowcount:
                raise NotFound("This webhook does not exist.")

        await self._database.write(write)

    async def deliveries(
        self, owner: str, webhook_id: str, *, limit: int, before: str | None
    ) -> builtins.list[Delivery]:
        """Return a page of the log, newest first. ``before``: the id of the previous page's last one.

        Raises ``NotFound``.
        """

        def read(connection: Connection) -> list[Delivery]:
            _owned(connection, owner, webhook_id)
            query = select(*_LOG).where(delivery.c.webhook_id == webhook_id)
            if before is not None:
                of = delivery.alias()
                last = select(of.c.created_at).where(of.c.webhook_id == webhook_id, of.c.id == before).scalar_subquery()
                at, same = delivery.c.created_at, delivery.c.created_at == last
                query = query.where((at < last) | (same & (delivery.c.id < before)))
            rows = connection.execute(query.order_by(delivery.c.created_at.desc(), delivery.c.id.desc()).limit(limit))
            return [_delivery(row) for row in rows]

        return await self._database.read(read)

    async def again(self, owner: str, webhook_id: str, delivery_id: str) -> Delivery:
        """Have a delivery made anew, and a disabled webhook used again. Raises ``NotFound``."""

        def write(connection: Connection) -> Delivery:
            _owned(connection, owner, webhook_id)
            connection.execute(update(webhook).where(webhook.c.id == webhook_id).values(disabled_at=None))
            one = (delivery.c.webhook_id == webhook_id, delivery.c.id == delivery_id)
            state = {"status": "pending", "attempts": 0, "next_at": clock()}
            connection.execute(update(delivery).where(*one).values(state))
            row = (connection.execute(select(*_LOG).where(*one))).one_or_none()
            if row is None:
                raise NotFound("This delivery does not exist.")
            return _delivery(row)

        return await self._database.write(write)

    async def claim(self, limit: int, busy: Collection[str], lease: float) -> builtins.list[Claimed]:
        """Claim deliveries that are due, one of each webhook, and of none in ``busy``. ``lease``: in seconds.

        Owners take turns, so that many webhooks of one do not come before those of another.
        """
        due = (delivery.c.next_at <= clock(), delivery.c.webhook_id.not_in(list(busy)))
        since = func.min(delivery.c.next_at)
        turn = func.row_number().over(partition_by=webhook.c.owner, order_by=since)
        first = select(delivery.c.webhook_id).join(webhook).where(*due).group_by(delivery.c.webhook_id, webhook.c.owner)
        first = first.order_by(turn, since).limit(limit)

        def read(connection: Connection) -> list[str]:
            return list(connection.scalars(first))

        def write(connection: Connection) -> list[Claimed]:
            claimed = [_claim(connection, webhook_id, due, lease) for webhook_id in webhooks]
            return [one for one in claimed if one is not None]

        webhooks = await self._database.read(read)  # nothing is written while nothing is due
        return await self._database.write(write) if webhooks else []

    async def settle(
        self,
        claimed: Claimed,
        status: Status,
        response_status: int | None,
        error: str | None,
        pause: float | None,
        *,
        disable: bool = False,
    ) -> None:
        """Store what came of an attempt. ``pause``: seconds until the next one; ``None``: there is none.

        ``disable``: nothing more is sent to this webhook.
        """

        def write(connection: Connection) -> None:
            same = (*_is(claimed.webhook_id, claimed.id), delivery.c.attempts == claimed.attempts)
            values = {"status": status, "response_status": response_status, "error": error}
            next_at = None if pause is None else clock(pause)
            connection.execute(update(delivery).where(*same).values(**values, next_at=next_at))
            if disable:
                one = delivery.c.webhook_id == claimed.webhook_id
                connection.execute(update(webhook).where(webhook.c.id == claimed.webhook_id).values(disabled_at=now()))
                pending = update(delivery).where(one, delivery.c.next_at.is_not(None))
                connection.execute(pending.values(status="failed", next_at=None, error=error))

        await self._database.write(write)

    async def forget(self, before: datetime) -> None:
        """Delete from the log what is done and was stored before this time."""
        done = (delivery.c.next_at.is_(None), delivery.c.created_at < before)
        await self._database.write(lambda connection: connection.execute(delete(delivery).where(*done)))

    async def secrets(self) -> builtins.list[tuple[str, str, str]]:
        """Return id, owner and secret of each webhook."""

        def read(connection: Connection) -> list[tuple[str, str, str]]:
            rows = connection.execute(select(webhook.c.id, webhook.c.owner, webhook.c.secret))
            return [(row.id, row.owner, row.secret) for row in rows]

        return await self._database.read(read)

    async def replace_secret(self, webhook_id: str, old: str, new: str) -> None:
        """Replace how a secret is stored, if it is still the same."""
        same = (webhook.c.id == webhook_id, webhook.c.secret == old)
        await self._database.write(
            lambda connection: connection.execute(update(webhook).where(*same).values(secret=new))
        )


def enqueue(connection: Connection, ended: Sequence[tuple[Message, int]]) -> None:
    """Store what is to be delivered of answers that ended, or wait, in this transaction. Each with its seq."""
    ids = [one.id for one, _ in ended]
    query = (
        select(webhook.c.id, webhook.c.events, message.c.conversation_id, message.c.id.label("run_id"))
        .join(conversation, conversation.c.owner == webhook.c.owner)
        .join(message, message.c.conversation_id == conversation.c.id)
        .where(message.c.id.in_(ids), webhook.c.disabled_at.is_(None))
    )
    wanted = (connection.execute(query)).all()
    if not wanted:
        return
    time, by_id, rows = now(), {one.id: (one, seq) for one, seq in ended}, []
    for row in wanted:
        one, seq = by_id[row.run_id]
        kind = WAITING if one.status == "waiting" else ENDED
        if kind in row.events:
            rows.append(
                {
                    "webhook_id": row.id,
                    "id": f"msg_{one.id}_{seq}",
                    "conversation_id": row.conversation_id,
                    "run_id": one.id,
                    "type": kind,
                    "status": "pending",
                    "attempts": 0,
                    "created_at": time,
                    "body": _body(kind, time, row.conversation_id, one, seq),
                }
            )
    if rows:
        connection.execute(insert(delivery).values(next_at=clock()), rows)


def _body(kind: str, time: datetime, conversation_id: str, one: Message, seq: int) -> str:
    wire = message_to_wire(one)
    data: dict[str, Any] = {"run_id": one.id, "conversation_id": conversation_id, "seq": seq}
    data |= {name: wire[name] for name in _TOLD if wire.get(name) is not None}
    if kind == WAITING:
        asked = [part for part in one.parts if isinstance(part, ToolCallPart) and part.state == "awaiting-approval"]
        data["calls"] = [{"id": part.id, "name": part.name} for part in asked]
    stamp = time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"type": kind, "timestamp": stamp, "data": data}, separators=(",", ":"))


def new_webhook_id() -> str:
    """Return an id for a webhook."""
    return new_id()


def _owned(connection: Connection, owner: str, webhook_id: str) -> None:
    mine = select(webhook.c.id).where(webhook.c.id == webhook_id, webhook.c.owner == owner)
    if connection.scalar(mine) is None:
        raise NotFound("This webhook does not exist.")


def _claim(connection: Connection, webhook_id: str, due: tuple[Any, Any], lease: float) -> Claimed | None:
    columns = (delivery.c.id, delivery.c.body, delivery.c.attempts, delivery.c.created_at)
    oldest = select(*columns, webhook.c.owner, webhook.c.url, webhook.c.secret).join(webhook)
    oldest = oldest.where(delivery.c.webhook_id == webhook_id, *due).order_by(delivery.c.next_at, delivery.c.created_at)
    # Another worker's claim is not waited for.
    result = connection.execute(oldest.limit(1).with_for_update(skip_locked=True, of=delivery))
    if (row := result.one_or_none()) is None:
        return None
    begun = {"attempts": row.attempts + 1, "attempted_at": now(), "next_at": clock(lease)}
    connection.execute(update(delivery).where(*_is(webhook_id, row.id)).values(begun))
    age = (now() - row.created_at).total_seconds()
    return Claimed(webhook_id, row.id, row.owner, row.url, row.secret, row.body, row.attempts + 1, age)


def _is(webhook_id: str, delivery_id: str) -> tuple[Any, Any]:
    return delivery.c.webhook_id == webhook_id, delivery.c.id == delivery_id


def _delivery(row: Row) -> Delivery:
    return Delivery(**{name: value for name, value in row._asdict().items() if name != "webhook_id"})
