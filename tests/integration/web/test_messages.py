"""Messages and settings over HTTP: versions, branches, deletion with undo, settings, links, and bad input."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from streamchat.chat.events import Finished, TextDelta
from tests.integration.web.conftest import Api, shared


async def answered(api: Api, path: str = "/api/runs", text: str = "yes", **body: Any) -> dict[str, str]:
    """Start an answer and let it end with this text. Returns its ids."""
    response = await api.client.post(path, json=body)
    assert response.status_code == 201, response.text
    ids = response.json()
    api.provider.say(TextDelta(text), Finished())
    await api.world.ended(ids["run_id"])
    return ids


async def shown(api: Api, conversation_id: str) -> dict[str, Any]:
    return (await api.client.get(f"/api/conversations/{conversation_id}")).json()


def texts(conversation: dict[str, Any]) -> list[str]:
    return [message["text"] for message in conversation["messages"]]


async def test_an_edited_question_is_a_version_that_can_be_chosen(api: Api):
    """The new version is answered with the history before it; both are listed, and either can be shown."""
    first = await answered(api, message="one")
    where = first["conversation_id"]
    await answered(api, message="two", conversation_id=where)
    old = (await shown(api, where))["messages"][2]["id"]
    await answered(api, f"/api/messages/{old}/edit", message="zwo")
    assert [m.text for m in api.provider.requests[-1].messages] == ["one", "yes", "zwo"]
    conversation = await shown(api, where)
    assert texts(conversation) == ["one", "yes", "zwo", "yes"]
    new = conversation["messages"][2]["id"]
    assert conversation["versions"] == {new: [old, new]}
    assert (await api.client.post(f"/api/messages/{old}/select", json={})).json() == {"conversation_id": where}
    assert texts(await shown(api, where)) == ["one", "yes", "two", "yes"]
    stored = (await api.client.get(f"/api/messages/{old}")).json()
    assert (stored["parent_id"], stored["message"]["text"]) == (first["message_id"], "two")


async def test_a_complete_answer_is_given_again(api: Api):
    """Beside the first; the same request twice is one answer, and an answer in progress is not given again."""
    first = await answered(api, message="one")
    path = f"/api/messages/{first['message_id']}/regenerate"
    again = await answered(api, path, "other", client_message_id="r1")
    repeated = await api.client.post(path, json={"client_message_id": "r1"})
    assert (repeated.status_code, repeated.json()["run_id"]) == (200, again["run_id"])
    conversation = await shown(api, first["conversation_id"])
    assert texts(conversation) == ["one", "other"]
    assert conversation["versions"] == {again["run_id"]: [first["run_id"], again["run_id"]]}
    running = (await api.client.post(path, json={})).json()
    assert (await api.client.post(path, json={})).status_code == 409
    assert (await api.client.post(path, json={"model": "no:such"})).status_code == 404
    api.provider.say(Finished())
    await api.world.ended(running["run_id"])


async def test_deleting_and_undo(api: Api):
    """One message, or everything from here on; an answer in progress is stopped first; repeated calls do no harm."""
    first = await answered(api, message="one")
    where, answer = first["conversation_id"], f"/api/messages/{first['message_id']}"
    await answered(api, f"/api/conversations/{where}/messages", message="two")
    for _ in range(2):
        assert (await api.client.delete(answer)).status_code == 200
    assert texts(await shown(api, where)) == ["one", "two", "yes"]
    for _ in range(2):
        assert (await api.client.post(f"{answer}/restore", json={})).status_code == 200
    running = (await api.client.post("/api/runs", json={"message": "three", "conversation_id": where})).json()
    assert (await api.client.delete(f"{answer}?following=true")).status_code == 200
    assert texts(await shown(api, where)) == ["one"]
    assert (await api.client.get(f"/api/runs/{running['run_id']}")).json()["status"] == "stopped"
    await api.client.post(f"{answer}/restore", json={})
    assert texts(await shown(api, where))[:5] == ["one", "yes", "two", "yes", "three"]


async def test_a_conversation_is_changed_and_deleted(api: Api):
    """Each field alone; what is left out stays. A deleted one is not found until it is restored."""
    where = (await answered(api, message="one", system="Be brief.", options={"temperature": 0.5}))["conversation_id"]
    path = f"/api/conversations/{where}"
    about = (await api.client.patch(path, json={"title": "T" * 10_000})).json()
    assert len(about["title"]) == 200
    assert (about["system"], about["options"], about["model"]) == ("Be brief.", {"temperature": 0.5}, "fake:one")
    about = (await api.client.patch(path, json={"pinned": True, "options": {"max_tokens": 5}})).json()
    assert (about["pinned"], about["archived"], about["system"]) == (True, False, "Be brief.")
    await answered(api, message="two", conversation_id=where)
    request = api.provider.requests[-1]
    assert (request.system, request.options.max_tokens, request.options.temperature) == ("Be brief.", 5, None)
    assert (await api.client.patch(path, json={"system": None})).json()["system"] is None
    await api.client.patch(path, json={"archived": True})
    assert (await api.client.get("/api/conversations")).json()["conversations"] == []
    listed = (await api.client.get("/api/conversations?archived=true")).json()["conversations"]
    assert [(row["id"], row["archived"]) for row in listed] == [(where, True)]
    for _ in range(2):
        assert (await api.client.delete(path)).status_code == 200
    for request in (api.client.get(path), api.client.patch(path, json={}), api.client.get(f"{path}/export")):
        assert (await request).status_code == 404
    assert (await api.client.post(f"{path}/restore", json={})).status_code == 200
    assert texts(await shown(api, where)) == ["one", "yes", "two", "yes"]


async def test_a_link_shows_the_snapshot_until_it_is_taken_back(api: Api):
    where = (await answered(api, message="one"))["conversation_id"]
    link = (await api.client.post(f"/api/conversations/{where}/share", json={})).json()
    await answered(api, message="two", conversation_id=where)
    snapshot = await api.client.get(f"/api/shares/{link['share_id']}")
    assert texts(snapshot.json()) == ["one", "yes"]
    assert where not in snapshot.text
    assert (await api.client.delete(f"/api/conversations/{where}/share")).status_code == 200
    assert (await api.client.get(f"/api/shares/{link['share_id']}")).status_code == 404


@shared
@pytest.mark.parametrize(
    "body",
    [
        {"title": ""},
        {"title": "\u202e \x00"},
        {"title": "x" * 10_001},
        {"title": 7},
        {"pinned": "maybe"},
        {"model": ""},
        {"system": "x" * 200_001},
        {"options": {"temperature": 3}},
        {"options": {"max_tokens": 0}},
        {"options": {"reasoning_effort": "HIGH!"}},
        {"options": {"schema": {}}},
        {"leaf_id": "x"},
    ],
)
async def test_bad_changes_change_nothing(shared_api: Api, body: dict[str, Any]):
    where = (await answered(shared_api, message="one"))["conversation_id"]
    before = await shown(shared_api, where)
    assert (await shared_api.client.patch(f"/api/conversations/{where}", json=body)).status_code == 422
    assert await shown(shared_api, where) == before


async def test_only_a_question_is_edited(api: Api):
    ids = await answered(api, message="one")
    question = (await shown(api, ids["conversation_id"]))["messages"][0]["id"]
    for message_id, text, status in ((ids["message_id"], "x", 422), (question, "  ", 422), ("nothere", "x", 404)):
        response = await api.client.post(f"/api/messages/{message_id}/edit", json={"message": text})
        assert response.status_code == status, response.text
    assert texts(await shown(api, ids["conversation_id"])) == ["one", "yes"]


async def test_a_question_without_a_model_goes_to_the_conversation_s(api: Api):
    """It is not the default one's: that of the conversation answers, or is refused with its reason."""
    ids = await answered(api, message="one")
    await api.world.store.configure("local", ids["conversation_id"], model="gone:model")
    response = await api.client.post("/api/runs", json={"message": "two", "conversation_id": ids["conversation_id"]})
    assert response.status_code == 404
    assert "gone:model" in response.text
    await answered(api, message="two", conversation_id=ids["conversation_id"], model="fake:one")
    assert (await shown(api, ids["conversation_id"]))["model"] == "gone:model"


