"""Temporary chats: as any other to the person who has it, and nothing of it in the database, a list or a record."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from streamchat.chat.events import Finished, TextDelta, ToolCallReady, ToolCallStarted
from streamchat.chat.messages import TextPart
from streamchat.chat.request import NewRun
from streamchat.errors import InvalidInput
from streamchat.runs.completion_log import BackgroundWriter, CompletionLog, FileSink
from streamchat.storage import Storage
from streamchat.tools.definition import tool
from tests.integration.web.conftest import Api, MakeApi
from tests.support.owners import A, B, identify_by_header

SECRET = "zebrafish"
ran: list[str] = []


@tool(approve=True)
async def take_note(text: str) -> str:
    """Take a note."""
    ran.append(text)
    return "noted"


async def begin(api: Api, **more: object) -> dict:
    answer = await api.client.post("/api/runs", json={"message": SECRET, "temporary": True, **more}, headers=A)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def said(api: Api, run_id: str, text: str) -> None:
    api.provider.say(TextDelta(text), Finished())
    await api.world.ended(run_id)


def stored(path: Path) -> bytes:
    """Everything that the database has written to its files."""
    return b"".join(file.read_bytes() for file in path.glob("chat.db*"))


async def test_nothing_of_it_is_stored(make_api: MakeApi, tmp_path: Path):
    """Neither in the database's files nor in the record of answers; no list and no search has it, whatever is done."""
    record = tmp_path / "answers.jsonl"
    async with make_api(identify=identify_by_header) as api:
        log = CompletionLog(api.world.runs, BackgroundWriter(FileSink(record)))
        log.start()
        first = await begin(api)
        where = f"/api/conversations/{first['conversation_id']}"
        await said(api, first["run_id"], SECRET)
        second = (await api.client.post(f"{where}/messages", json={"message": "and?"}, headers=A)).json()
        await said(api, second["run_id"], SECRET)
        assert [message.text for message in api.provider.requests[-1].messages] == [SECRET, SECRET, "and?"]
        again = await api.client.post(f"/api/messages/{second['run_id']}/regenerate", json={}, headers=A)
        await said(api, again.json()["run_id"], SECRET)
        conversation = (await api.client.get(where, headers=A)).json()
        assert [message["text"] for message in conversation["messages"]] == [SECRET, SECRET, "and?", SECRET]
        assert len(conversation["versions"]) == 1
        assert conversation["title"] == "Temporary chat"
        assert (await api.client.get("/api/conversations", headers=A)).json()["conversations"] == []
        assert (await api.client.get(f"/api/search?q={SECRET}", headers=A)).json()["hits"] == []
        assert (await api.client.post(f"{where}/share", headers=A, json={})).status_code == 422
        recording = await api.client.get(f"/api/runs/{first['run_id']}/recording", headers=A)
        assert recording.status_code == 422
        fork = (await api.client.post(f"/api/messages/{first['run_id']}/fork", json={}, headers=A)).json()
        assert fork["conversation_id"].startswith("temporary-")
        plain = (await api.client.post("/api/runs", json={"message": "kept"}, headers=A)).json()
        await said(api, plain["run_id"], "kept too")
        await log.close(patience=5)
    assert SECRET.encode() not in stored(tmp_path)
    assert b"kept too" in stored(tmp_path)
    assert SECRET not in record.read_text()
    assert "kept too" in record.read_text()


async def test_the_other_person_has_nothing_of_it(make_api: MakeApi):
    """Its conversation, its answer, and questions in it are as if they did not exist."""
    async with make_api(identify=identify_by_header) as api:
        first = await begin(api)
        await said(api, first["run_id"], SECRET)
        where = f"/api/conversations/{first['conversation_id']}"
        question = {"message": "hi", "conversation_id": first["conversation_id"]}
        for answer in (
            await api.client.get(where, headers=B),
            await api.client.get(f"/api/runs/{first['run_id']}", headers=B),
            await api.client.get(f"/api/runs/{first['run_id']}/events", headers=B),
            await api.client.post(f"/api/messages/{first['run_id']}/fork", json={}, headers=B),
            await api.client.post("/api/runs", json=question, headers=B),
            await api.client.delete(where, headers=B),
            await api.client.post(f"{where}/share", json={}, headers=B),
        ):
            assert answer.status_code == 404, answer.text
            assert SECRET not in answer.text
        assert (await api.client.get(where, headers=A)).status_code == 200


async def test_it_goes_when_it_is_deleted_or_idle(make_api: MakeApi):
    """Deleted it is gone for good; otherwise an hour after its last message, but not while an answer is written."""
    async with make_api(identify=identify_by_header) as api:
        ids = [(await begin(api))["conversation_id"]]
        run = await begin(api)
        ids.append(run["conversation_id"])
        store, now = api.services.store, datetime.now(UTC)
        assert await store.drop_temporary(now + timedelta(minutes=1)) == []
        for _ in ids:
            api.provider.say(Finished())
        await api.world.ended(run["run_id"])
        await api.client.delete(f"/api/conversations/{ids[0]}", headers=A)
        restored = await api.client.post(f"/api/conversations/{ids[0]}/restore", json={}, headers=A)
        assert restored.status_code == 404
        assert await store.drop_temporary(now - timedelta(minutes=1)) == []
        assert await store.drop_temporary(now + timedelta(minutes=1)) == [("anna", ids[1])]
        for conversation_id in ids:
            assert (await api.client.get(f"/api/conversations/{conversation_id}", headers=A)).status_code == 404


async def test_only_a_new_chat_can_be_temporary(api: Api):
    """A stored conversation cannot become one, and an id that looks like one is not found."""
    kept = await api.said(Finished())
    where = (await api.client.get(f"/api/runs/{kept}")).json()["conversation_id"]
    body = {"message": "hi", "temporary": True}
    assert (await api.client.post("/api/runs", json={**body, "conversation_id": where})).status_code == 422
    assert (await api.client.post("/api/runs", json={**body, "parent_id": kept})).status_code == 422
    assert (await api.client.get("/api/conversations/temporary-x")).status_code == 404
    assert (await api.client.get("/api/runs/temporary-x")).status_code == 404


async def test_its_tools_run_as_any_others(make_api: MakeApi):
    """A call waits for its approval, its row is confirmed before it runs, and the answer goes on."""
    async with make_api(tools=[take_note]) as api:
        run_id = await api.start(temporary=True)
        api.provider.say(ToolCallStarted("c", "take_note"), ToolCallReady("c", {"text": "x"}))
        api.provider.say(Finished("tool-calls"))
        while (await api.client.get(f"/api/runs/{run_id}")).json()["status"] != "waiting":
            await asyncio.sleep(0.01)
        decided = await api.client.post(f"/api/runs/{run_id}/decisions", json={"call_id": "c", "approve": True})
        assert decided.status_code == 200, decided.text
        api.provider.say(TextDelta("done"), Finished())
        assert (await api.world.ended(run_id)).text == "done"
        assert ran == ["x"]


async def test_several_processes_have_none(tmp_path: Path):
    """Another one could not read it: the question is refused with this reason, and nothing is stored."""
    store = Storage(f"sqlite:///{tmp_path / 'chat.db'}", temporary=False)
    await store.open()
    new = NewRun(client_message_id="m", parts=[TextPart(SECRET)], model="fake:one", temporary=True)
    with pytest.raises(InvalidInput, match="this server has several"):
        await store.begin("local", new, worker="w")
    await store.close()
    assert SECRET.encode() not in stored(tmp_path)
