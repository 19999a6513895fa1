"""A PostgreSQL server that goes away, refuses or is in the way: one sentence, and work goes on when it is back."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import psycopg
import pytest
from sqlalchemy import Connection

from devservers.postgres import PostgresServer
from streamchat.chat.messages import TextPart
from streamchat.chat.request import NewRun
from streamchat.errors import StorageError
from streamchat.storage import Begun, Storage
from tests.support import prepared
from tests.support.storing import save


async def begin(storage: Storage, key: str = "c") -> Begun:
    return await storage.begin("local", NewRun(client_message_id=key, parts=[TextPart("q")], model="m:x"), worker="w")


async def refusal(url: str) -> StorageError:
    with pytest.raises(StorageError) as caught:
        await Storage(url).open()
    told = str(caught.value)
    assert "\n" not in told
    assert "psycopg" not in told
    assert "hunter2" not in repr(caught.value)
    return caught.value


@pytest.fixture
def url(postgres: PostgresServer, request: pytest.FixtureRequest) -> Iterator[str]:
    """Empty, or with its tables for a test that takes ``storage``."""
    has_tables = "storage" in request.fixturenames
    url = prepared.postgres_database(postgres) if has_tables else postgres.new_database()
    yield url
    postgres.drop(url)


@pytest.fixture
async def storage(url: str) -> AsyncIterator[Storage]:
    opened = Storage(url, patience=0.3)
    await opened.open()
    yield opened
    await opened.close()


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_a_restart_in_the_middle_of_an_answer(postgres: PostgresServer, storage: Storage, mode: str) -> None:
    """While it is down: a transient sentence. After it, with the same connections' pool, all goes on."""
    begun = await begin(storage)
    await save(storage, [(replace(begun.answer, parts=(TextPart("half"),)), 1)])
    postgres.stop(mode)
    try:
        for attempt in (save(storage, [(begun.answer, 2)]), begin(storage, "new"), storage.conversations("local")):
            with pytest.raises(StorageError) as caught:
                await attempt
            assert (caught.value.reason, caught.value.transient) == ("unreachable", True)
            assert f"127.0.0.1:{postgres.port}" in str(caught.value)
    finally:
        postgres.start()
    assert (await storage.answer("local", begun.run_id)).message.text == "half"
    assert await storage.end(replace(begun.answer, status="finished", parts=(TextPart("whole"),)), 2)
    assert (await begin(storage, "new")).created


async def test_connections_that_were_cut(postgres: PostgresServer, storage: Storage) -> None:
    """An administrator or a proxy that closes idle connections costs no failed call: no write, no read, no look-up."""
    begun = await begin(storage, "first")

    async def write() -> bool:
        return (await begin(storage)).created

    async def read() -> bool:
        return (await storage.answer("local", begun.run_id)).run_id == begun.run_id

    async def look_up() -> bool:
        return await storage.conversation_of("local", begun.run_id) == begun.conversation_id

    for work in (write, read, look_up):
        await asyncio.gather(*(storage.conversations("local") for _ in range(5)))
        postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'streamchat'")
        assert await work()


async def test_a_look_up_leaves_the_connection_as_it_was(storage: Storage) -> None:
    """It has no transaction; a read and a write after it, on the same connection, have one each."""
    begun = await begin(storage)
    database = storage._database
    state = "SELECT current_setting('transaction_isolation'), current_setting('transaction_read_only')"
    for _ in range(2):
        assert await storage.conversation_of("local", begun.run_id) == begun.conversation_id
        for call, expected in ((database.read, ("repeatable read", "on")), (database.write, ("read committed", "off"))):
            assert tuple(await call(lambda connection: connection.exec_driver_sql(state).one())) == expected
    async with asyncio.timeout(20):
        with pytest.raises(StorageError):
            await database.read(lambda connection: connection.exec_driver_sql("DELETE FROM message"))
    assert (await storage.answer("local", begun.run_id)).run_id == begun.run_id


async def test_a_row_that_somebody_else_holds(storage: Storage, url: str) -> None:
    """After the patience a transient sentence, not an endless wait."""
    begun = await begin(storage)
    with psycopg.connect(url) as other:
        other.execute("SELECT * FROM message FOR UPDATE")
        with pytest.raises(StorageError) as caught:
            await save(storage, [(begun.answer, 1)])
        assert (caught.value.reason, caught.value.transient) == ("locked", True)
    assert await storage.end(replace(begun.answer, status="finished"), 2)


async def test_a_row_that_a_process_holds_which_stands_still(storage: Storage, url: str) -> None:
    """Its transaction is ended, so that others can go on; for itself that is a transient sentence, and it goes on."""
    begun = await begin(storage)
    held, go_on = threading.Event(), threading.Event()

    def stand_still(connection: Connection) -> None:
        connection.exec_driver_sql("SELECT * FROM message FOR UPDATE")
        held.set()
        go_on.wait()
        connection.exec_driver_sql("UPDATE message SET status = 'failed'")

    other = Storage(url, patience=30)
    await other.open()
    standing = asyncio.create_task(storage._database.write(stand_still))
    try:
        await asyncio.to_thread(held.wait)
        async with asyncio.timeout(20):
            assert await other.end(replace(begun.answer, status="finished"), 1)
        go_on.set()
        with pytest.raises(StorageError) as caught:
            await standing
        assert caught.value.transient
    finally:
        go_on.set()
        await other.close()
    assert (await storage.answer("local", begun.run_id)).message.status == "finished"
    assert (await begin(storage, "new")).created


