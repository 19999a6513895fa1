"""Presets and prompts in the database: values in, values out, one transaction per call.

Rules: a name is taken once per owner and kind, and saving it again replaces what it has. Every call takes ``owner``
first; what is not theirs is not found.
"""

from __future__ import annotations

import builtins
from dataclasses import replace
from typing import Any

from sqlalchemy import Column, Connection, Row, Table, Text, UniqueConstraint, delete, func, insert, or_, select, update
from sqlmodel import Field

from streamchat.chat.presets import Preset
from streamchat.chat.request import RunOptions
from streamchat.errors import InvalidInput, NotFound
from streamchat.storage.engine import CheckAccount, Database
from streamchat.storage.mapping import plain_text
from streamchat.storage.tables import Table as Base
from streamchat.storage.tables import json_field, new_id, now, time_field

MAX_PRESETS = 500


class PresetTable(Base, table=True):
    """Presets and prompts (``kind``). ``data``: their content."""

    __tablename__ = "preset"
    __table_args__ = (UniqueConstraint("owner", "kind", "name"),)

    id: str = Field(sa_column=Column(Text, primary_key=True))
    owner: str = Field(sa_column=Column(Text, nullable=False))
    kind: str = Field(sa_column=Column(Text, nullable=False))
    name: str = Field(sa_column=Column(Text, nullable=False))
    updated_at: Any = time_field()
    data: Any = json_field(nullable=False)


preset: Table = PresetTable.__table__


class PresetStore:
    """The presets and prompts of everybody."""

    def __init__(self, database: Database, check_account: CheckAccount) -> None:
        self._database = database
        self._check_account = check_account

    async def list(self, owner: str) -> builtins.list[Preset]:
        """Return all of an owner, by name."""

        def read(connection: Connection) -> list[Preset]:
            rows = connection.execute(select(preset).where(preset.c.owner == owner).order_by(preset.c.name))
            return [_preset(row) for row in rows]

        return await self._database.read(read)

    async def get(self, owner: str, reference: str, kind: str | None = None) -> Preset:
        """Return one by its id or, with ``kind``, by its name too. Raises ``NotFound``."""
        return await self._database.read(lambda connection: _get(connection, owner, reference, kind))

    async def save(self, owner: str, new: Preset) -> tuple[Preset, bool]:
        """Store one. Returns it, and whether it is new: the same kind and name again replaces what it has.

        Raises ``InvalidInput`` if there are too many.
        """

        def write(connection: Connection) -> tuple[Preset, bool]:
            self._check_account(connection, owner)
            mine = preset.c.owner == owner
            taken = select(preset.c.id).where(mine, preset.c.kind == new.kind, preset.c.name == new.name)
            if (preset_id := connection.scalar(taken)) is not None:
                connection.execute(update(preset).where(preset.c.id == preset_id), _columns(new))
                return replace(new, id=preset_id), False
            if (connection.scalar(select(func.count()).select_from(preset).where(mine)) or 0) >= MAX_PRESETS:
                raise InvalidInput(f"There are {MAX_PRESETS} presets and prompts. Delete one first.")
            row = {"id": new_id(), "owner": owner, "kind": new.kind, **_columns(new)}
            connection.execute(insert(preset), row)
            return replace(new, id=row["id"]), True

        return await self._database.write(write)

    async def change(self, owner: str, changed: Preset) -> None:
        """Replace one. Raises ``NotFound``, and ``InvalidInput`` if another one has its name."""

        def write(connection: Connection) -> None:
            current = _get(connection, owner, changed.id, None)
            same = (preset.c.owner == owner, preset.c.kind == current.kind, preset.c.name == changed.name)
            if connection.scalar(select(preset.c.id).where(*same, preset.c.id != changed.id)) is not None:
                raise InvalidInput(f"“{changed.name}” is the name of another one.")
            connection.execute(update(preset).where(preset.c.id == changed.id), _columns(changed))

        await self._database.write(write)

    async def delete(self, owner: str, preset_id: str) -> None:
        """Delete one. Raises ``NotFound``."""

        def write(connection: Connection) -> None:
            one = _get(connection, owner, preset_id, None)
            connection.execute(delete(preset).where(preset.c.id == one.id))

        await self._database.write(write)


def _get(connection: Connection, owner: str, reference: str, kind: str | None) -> Preset:
    is_it = preset.c.id == plain_text(reference)
    if kind is not None:
        is_it = or_(is_it, preset.c.name == plain_text(reference)) & (preset.c.kind == kind)
    row = connection.execute(select(preset).where(preset.c.owner == owner, is_it).limit(1)).one_or_none()
    if row is None:
        raise NotFound("There is no such preset.")
    return _preset(row)


def _preset(row: Row) -> Preset:
    data = row.data
    return Preset(
        row.id,
        row.kind,
        row.name,
        data.get("model", ""),
        RunOptions.from_json(data),
        tuple(data.get("tools_off", ())),
        data.get("text", ""),
    )


def _columns(one: Preset) -> dict[str, Any]:
    data = {**one.options.to_json(), "model": one.model, "tools_off": list(one.tools_off), "text": one.text}
    return {"name": plain_text(one.name), "updated_at": now(), "data": data}
