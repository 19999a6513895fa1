"""The list of conversations and the models on offer, as the page shows them."""

from __future__ import annotations

from typing import NotRequired, TypedDict

import reflex as rx

from streamchat.errors import StorageError
from streamchat.ui.frames import Frame
from streamchat.wiring import LOCAL_OWNER, services

SHOWN = 100


class Row(TypedDict):
    id: str
    title: str
    answering: bool
    when: str


class Model(TypedDict):
    id: str
    label: str
    unavailable: str
    note: str


class Listed(TypedDict):
    """What of ``Chats`` changes with a frame."""

    rows: list[Row]
    models: NotRequired[list[Model]]
    default_model: NotRequired[str]
    current: NotRequired[str]


async def listed(frame: Frame) -> Listed | None:
    """The list of conversations where this frame is about it; the models too where it opens the page."""
    if frame.get("k") not in ("open", "rows"):
        return None
    try:
        found = await services().store.conversations(LOCAL_OWNER, limit=SHOWN)
    except StorageError:
        return None  # The transcript says it.
    rows = [Row(id=c.id, title=c.title, answering=c.answering, when=c.updated_at.isoformat()) for c in found]
    if frame.get("k") == "rows" and not frame.get("models"):
        return Listed(rows=rows)
    catalog = services().models
    models = [
        Model(id=m.id, label=m.label, unavailable=m.unavailable or "", note=m.note) for m in catalog.offered.values()
    ]
    found_too = Listed(rows=rows, models=models, default_model=catalog.default)
    return found_too if frame.get("k") == "rows" else found_too | Listed(rows=rows, current=frame["conversation"] or "")


class Chats(rx.State):
    """View rows only: everything is found anew by id."""

    rows: list[Row] = []
    models: list[Model] = []
    default_model: str = ""
    current: str = ""

    def _show(self, listed: Listed) -> None:
        for name, value in listed.items():
            setattr(self, name, value)
