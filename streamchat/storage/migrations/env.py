"""Alembic environment: uses the program's connection, or a URL from a developer's command line.

A developer creates a new migration with
``alembic -c streamchat/storage/migrations/alembic.ini -x url=sqlite:///scratch.db revision --autogenerate -m "…"``.
"""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import NullPool

from streamchat.storage import (  # noqa: F401 their tables are metadata
    account_tables,
    audit_tables,
    presets,
    provider_keys,
    usage_tables,
    webhooks,
)
from streamchat.storage.tables import Table, UtcDateTime, is_ours


def render(kind: str, item: Any, _context: object) -> str | Literal[False]:
    """Render the underlying type of our own column types: a migration must not change when they do."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UtcDateTime) else False


def run(connection: Connection) -> None:
    """Run the migrations on this connection."""
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


program_connection = context.config.attributes.get("connection")
if program_connection is not None:
    run(program_connection)
else:
    url = context.get_x_argument(as_dictionary=True)["url"]
    with create_engine(url, poolclass=NullPool).connect() as developer_connection:
        run(developer_connection)
