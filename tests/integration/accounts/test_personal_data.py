"""Everything of one person: exported, imported again, and deleted, with nothing of it left anywhere."""

from __future__ import annotations

import asyncio
import json
import threading
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, inspect

from devservers.redis import RedisServer
from streamchat.accounts.sessions import COOKIE
from streamchat.chat.events import Finished
from streamchat.chat.messages import TextPart
from streamchat.chat.request import NewRun
from streamchat.errors import NotFound, Unauthorized
from streamchat.identity import FIRST_ACCOUNT, Credentials
from streamchat.storage import Storage
from streamchat.storage.address import read_address
from streamchat.storage.tables import SECRET, Table
from streamchat.wiring.request_context import context_for
from tests.integration.accounts.conftest import MakePerson
from tests.integration.accounts.workers import Worker, worker
from tests.integration.runs.two_workers import until
from tests.integration.web.conftest import Api
from tests.support.loop import LoopThread
from tests.support.people import PASSWORD, Person
from tests.support.vendor import Reply, Vendor

SECRETS = ("zebrafish", "quetzal", "axolotl")


@pytest.fixture
def vendor(loop: LoopThread) -> Iterator[Vendor]:
    made = Vendor(loop).start()
    yield made
    made.close()


@asynccontextmanager
async def two(
    vendor: Vendor, database: str, redis: RedisServer, data: Path, record: str
) -> AsyncIterator[list[Worker]]:
    settings = {
        "STREAMCHAT_REDIS_URL": redis.url,
        "STREAMCHAT_DATABASE_URL": database,
        "STREAMCHAT_SERVERS": f"lab={vendor.url}",
        "STREAMCHAT_MODELS": "lab:one",
        "STREAMCHAT_COMPLETION_LOG": record,
    }
    async with worker(data, **settings) as one, worker(data, **settings) as other:
        yield [one, other]