async def test_a_claim_that_its_living_owner_overtakes(storage: Storage, url: str) -> None:
    """A row that looked stale has a new heartbeat when the claim gets it: it keeps its owner."""
    first, second = await begin(storage, "a"), await begin(storage, "b")
    with psycopg.connect(url) as other:
        other.execute("UPDATE message SET heartbeat_at = '2000-01-01'")
        other.commit()
        other.execute("UPDATE message SET heartbeat_at = now() WHERE id = %s", [first.run_id])
        assert {run.run_id for run in await storage.stale(60)} == {first.run_id, second.run_id}
        claim = asyncio.create_task(storage.claim(first.run_id, worker="other", epoch=0, silent_for=60))
        assert await storage.claim(second.run_id, worker="other", epoch=0, silent_for=60)
        other.commit()
        assert await claim is None


async def test_a_server_that_is_not_there() -> None:
    """Nothing listens: says where it looked."""
    error = await refusal("postgresql://someone:hunter2@127.0.0.1:1/chat")
    assert (error.reason, error.transient) == ("unreachable", True)
    assert str(error) == "The database PostgreSQL at 127.0.0.1:1/chat cannot be reached."


async def test_a_wrong_password(postgres: PostgresServer) -> None:
    """Refused, and the password is in no sentence."""
    postgres.execute(
        "DO $$ BEGIN CREATE ROLE guarded LOGIN PASSWORD 'right'; EXCEPTION WHEN duplicate_object THEN END $$"
    )
    error = await refusal(postgres.url("postgres", "guarded:hunter2"))
    assert (error.reason, error.transient) == ("refused", False)
    assert (await refusal(postgres.url("postgres", "guarded"))).reason == "refused"


async def test_names_that_do_not_exist(postgres: PostgresServer) -> None:
    """An unknown database and an unknown user are told apart."""
    assert (await refusal(postgres.url("nowhere"))).reason == "gone"
    assert (await refusal(postgres.url("postgres", "nobody:hunter2"))).reason == "refused"


async def test_a_user_that_may_not_write(postgres: PostgresServer, url: str) -> None:
    """Refused at the start."""
    postgres.execute("CREATE ROLE reader LOGIN")
    error = await refusal(url.replace("postgres@", "reader@"))
    assert (error.reason, error.transient) == ("refused", False)


async def test_a_read_only_server(postgres: PostgresServer, url: str) -> None:
    """A standby, or a database that was set so."""
    postgres.execute(f"ALTER DATABASE {url.rpartition('/')[2]} SET default_transaction_read_only = on")
    assert (await refusal(url)).reason == "read-only"


async def test_a_crowded_server(postgres: PostgresServer, url: str) -> None:
    """No free connection: may pass."""
    postgres.execute("CREATE ROLE late LOGIN")
    postgres.execute(f"ALTER DATABASE {url.rpartition('/')[2]} CONNECTION LIMIT 0")
    error = await refusal(url.replace("postgres@", "late@"))
    assert (error.reason, error.transient) == ("busy", True)


async def test_tables_that_were_dropped(storage: Storage, url: str) -> None:
    """Somebody emptied the database under us."""
    with psycopg.connect(url) as other:
        other.execute("DROP TABLE message_words, message, conversation CASCADE")
    with pytest.raises(StorageError) as caught:
        await begin(storage)
    assert (caught.value.reason, caught.value.transient) == ("gone", False)


@pytest.mark.parametrize("form", ["postgres", "postgresql", "postgresql+asyncpg", "postgresql+psycopg2"])
async def test_every_form_of_address(url: str, form: str) -> None:
    """The driver is our choice, whatever the address was written for; libpq's own parameters work."""
    storage = Storage(url.replace("postgresql", form, 1) + "?sslmode=prefer&application_name=other")
    await storage.open()
    assert (await begin(storage)).created
    await storage.close()


async def test_a_cancelled_call_leaves_nothing_behind(storage: Storage) -> None:
    """A caller that is cancelled at any point of a call: nothing stays locked and nothing is half done."""
    for n in range(30):
        task = asyncio.create_task(begin(storage, f"c{n}"))
        await asyncio.sleep(n * 0.0003)
        task.cancel()
        await asyncio.wait([task])
        assert (await begin(storage, f"c{n}")).user.text == "q"
    for row in await storage.conversations("local", limit=100):
        assert len((await storage.conversation("local", row.id)).messages) == 2


async def test_more_callers_than_connections(storage: Storage) -> None:
    """They wait for their turn."""
    results = await asyncio.gather(*(begin(storage, f"c{n}") for n in range(80)))
    assert len({begun.run_id for begun in results}) == 80


def test_a_driver_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where psycopg has no wheel SQLite still works, and PostgreSQL says what it needs."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StorageError, match=r"streamchat\[postgres\]"):
        Storage("postgresql://localhost/chat")
    Storage("sqlite:///chat.db")
