"""Keys of vendors that people bring: for their owner alone, encrypted at rest, and never seen again."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from streamchat.chat.messages import TextPart
from streamchat.chat.request import NewRun
from streamchat.wiring.personal_keys import OFF
from tests.integration.accounts.workers import Worker, worker
from tests.support.loop import LoopThread
from tests.support.people import Person
from tests.support.vendor import Reply, Vendor

SECRET, NEW_SECRET = "an old secret that is long enough here", "a new secret that is long enough here"
KEY, OTHER_KEY = "sk-CANARY-of-anna-0123456789", "sk-CANARY-of-bert-9876543210"
SERVERS_KEY = "sk-CANARY-of-the-server-1234"
PATIENCE = 90
Join = Callable[..., Awaitable[Person]]


@pytest.fixture
def vendor(loop: LoopThread) -> Iterator[Vendor]:
    made = Vendor(loop).start()
    yield made
    made.close()


@pytest.fixture
def settings(vendor: Vendor) -> dict[str, str]:
    return {
        "OPENAI_API_KEY": SERVERS_KEY,
        "OPENAI_BASE_URL": vendor.url,
        "ANTHROPIC_API_KEY": SERVERS_KEY,
        "ANTHROPIC_BASE_URL": vendor.url.removesuffix("/v1"),
        "STREAMCHAT_MODELS": "openai:one,anthropic:two",
        "STREAMCHAT_SECRET_KEY": SECRET,
        "STREAMCHAT_RETRIES": "0",
    }


@pytest.fixture
async def server(tmp_path: Path, settings: dict[str, str]) -> AsyncIterator[Worker]:
    async with worker(tmp_path, **settings) as made:
        yield made


@pytest.fixture
async def join() -> AsyncIterator[Join]:
    """``await join(server, "anna", key)``: somebody with a new account, and a key of their own for OpenAI."""
    async with AsyncExitStack() as stack:

        async def signed_up(server: Worker, name: str = "anna", key: str | None = None) -> Person:
            person = await stack.enter_async_context(Person(server.url, name))
            assert (await person.sign_up()).status_code == 303
            if key is not None:
                assert (await put(person, key)).status_code == 200
            return person

        yield signed_up


async def put(person: Person, key: Any, vendor: str = "openai"):
    return await person.client.put(f"/api/keys/{vendor}", json={"key": key})


async def told(person: Person) -> dict[str, Any]:
    """What the list says of each vendor's key."""
    return {one["vendor"]: one["key"] for one in (await person.client.get("/api/keys")).json()["vendors"]}


async def ask(person: Person, message: str = "hi", model: str = "openai:one") -> dict[str, Any]:
    """The run of a question, once it has ended."""
    started = await person.client.post("/api/runs", json={"message": message, "model": model})
    assert started.status_code == 201, started.text
    return await until(person, started.json()["run_id"], lambda run: run["status"] not in ("streaming", "waiting"))


async def until(person: Person, run_id: str, true: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE):
        while True:
            run = (await person.client.get(f"/api/runs/{run_id}")).json()
            if true(run):
                return run
            await asyncio.sleep(0.02)


def content_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


async def test_a_key_is_told_by_its_ending_only(join: Join, server: Worker):
    """Set, replaced and removed: every answer has the last characters and the times, none has the key."""
    anna, bert = await join(server), await join(server, "bert")
    assert await told(anna) == {"openai": None, "anthropic": None}
    first = await put(anna, KEY)
    assert first.json() == {"ending": KEY[-4:], "set_at": first.json()["set_at"], "used_at": None}
    assert (await told(anna))["openai"] == first.json()
    assert (await told(bert))["openai"] is None
    await put(anna, OTHER_KEY)
    listed = await anna.client.get("/api/keys")
    assert (await told(anna))["openai"]["ending"] == OTHER_KEY[-4:]
    assert "CANARY" not in first.text + listed.text
    assert listed.json()["off"] is None
    assert listed.json()["vendors"][0]["host"].startswith("127.0.0.1:")
    assert (await bert.client.delete("/api/keys/openai")).status_code == 404
    assert (await anna.client.delete("/api/keys/openai")).status_code == 204
    assert (await anna.client.delete("/api/keys/openai")).status_code == 404
    assert (await told(anna))["openai"] is None


async def test_what_is_no_key_is_refused(join: Join, server: Worker):
    """With one sentence, which does not repeat it."""
    anna = await join(server)
    bad = ["", "short", f"{KEY} {KEY}", f"{KEY}\n{KEY}", "é" * 30, "x" * 700, None, 1, {KEY: KEY}]
    for key in bad:
        answer = await put(anna, key)
        assert answer.status_code == 422, (key, answer.text)
        assert "CANARY" not in answer.text, key


