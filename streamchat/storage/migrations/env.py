"""How Alembic reaches the database: the program hands its connection over; a developer names a URL.

A developer writes a new step with
``alembic -c streamchat/storage/migrations/alembic.ini -x url=sqlite:///scratch.db revision --autogenerate -m "…"``.
"""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import NullPool

from streamchat.storage.tables import Table, UtcDateTime, is_ours


def render(kind: str, item: Any, _context: object) -> str | Literal[False]:
    """A step must not change when our own column types do: write down the type beneath."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UtcDateTime) else False


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Table.metadata,
        render_as_batch=True,  # SQLite alters a table by copying it
        render_item=render,
        include_name=is_ours,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    url = context.get_x_argument(as_dictionary=True)["url"]
    with create_engine(url, poolclass=NullPool).connect() as opened:
        run(opened)