async def test_an_answer_in_progress_is_steered(api: Api):
    """It stops, what it wrote is history, and the message is answered next; the same request twice is one answer."""
    run_id = await api.start("one")
    api.provider.say(TextDelta("half"))
    async with asyncio.timeout(20):
        while "half" not in (await api.client.get(f"/api/runs/{run_id}")).text:
            pass
    body = {"message": "rather this", "client_message_id": "s1"}
    first = await api.client.post(f"/api/runs/{run_id}/steer", json=body)
    again = await api.client.post(f"/api/runs/{run_id}/steer", json=body)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert (await api.client.get(f"/api/runs/{run_id}")).json()["status"] == "stopped"
    assert [m.text for m in api.provider.requests[-1].messages] == ["one", "half", "rather this"]
    assert (await api.client.get(f"/api/runs/{first.json()['run_id']}")).json()["status"] == "streaming"
    api.provider.say(Finished())
    await api.world.ended(first.json()["run_id"])


async def test_a_conversation_is_forked_from_any_message(api: Api):
    """The copy has the branch up to it and the settings, is continued by itself, and leaves the first as it was."""
    first = await answered(api, message="one", system="Be brief.")
    await answered(api, message="two", conversation_id=first["conversation_id"])
    response = await api.client.post(f"/api/messages/{first['message_id']}/fork", json={})
    assert response.status_code == 201
    copy = response.json()["conversation_id"]
    await answered(api, message="three", conversation_id=copy)
    assert [m.text for m in api.provider.requests[-1].messages] == ["one", "yes", "three"]
    assert api.provider.requests[-1].system == "Be brief."
    assert texts(await shown(api, first["conversation_id"])) == ["one", "yes", "two", "yes"]
    assert (await api.client.post("/api/messages/nothere/fork", json={})).status_code == 404