async def test_an_unknown_vendor_has_no_key(join: Join, server: Worker):
    """Neither to set nor to remove."""
    anna = await join(server)
    assert (await put(anna, KEY, "nobody")).status_code == 404
    assert (await anna.client.delete("/api/keys/nobody")).status_code == 404


async def test_our_own_keys_manage_none(join: Join, server: Worker):
    """A program with an API key of ours neither reads, sets nor removes one."""
    anna = await join(server, key=KEY)
    bearer = {"Authorization": f"Bearer {(await anna.new_key())['key']}"}
    async with Person(server.url) as program:
        for method in ("GET", "PUT", "DELETE"):
            path = "/api/keys" if method == "GET" else "/api/keys/openai"
            answer = await program.client.request(method, path, headers=bearer, json={"key": KEY})
            assert answer.status_code == 403, method
    assert (await told(anna))["openai"] is not None


async def test_without_a_secret_it_is_off(join: Join, tmp_path: Path, settings: dict[str, str], vendor: Vendor):
    """The list and a key say so in one sentence; a key from before is not used, and can be removed."""
    async with worker(tmp_path, **settings) as before:
        anna = await join(before, key=KEY)
    async with worker(tmp_path, **settings | {"STREAMCHAT_SECRET_KEY": ""}) as server:
        anna.client.base_url = server.url
        assert (await anna.client.get("/api/keys")).json()["off"] == OFF
        assert list(await told(anna)) == ["openai"]
        refused = await put(anna, KEY)
        assert (refused.status_code, refused.json()["error"]["message"]) == (404, OFF)
        await ask(anna)
        assert vendor.keys == [SERVERS_KEY]
        assert (await anna.client.delete("/api/keys/openai")).status_code == 204
        assert await told(anna) == {}


async def test_the_models_answer_with_the_key_of_who_asks(join: Join, server: Worker, vendor: Vendor):
    """Each person's own, and the server's for whoever has none; replaced and removed, it holds for the next answer.
    The usage of the answer says so, and so does the report."""
    anna, bert, carl = [await join(server, name) for name in ("anna", "bert", "carl")]
    await put(anna, KEY)
    await put(bert, OTHER_KEY)
    runs = [await ask(person) for person in (anna, bert, carl)]
    assert vendor.keys == [KEY, OTHER_KEY, SERVERS_KEY]
    assert [run["status"] for run in runs] == ["finished"] * 3
    assert (await told(anna))["openai"]["used_at"] is not None
    retried = await anna.client.post(f"/api/messages/{runs[0]['run_id']}/regenerate", json={})
    await until(anna, retried.json()["run_id"], lambda run: run["status"] == "finished")
    await put(anna, OTHER_KEY)
    await ask(anna)
    await anna.client.delete("/api/keys/openai")
    await ask(anna)
    assert vendor.keys[3:] == [KEY, OTHER_KEY, SERVERS_KEY]


