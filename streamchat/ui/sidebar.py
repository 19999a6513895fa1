"""The state behind the sidebar and the model picker: conversations and models as the page shows them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Never, NotRequired, TypedDict

import reflex as rx

from streamchat.errors import StorageError
from streamchat.protocols.page.frames import ConversationRow, ListChanges, Model, Person
from streamchat.wiring.request_context import RequestContext

SHOWN = 100
# Rows that are sent as changes before the whole list is sent again.
MAX_CHANGES = 20
NO_CHANGES = ListChanges(rows=[], gone=[])


class Listed(TypedDict):
    """New values for ``Chats``."""

    rows: NotRequired[list[ConversationRow]]
    changes: ListChanges
    models: NotRequired[list[Model]]
    default_model: NotRequired[str]
    person: NotRequired[Person | dict[str, Never]]


class ChatList:
    """The list of conversations of one tab. It is sent whole once; then what is different from that is sent.

    A list of a hundred rows is more than an answer is on the wire, and it changes with each question and answer.
    """

    def __init__(self, context: RequestContext) -> None:
        self._context = context
        self._sent: dict[str, ConversationRow] | None = None

    def is_in(self, rows: Sequence[ConversationRow]) -> bool:
        """Return whether these rows of the tab's state are those that were sent whole."""
        return self._sent is not None and [row["id"] for row in rows] == list(self._sent)

    def sent(self, listed: Listed) -> None:
        """Count on what came from ``read``: the tab has it now."""
        if "rows" in listed:
            self._sent = {row["id"]: _without_cursor(row) for row in listed["rows"]}

    def missed(self) -> None:
        """Send the list whole the next time: the tab may not have what was sent last."""
        self._sent = None

    async def read(self, *, models: bool) -> Listed | None:
        """Return new values for ``Chats``; ``None`` if the database is away, which the transcript shows."""
        try:
            stored = await self._context.store.newest_conversations(self._context.owner, SHOWN)
            rows = [
                _row(one.id, one.title, one.updated_at, answering=one.answering, waiting=one.waiting, pinned=one.pinned)
                for one in stored
            ]
            listed = self._listed(rows, stored[-1].cursor if len(stored) == SHOWN else None)
            if models:
                catalog = await self._context.models()
                offered = [
                    Model(
                        id=one.id,
                        label=one.label,
                        unavailable=one.unavailable or "",
                        note=one.note,
                        remote=one.remote,
                        web_search=one.capabilities.web_search,
                        images=one.capabilities.images,
                    )
                    for one in catalog.offered.values()
                ]
                listed |= Listed(
                    changes=listed["changes"],
                    models=offered,
                    default_model=catalog.default,
                    person=_person(self._context),
                )
            return listed
        except StorageError:
            return None

    def _listed(self, rows: list[ConversationRow], cursor: str | None) -> Listed:
        now, sent = {row["id"]: row for row in rows}, self._sent or {}
        changed = [row for row in rows if sent.get(row["id"]) != row]
        # What stood before the end of a full list and is not in it any more is gone, and not just further down.
        end = _key(rows[-1]) if cursor else None
        gone = [one for one, row in sent.items() if one not in now and not (end and _key(row) < end)]
        if self._sent is not None and len(changed) + len(gone) <= MAX_CHANGES:
            return Listed(changes=ListChanges(rows=changed, gone=gone))
        if cursor:
            rows[-1] = ConversationRow(**rows[-1], cursor=cursor)
        return Listed(rows=rows, changes=NO_CHANGES)


def _row(
    conversation_id: str, title: str, updated_at: datetime, *, answering: bool, waiting: bool, pinned: bool
) -> ConversationRow:
    row = ConversationRow(id=conversation_id, title=title, answering=answering, when=updated_at.isoformat())
    if waiting:
        row["waiting"] = True
    if pinned:
        row["pinned"] = True
    return row


def _without_cursor(row: ConversationRow) -> ConversationRow:
    bare = row.copy()
    bare.pop("cursor", None)
    return bare


def _key(row: ConversationRow) -> tuple[bool, str, str]:
    """Return the place of a row in the list, last first."""
    return row.get("pinned", False), row["when"], row["id"]


def _person(context: RequestContext) -> Person | dict[str, Never]:
    accounts = context.services.accounts
    if accounts is None:
        return {}
    return Person(name=context.identity.name, sign_out=accounts.ways.header is None)


class Chats(rx.State):
    """Rows for display only: handlers look everything up by its identifier."""

    rows: list[ConversationRow] = []
    changes: ListChanges = NO_CHANGES
    models: list[Model] = []
    default_model: str = ""
    person: dict[str, Any] = {}

    def _show(self, listed: Listed) -> None:
        for name, value in listed.items():
            if getattr(self, name) != value:
                setattr(self, name, value)
