"""Every way a database comes to this program's tables."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from streamchat.chat.messages import TextPart
from streamchat.chat.request import NewRun
from streamchat.errors import StorageError
from streamchat.storage import Storage, migrate
from streamchat.storage.migrate import SCRIPTS, alembic_config
from streamchat.storage.tables import Table, is_ours

COMPARED = {"compare_type": True, "render_as_batch": True, "include_name": is_ours}
LATER = '''"""A step for this test."""

import sqlalchemy as sa
from alembic import op

revision = "test2"
down_revision = "{head}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("conversation", sa.Column("colour", sa.Text, server_default="grey"))
    {more}


def downgrade() -> None:
    op.drop_column("conversation", "colour")
'''


async def on(storage: Storage, work):
    return await storage._database.write(work)


def revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def head(scripts: Path = SCRIPTS) -> str | None:
    return ScriptDirectory(str(scripts)).get_current_head()


async def test_tables_and_steps_agree(storage: Storage) -> None:
    """The migrations make exactly the tables that the program reads and writes: no step is missing."""

    def differences(connection: Connection) -> list:
        context = MigrationContext.configure(connection, opts=COMPARED)
        return compare_metadata(context, Table.metadata)

    assert await on(storage, differences) == []
    assert await on(storage, revision) == head()


async def test_the_comparison_sees_a_difference(storage: Storage) -> None:
    """The test above can fail: a dropped column, index or partial index condition is seen."""

    def spoil(connection: Connection) -> list:
        connection.execute(sa.text("DROP INDEX ix_message_parent_id"))
        connection.execute(sa.text("ALTER TABLE message ADD COLUMN extra TEXT"))
        context = MigrationContext.configure(connection, opts=COMPARED)
        return [entry[0] for entry in compare_metadata(context, Table.metadata)]

    assert sorted(await on(storage, spoil)) == ["add_index", "remove_column"]


async def test_opening_again_changes_nothing(url: str) -> None:
    """A second start finds what the first one left."""
    for _ in range(3):
        storage = Storage(url)
        await storage.open()
        await storage.begin("local", NewRun(client_message_id="c", parts=[TextPart("q")], model="m:x"), worker="w")
        assert len(await storage.conversations("local")) == 1
        await storage.close()


@pytest.fixture
def later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Replaces the migrations by a copy with one more step, as a newer version of the program would have."""

    def make(more: str = "pass") -> None:
        copy = tmp_path / "migrations"
        (copy / "versions").mkdir(parents=True)
        for file in [*SCRIPTS.glob("*.*"), *SCRIPTS.glob("versions/*.py")]:
            (copy / file.relative_to(SCRIPTS)).write_text(file.read_text())
        (copy / "versions" / "test2.py").write_text(LATER.format(head=head(), more=more))
        monkeypatch.setattr(migrate, "SCRIPTS", copy)

    return make


def test_the_newest_revision_is_known_without_alembic() -> None:
    """What the files of the steps are read for is what Alembic makes of them."""
    steps = list(ScriptDirectory(str(SCRIPTS)).walk_revisions("base", "heads"))
    assert migrate.revisions() == [step.revision for step in reversed(steps)]


async def test_an_older_database_is_upgraded(url: str, later) -> None:
    """One step behind: brought forward at the start, with all that was in it."""
    storage = Storage(url)
    await storage.open()
    begun = await storage.begin(
        "local", NewRun(client_message_id="c", parts=[TextPart("kept")], model="m:x"), worker="w"
    )
    await storage.close()
    later()
    storage = Storage(url)
    await storage.open()
    assert await on(storage, revision) == "test2"
    assert (await storage.conversation("local", begun.conversation_id)).messages[0].text == "kept"
    found = await on(storage, lambda c: c.execute(sa.text("SELECT colour FROM conversation")).scalars().all())
    assert found == ["grey"]
    await storage.close()


async def test_a_step_that_fails_leaves_the_database_as_it_was(url: str, later) -> None:
    """All or nothing: the old version of the program can go on with it."""
    storage = Storage(url)
    await storage.open()
    await storage.close()
    later(more='op.execute("INSERT INTO no_such_table VALUES (1)")')
    with pytest.raises(StorageError):
        await Storage(url).open()
    storage = Storage(url)
    with pytest.MonkeyPatch.context() as original:
        original.setattr(migrate, "SCRIPTS", SCRIPTS)
        await storage.open()
    assert await on(storage, revision) == head()
    columns = await on(storage, lambda c: [column["name"] for column in inspect(c).get_columns("conversation")])
    assert "colour" not in columns
    await storage.close()


async def test_down_and_up_again(storage: Storage) -> None:
    """Each step can be undone, down to an empty database."""

    def down_and_up(connection: Connection) -> list[str]:
        command.downgrade(alembic_config(connection), "base")
        left = [name for name in inspect(connection).get_table_names() if name != "alembic_version"]
        command.upgrade(alembic_config(connection), "head")
        return left

    assert await on(storage, down_and_up) == []
    assert await storage.conversations("local") == []


async def test_processes_that_start_together(url: str) -> None:
    """Three processes open the same fresh database at once; all of them can use it."""
    script = """
import asyncio, os, sys
from streamchat.chat.messages import TextPart
from streamchat.chat.request import NewRun
from streamchat.storage import Storage
async def main(url, name):
    storage = Storage(url, patience=30)
    await storage.open()
    await storage.begin("local", NewRun(client_message_id=name, parts=[TextPart(name)], model="m:x"), worker=name)
    await storage.close()
url, *names = sys.argv[1:]
gate, opens = os.pipe()
children = []
for name in names:
    if not (child := os.fork()):
        os.close(opens)
        os.read(gate, 1)
        asyncio.run(main(url, name))
        sys.exit()
    children.append(child)
os.close(opens)  # all of them go on
sys.exit(sum(os.waitpid(child, 0)[1] != 0 for child in children))
"""
    names = ["p0", "p1", "p2"]
    command = [sys.executable, "-c", script, url, *names]
    done = await asyncio.to_thread(subprocess.run, command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    storage = Storage(url)
    await storage.open()
    assert sorted(row.title for row in await storage.conversations("local")) == names
    await storage.close()


async def test_a_newer_or_foreign_server_database_is_left_alone(postgres) -> None:
    """On PostgreSQL as on SQLite: a sentence, and no table of ours among theirs."""
    url = postgres.new_database()
    with psycopg.connect(url) as theirs:
        theirs.execute("CREATE TABLE message (id INTEGER)")
    with pytest.raises(StorageError) as caught:
        await Storage(url).open()
    assert caught.value.reason == "foreign"
    url = postgres.new_database()
    storage = Storage(url)
    await storage.open()
    await storage.close()
    with psycopg.connect(url) as newer:
        newer.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StorageError) as caught:
        await Storage(url).open()
    assert caught.value.reason == "newer"


def test_the_developer_s_command_works(tmp_path: Path) -> None:
    """``alembic upgrade`` with the shipped configuration makes the tables too."""
    file = tmp_path / "scratch.db"
    ini = str(SCRIPTS / "alembic.ini")
    program = [sys.executable, "-m", "alembic", "-c", ini, "-x", f"url=sqlite:///{file}"]
    subprocess.run([*program, "upgrade", "head"], check=True, timeout=60, capture_output=True)
    subprocess.run([*program, "check"], check=True, timeout=60, capture_output=True)
    with closing(sqlite3.connect(file)) as made:
        assert made.execute("SELECT version_num FROM alembic_version").fetchall() == [(head(),)]