async def test_usage_is_booked_and_says_own_key(join: Join, server: Worker, vendor: Vendor):
    """Tokens count as everybody's; the message, the answer's events and the admin's report say who paid."""
    usage = {"usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}, "choices": []}
    vendor.answer = lambda request: Reply(["Hello."], last=usage)
    anna, bert = await join(server, key=KEY), await join(server, "bert")
    own, servers = await ask(anna), await ask(bert)
    assert own["message"]["usage"] == servers["message"]["usage"] | {"own_key": True}
    assert own["message"]["usage"]["input"] == 7
    rows = (await anna.client.get("/api/admin/usage")).json()["usage"]
    counts = {row["name"]: (row["requests"], row["input"], row["own_key_requests"]) for row in rows}
    assert counts == {"anna": (1, 7, 1), "bert": (1, 7, 0)}


async def test_the_other_vendor_gets_its_own_key(join: Join, server: Worker, vendor: Vendor):
    """Keys do not mix: OpenAI's is not shown to Anthropic. A refusal that quotes the key is told without it."""

    def refuses(request: dict[str, Any]) -> Reply:
        error = {"type": "error", "error": {"type": "authentication_error", "message": f"invalid x-api-key {KEY}"}}
        return Reply(status=401, body=json.dumps(error))

    vendor.answer = refuses
    anna = await join(server, key=OTHER_KEY)
    await put(anna, KEY, "anthropic")
    run = await ask(anna, model="anthropic:two")
    assert (run["status"], vendor.keys) == ("failed", [KEY])
    assert "CANARY" not in json.dumps(run)


async def test_a_title_is_made_with_the_key_too(join: Join, tmp_path: Path, settings: dict[str, str], vendor: Vendor):
    """The question for a title is the person's as well."""
    async with worker(tmp_path, **settings | {"STREAMCHAT_TITLES": "auto"}) as server:
        anna = await join(server, key=KEY)
        begun = await server.services.runs.start(
            (await anna.me() or {})["id"],
            NewRun(client_message_id="one", parts=(TextPart("How do I do it?"),), model="openai:one", inherit=True),
        )
        assert begun.created
        async with asyncio.timeout(PATIENCE):
            while len(vendor.keys) < 2:
                await asyncio.sleep(0.02)
        assert vendor.keys == [KEY, KEY]


async def test_another_worker_goes_on_with_the_key(
    join: Join, tmp_path: Path, settings: dict[str, str], vendor: Vendor
):
    """A worker that ends hands its answer over; the next one continues it with the key of its owner."""
    turns = threading.Semaphore(1)
    vendor.answer = lambda request: Reply(["Hello ", "there."], turns=turns)
    async with worker(tmp_path, **settings) as one:
        anna = await join(one, key=KEY)
        started = (await anna.client.post("/api/runs", json={"message": "hi", "model": "openai:one"})).json()
        await until(anna, started["run_id"], lambda run: run["message"]["text"] == "Hello ")
    vendor.answer = lambda request: Reply(["there again."])
    async with worker(tmp_path, **settings) as two:
        anna.client.base_url = two.url
        run = await until(anna, started["run_id"], lambda run: run["status"] == "finished")
    assert run["message"]["text"].endswith("there again.")
    assert vendor.keys == [KEY, KEY]


async def test_a_secret_is_replaced(join: Join, tmp_path: Path, settings: dict[str, str], vendor: Vendor):
    """A new one in front encrypts anew at the start; then the old one can go. Without both, the owner's models say that
    the key is lost, and nobody else's key is used."""
    key = "STREAMCHAT_SECRET_KEY"
    async with worker(tmp_path, **settings) as server:
        anna = await join(server, key=KEY)
    async with worker(tmp_path, **settings | {key: f"{NEW_SECRET}, {SECRET}"}) as server:
        await server.services.keys.renew()
    async with worker(tmp_path, **settings | {key: NEW_SECRET}) as server:
        anna.client.base_url = server.url
        await ask(anna)
        assert vendor.keys == [KEY]
    async with worker(tmp_path, **settings) as server:
        anna.client.base_url = server.url
        refused = await anna.client.post("/api/runs", json={"message": "hi", "model": "openai:one"})
        assert refused.status_code == 422, refused.text
        assert "cannot be read" in refused.json()["error"]["message"]
        assert vendor.keys == [KEY]
        await put(anna, OTHER_KEY)
        await ask(anna)
        assert vendor.keys == [KEY, OTHER_KEY]


async def test_a_row_of_another_person_does_not_open(join: Join, server: Worker, vendor: Vendor):
    """Whoever can write to the database gets nobody's key by it."""
    anna, bert = await join(server, key=KEY), await join(server, "bert", key=OTHER_KEY)
    store, ids = server.services.store.provider_keys, [(await one.me() or {})["id"] for one in (anna, bert)]
    (hers,), (his,) = [await store.list(owner) for owner in ids]
    await store.seal_again(his, hers.sealed)
    refused = await bert.client.post("/api/runs", json={"message": "hi", "model": "openai:one"})
    assert refused.status_code == 422
    assert vendor.keys == []


async def test_a_key_is_nowhere_in_clear(join: Join, tmp_path: Path, server: Worker, caplog: pytest.LogCaptureFixture):
    """Not in the database, its journal, the log, the export or the audit log; two of them say that there is one."""
    caplog.set_level("DEBUG")
    anna = await join(server, key=KEY)
    await ask(anna)
    export = await anna.client.get("/api/account/export")
    assert [row["ending"] for row in export.json()["provider_key"]] == [KEY[-4:]]
    await anna.client.delete("/api/keys/openai")
    audit = await anna.client.get("/api/audit")
    events = [(one["event"], one["detail"]) for one in audit.json()["entries"]]
    assert [one for one in reversed(events) if "own-key" in one[0]] == [
        ("own-key-set", {"vendor": "openai"}),
        ("own-key-removed", {"vendor": "openai"}),
    ]
    files = content_of(tmp_path)
    for place in (export.content, audit.content, files, str([r.getMessage() for r in caplog.records]).encode()):
        assert b"CANARY" not in place


async def test_the_keys_of_a_person_go_with_the_person(join: Join, server: Worker):
    """Deletion takes them along, and nobody else's."""
    await join(server, key=OTHER_KEY)
    bert = await join(server, "bert", key=KEY)
    assert (await bert.client.post("/api/account/delete", json={"name": "bert"})).status_code == 204
    left = await server.services.store.provider_keys.all()
    assert [key.ending for key in left] == [OTHER_KEY[-4:]]