def everything(database: str) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table that is there, whoever made it: the search index and the tables of libraries too."""
    engine = create_engine(read_address(database).url)
    with engine.connect() as connection:
        rows: dict[str, list[dict[str, Any]]] = {}
        for name in inspect(connection).get_table_names():
            result = connection.exec_driver_sql(f'SELECT * FROM "{name}"')
            rows[name] = [dict(row._mapping) for row in result]
    engine.dispose()
    return rows


async def ended(person: Person, run_id: str) -> None:
    async with person.client.stream("GET", f"/api/runs/{run_id}/events") as events:
        async for _ in events.aiter_bytes():
            pass


async def fill(person: Person, word: str) -> dict[str, str]:
    """Something in each table that belongs to a person. Returns ids and secrets."""
    first = (await person.client.post("/api/runs", json={"message": f"about a {word}"})).json()
    await ended(person, first["run_id"])
    again = (await person.client.post(f"/api/messages/{first['run_id']}/regenerate", json={})).json()
    await ended(person, again["run_id"])
    conversation = first["conversation_id"]
    share = (await person.client.post(f"/api/conversations/{conversation}/share", json={})).json()
    body = {"title": f"{word} title", "system": f"{word} system", "options": {"temperature": 0.5}}
    assert (await person.client.patch(f"/api/conversations/{conversation}", json=body)).status_code == 200
    preset = {"name": word, "system": f"{word} preset"}
    assert (await person.client.post("/api/presets", json=preset)).status_code == 201
    trashed = (await person.client.post("/api/runs", json={"message": f"{word} trash"})).json()
    await ended(person, trashed["run_id"])
    await person.client.delete(f"/api/conversations/{trashed['conversation_id']}")
    return {"conversation": conversation, "share": share["share_id"], "key": (await person.new_key())["key"]}


async def test_an_export_has_everything_and_no_secret(vendor: Vendor, redis: RedisServer, tmp_path: Path):
    """Of every table that belongs to a person, branches and trash too; hashes are left out; an import takes it."""
    database = f"sqlite:///{tmp_path / 'chat.db'}"
    async with two(vendor, database, redis, tmp_path, str(tmp_path / "record")) as (one, _):
        async with Person(one.url, "anna") as anna, Person(one.url, "bert") as bert:
            await anna.sign_up()
            await bert.sign_up()
            ids, other = await fill(anna, "zebrafish"), await fill(bert, "quetzal")
            answer = await anna.client.get("/api/account/export")
            assert answer.headers["content-disposition"].startswith("attachment")
            data = answer.json()
            assert (data["format"], data["version"], data["id"]) == ("streamchat-person", 1, FIRST_ACCOUNT)
            assert data["account"][0]["name"] == "anna"
            assert data["preset"][0]["data"]["system"] == "zebrafish preset"
            assert len(data["account_session"]) == len(data["api_key"]) == 1
            kept, trash = sorted(data["conversations"], key=lambda one: one["deleted_at"] is not None)
            assert (kept["title"], kept["system"], kept["options"]["temperature"]) == (
                "zebrafish title", "zebrafish system", 0.5,
            )  # fmt: skip
            assert kept["share"]["id"] == ids["share"]
            assert trash["deleted_at"]
            assert [len(kept["messages"]), len(kept["other_messages"])] == [2, 1]
            assert kept["messages"][0]["text"] == "about a zebrafish"
            assert "quetzal" not in answer.text
            hidden = [ids["key"], anna.cookie, PASSWORD, *await secrets_in(database)]
            assert len(hidden) > 6
            assert not [secret for secret in hidden if secret in answer.text]

            path = f"/api/accounts/{FIRST_ACCOUNT}/export"
            assert (await bert.client.get(path)).status_code == 403
            account = (await bert.me() or {})["id"]
            assert "quetzal system" in (await anna.client.get(f"/api/accounts/{account}/export")).text
            form = {"file": ("a.txt", b"about quetzals", "text/plain")}
            file = (await bert.client.post("/api/files", files=form)).json()["id"]
            await bert.client.post("/api/runs", json={"message": [{"type": "file", "file_id": file}]})
            assert b64encode(b"about quetzals").decode() in (await bert.client.get("/api/account/export")).text
            key = {"Authorization": f"Bearer {other['key']}"}
            async with Person(one.url) as program:
                assert (await program.client.get("/api/account/export", headers=key)).status_code == 403
            assert (await anna.client.get("/api/accounts/nobody/export")).status_code == 404
            again = await bert.client.post("/api/conversations/import", json={"text": json.dumps(data)})
            assert len(again.json()["conversations"]) == 2, again.text
            assert (await bert.client.get("/api/search?q=zebrafish")).json()["hits"]


async def secrets_in(database: str) -> list[str]:
    """What is in columns that are marked as secret."""
    rows = everything(database)
    return [
        row[column.name]
        for table in Table.metadata.tables.values()
        for column in table.columns
        if SECRET in column.info
        for row in rows[table.name]
        if row[column.name]
    ]


def test_columns_of_secrets_are_marked():
    """A new column with such a name is marked, or is named here with its reason."""
    public = {"passkey.public_key", "account.name_key", "message.request_key"}
    named = {
        str(column)
        for table in Table.metadata.tables.values()
        for column in table.columns
        if any(word in column.name for word in ("hash", "secret", "cipher", "token", "key"))
        and column.type.python_type is str
    }
    marked = {str(c) for table in Table.metadata.tables.values() for c in table.columns if SECRET in c.info}
    assert named - public <= marked
    assert marked >= {"account.password_hash", "account_session.token_hash", "api_key.token_hash"}


@pytest.mark.parametrize(("kind", "record"), [("sqlite", "file"), ("postgresql", "redis")])
async def test_nothing_remains_of_somebody_who_is_deleted(
    vendor: Vendor, redis: RedisServer, tmp_path: Path, request: pytest.FixtureRequest, kind: str, record: str
):
    """While an answer is written in another worker: no row of any table, no key of Redis and no line of the completion
    log has the person, what they wrote or an id of theirs; the other person has everything."""
    sqlite = f"sqlite:///{tmp_path / 'chat.db'}"
    database = sqlite if kind == "sqlite" else request.getfixturevalue("postgres_database")
    target = str(tmp_path / "record") if record == "file" else "redis:record"
    async with two(vendor, database, redis, tmp_path, target) as (one, other):
        async with Person(one.url, "anna") as anna, Person(other.url, "bertolt") as bert:
            await anna.sign_up()
            await bert.sign_up()
            await fill(anna, "quetzal")
            bert_ids = await fill(bert, "axolotl")
            turns = threading.Semaphore(3)
            vendor.answer = lambda _: Reply(["axolotl "] * 1000, turns=turns)
            run = (await bert.client.post("/api/runs", json={"message": "go on"})).json()["run_id"]
            await until(lambda: other.services.runs.log.snapshot(run).seq > 0)
            account = (await bert.me() or {})["id"]
            assert "axolotl system" in (await bert.client.get("/api/account/export")).text
            before = everything(database)
            gone = [row["id"] for row in before["message"] if row["conversation_id"] in conversations(before, account)]
            assert len(gone) > 5

            for body, status in (({"name": "anna"}, 422), ({}, 422)):
                assert (await bert.client.post("/api/account/delete", json=body)).status_code == status
            assert (await anna.client.post("/api/account/delete", json={"name": "anna"})).status_code == 422
            deleted = await anna.client.post(f"/api/accounts/{account}/delete", json={"name": " Bertolt"})
            assert deleted.status_code == 204, deleted.text

            assert await bert.me() is None
            assert (await bert.sign_in()).status_code == 401
            assert other.services.runs.active(run) is None
            rows = everything(database)
            left = [name for name, table in rows.items() if any(found(row, account, *gone) for row in table)]
            assert left == []
            assert "quetzal" in str(rows["message"])
            keys = redis.ask("KEYS", "*")
            assert not [one for one in gone if one.encode() in keys]
            lines = await recorded(redis, tmp_path, record)
            assert not [one for one in gone if one in lines and one != run]
            while run in lines:  # the other worker, in this loop, removes its own lines
                await asyncio.sleep(0.01)
                lines = await recorded(redis, tmp_path, record)
            assert '"type":"finished"' in lines
            assert "bertolt" not in str(rows).casefold()
            answer = await anna.client.get("/api/conversations")
            assert [row["title"] for row in answer.json()["conversations"]] == ["quetzal title"]
            assert (await anna.client.get(f"/api/shares/{bert_ids['share']}")).status_code == 404
            assert (await anna.client.post(f"/api/accounts/{account}/delete", json={"name": "x"})).status_code == 404


def conversations(rows: dict[str, list[dict[str, Any]]], owner: str) -> list[str]:
    return [row["id"] for row in rows["conversation"] if row["owner"] == owner]


def found(row: dict[str, Any], account: str, *ids: str) -> bool:
    text = str(row)
    return account in text or "axolotl" in text or any(one in text for one in ids)


async def recorded(redis: RedisServer, folder: Path, record: str) -> str:
    if record == "file":
        return (folder / "record").read_text()
    from redis.asyncio import Redis

    async with Redis.from_url(redis.url) as client:
        return "\n".join(str(fields) for _, fields in await client.xrange("record"))


async def test_a_person_deletes_themselves(api: Api, person: MakePerson):
    """With their name; the browser is signed out; the name is free again; the last admin stays until another one is."""
    anna, bert = person("anna"), person("bert")
    await anna.sign_up()
    await bert.sign_up()
    me = (await bert.me() or {})["id"]
    key = {"Authorization": f"Bearer {(await bert.new_key())['key']}", "Cookie": ""}
    confirmed = {"name": "bert"}
    assert (await bert.client.post("/api/account/delete", json=confirmed, headers=key)).status_code == 403
    await anna.client.patch(f"/api/accounts/{me}", json={"role": "admin"})
    assert (await anna.client.post("/api/account/delete", json={"name": "anna"})).status_code == 204
    assert await anna.me() is None
    assert (await bert.client.post("/api/account/delete", json=confirmed)).status_code == 422
    assert (await bert.me() or {})["role"] == "admin"
    assert (await anna.sign_up()).status_code == 303
    assert len((await bert.client.get("/api/accounts")).json()["accounts"]) == 2


async def test_what_is_in_memory_only_is_deleted_too(api: Api, person: MakePerson):
    """Of temporary chats: what was used, and files, also one that was not sent."""
    anna, bert = person("anna"), person("bert")
    await anna.sign_up()
    await bert.sign_up()
    me = (await bert.me() or {})["id"]
    file_ids = []
    for content in (b"sent", b"not sent"):
        form = {"file": ("a.txt", content, "text/plain")}
        file_ids.append((await bert.client.post("/api/files?temporary=true", files=form)).json()["id"])
    body = {"message": [{"type": "file", "file_id": file_ids[0]}], "temporary": True}
    run = (await bert.client.post("/api/runs", json=body)).json()
    api.provider.say(Finished())
    await ended(bert, run["run_id"])
    store = api.services.store
    while me not in await users(store):
        await asyncio.sleep(0.005)
    assert all([await store.file(me, file_id) for file_id in file_ids])

    assert (await bert.client.post("/api/account/delete", json={"name": "bert"})).status_code == 204
    assert me not in await users(store)
    for file_id in file_ids:
        with pytest.raises(NotFound):
            await store.file(me, file_id)


async def users(store: Storage) -> set[str]:
    return {row.owner for row in await store.usage.report(date.min)}


async def test_no_answer_begins_during_the_deletion(api: Api, person: MakePerson, monkeypatch: pytest.MonkeyPatch):
    """Its request was let in just before. When it comes to the store the account is disabled, and nothing is stored."""
    anna, bert = person("anna"), person("bert")
    await anna.sign_up()
    await bert.sign_up()
    context = await context_for(api.services, Credentials(cookies={COOKIE: bert.cookie}))
    personal, refused = api.services.store.personal, []
    delete_words = personal.delete_words

    async def delete_words_and_ask() -> None:
        await delete_words()
        new = NewRun(client_message_id="late", model=api.services.models.default, parts=[TextPart("quetzal")])
        with pytest.raises(Unauthorized):
            await context.start(new)
        refused.append(new)

    monkeypatch.setattr(personal, "delete_words", delete_words_and_ask)
    assert (await bert.client.post("/api/account/delete", json={"name": "bert"})).status_code == 204
    assert refused
    assert await api.services.store.conversations(context.owner) == []
