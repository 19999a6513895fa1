"""The state behind the sidebar and the model picker: conversations and models as the page shows them."""

from __future__ import annotations

from typing import Any, Never, NotRequired, TypedDict

import reflex as rx

from streamchat.errors import StorageError
from streamchat.protocols.page.frames import ConversationRow, Model, Person
from streamchat.protocols.page.stream import Frame
from streamchat.wiring.request_context import RequestContext

SHOWN = 100


class Listed(TypedDict):
    """New values for ``Chats``."""

    rows: list[ConversationRow]
    models: NotRequired[list[Model]]
    default_model: NotRequired[str]
    person: NotRequired[Person | dict[str, Never]]


async def listed(context: RequestContext, frame: Frame) -> Listed | None:
    """Return new values for ``Chats`` if the frame concerns them; models too if it opens the page or is about them."""
    if frame.get("k") not in ("open", "rows") or frame.get("begun"):
        return None
    try:
        stored = await context.store.conversations(context.owner, limit=SHOWN)
    except StorageError:
        return None  # the transcript shows the error
    rows = [
        ConversationRow(
            id=c.id,
            title=c.title,
            answering=c.answering,
            waiting=c.waiting,
            when=c.updated_at.isoformat(),
            pinned=c.pinned,
        )
        for c in stored
    ]
    if len(stored) == SHOWN:
        rows[-1]["cursor"] = stored[-1].cursor
    if frame.get("k") == "rows" and not frame.get("models"):
        return Listed(rows=rows)
    try:
        catalog = await context.models()
    except StorageError:
        return Listed(rows=rows)
    models = [
        Model(
            id=m.id,
            label=m.label,
            unavailable=m.unavailable or "",
            note=m.note,
            remote=m.remote,
            web_search=m.capabilities.web_search,
            images=m.capabilities.images,
        )
        for m in catalog.offered.values()
    ]
    return Listed(rows=rows, models=models, default_model=catalog.default, person=_person(context))


def _person(context: RequestContext) -> Person | dict[str, Never]:
    accounts = context.services.accounts
    if accounts is None:
        return {}
    return Person(name=context.identity.name, sign_out=accounts.ways.header is None)


class Chats(rx.State):
    """Rows for display only: handlers look everything up by its identifier."""

    rows: list[ConversationRow] = []
    models: list[Model] = []
    default_model: str = ""
    person: dict[str, Any] = {}

    def _show(self, listed: Listed) -> None:
        for name, value in listed.items():
            setattr(self, name, value)
