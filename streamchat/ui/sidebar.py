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
    """The conversations as they are now, and the models, if they were read with them."""

    rows: list[ConversationRow]
    models: NotRequired[list[Model]]
    default_model: NotRequired[str]
    person: NotRequired[Person | dict[str, Never]]


async def read_list(context: RequestContext, *, models: bool, at_once: bool = False) -> Listed | None:
    """Return the list as it is now; ``None`` if the database is away, which the transcript shows.

    ``at_once``: for a page that shows nothing yet. Otherwise it may wait for other tabs of the person.
    """
    store, owner = context.store, context.owner
    try:
        if at_once:
            rows = _rows(await store.conversations(owner, limit=SHOWN))
        else:
            rows = await store.newest_conversations(owner, SHOWN, _rows)
        if not models:
            return Listed(rows=rows)
        catalog = await context.models()
    except StorageError:
        return None
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
    return Listed(rows=rows, models=offered, default_model=catalog.default, person=_person(context))


def news_of(listed: Listed, before: Sequence[ConversationRow] | None) -> dict[str, Any]:
    """Return new values for ``Chats``. ``before``: the rows that came to the tab whole; ``None`` if none did.

    A list of a hundred rows is more than an answer is on the wire, and it changes with each question and answer: it is
    sent whole once, and then what is different from that.
    """
    changes = None if before is None else _changes(before, listed["rows"])
    if changes is None:
        return {**listed, "changes": NO_CHANGES}
    return {name: value for name, value in listed.items() if name != "rows"} | {"changes": changes}


def _changes(before: Sequence[ConversationRow], now: Sequence[ConversationRow]) -> ListChanges | None:
    """Return what is different; ``None`` if that is more than the whole list is worth."""
    had = {row["id"]: _without_cursor(row) for row in before}
    has = {row["id"]: _without_cursor(row) for row in now}
    changed = [row for one, row in has.items() if had.get(one) != row]
    # What stood before the end of a full list and is not in it any more is gone, and not just further down.
    end = _key(now[-1]) if now and "cursor" in now[-1] else None
    gone = [one for one, row in had.items() if one not in has and not (end and _key(row) < end)]
    return ListChanges(rows=changed, gone=gone) if len(changed) + len(gone) <= MAX_CHANGES else None


def _rows(stored: Sequence[Any]) -> list[ConversationRow]:
    """Return rows of the store for the page, the last one with the cursor of those after it, if there may be more."""
    rows = [
        _row(one.id, one.title, one.updated_at, answering=one.answering, waiting=one.waiting, pinned=one.pinned)
        for one in stored
    ]
    if len(stored) == SHOWN:
        rows[-1]["cursor"] = stored[-1].cursor
    return rows


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
    bare = ConversationRow(**row)
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
    """Rows for display only: handlers look everything up by its identifier. ``changes``: since ``rows`` came."""

    rows: list[ConversationRow] = []
    changes: ListChanges = NO_CHANGES
    models: list[Model] = []
    default_model: str = ""
    person: dict[str, Any] = {}
    _owner: str | None = None  # whose list it is

    def _show(self, listed: Listed, owner: str, *, whole: bool = False) -> None:
        """Send what the tab does not have yet. ``whole``: it may lack what was sent last."""
        before = None if whole or self._owner != owner else self.get_value("rows")
        self._owner = owner
        for name, value in news_of(listed, before).items():
            if self.get_value(name) != value:
                setattr(self, name, value)
