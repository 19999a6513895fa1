"""Presets and prompts over HTTP and in the Python client: saved, changed, used, and each person's own."""

from __future__ import annotations

import pytest

from streamchat.chat.events import Finished
from streamchat.client import AsyncClient
from tests.integration.web.conftest import Api, MakeApi
from tests.support.owners import A, B, identify_by_header

TRANSLATOR = {
    "name": "translator",
    "model": "fake:one",
    "system": "Translate.",
    "options": {"temperature": 0.5},
    "tools_off": ["plot"],
}


async def test_a_preset_is_saved_changed_and_deleted(api: Api):
    """The same name again replaces it; a change leaves the rest; a prompt of the same name is another thing."""
    saved = await api.client.post("/api/presets", json=TRANSLATOR)
    assert saved.status_code == 201, saved.text
    preset = saved.json()
    assert {name: preset[name] for name in TRANSLATOR} == TRANSLATOR
    again = await api.client.post("/api/presets", json={**TRANSLATOR, "system": "To French."})
    assert (again.status_code, again.json()["id"], again.json()["system"]) == (200, preset["id"], "To French.")
    prompt = {"kind": "prompt", "name": "translator", "text": "Translate {text} to {language}."}
    assert (await api.client.post("/api/presets", json=prompt)).status_code == 201
    changed = await api.client.patch(f"/api/presets/{preset['id']}", json={"name": "to French", "options": None})
    assert (changed.json()["name"], changed.json()["system"], changed.json()["options"]) == (
        "to French",
        "To French.",
        {},
    )
    listed = (await api.client.get("/api/presets")).json()["presets"]
    assert [(one["kind"], one["name"]) for one in listed] == [("preset", "to French"), ("prompt", "translator")]
    assert (await api.client.delete(f"/api/presets/{preset['id']}")).status_code == 200
    assert (await api.client.delete(f"/api/presets/{preset['id']}")).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {"name": " "},
        {"name": "x" * 61},
        {"name": "x", "kind": "prompt"},
        {"name": "x", "kind": "other"},
        {"name": "x", "options": {"temperature": 9}},
        {"name": "x", "unknown": 1},
        {"name": "x", "tools_off": ["t"] * 1000},
        {},
    ],
)
async def test_what_is_no_preset(api: Api, body: dict):
    """It is refused with a reason, and nothing is saved."""
    answer = await api.client.post("/api/presets", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"]["message"]
    assert (await api.client.get("/api/presets")).json()["presets"] == []


async def test_two_of_one_kind_have_two_names(api: Api):
    """A preset cannot take the name of another one."""
    for name in ("one", "two"):
        preset = (await api.client.post("/api/presets", json={"name": name})).json()
    assert (await api.client.patch(f"/api/presets/{preset['id']}", json={"name": "one"})).status_code == 422


async def test_a_chat_begins_with_it(api: Api):
    """By id or name: model, prompt, options and tools are the conversation's; what is said beside it comes first."""
    preset = (await api.client.post("/api/presets", json=TRANSLATOR)).json()
    for reference, more, temperature in ((preset["id"], {}, 0.5), ("translator", {"temperature": 1.5}, 1.5)):
        run = {"message": "hi", "preset": reference, "options": more}
        begun = (await api.client.post("/api/runs", json=run)).json()
        api.provider.say(Finished())
        await api.world.ended(begun["run_id"])
        about = (await api.client.get(f"/api/conversations/{begun['conversation_id']}")).json()
        assert (about["model"], about["system"]) == ("fake:one", "Translate.")
        assert about["options"] == {"temperature": temperature}
        choices = await api.services.store.choices("local", begun["conversation_id"])
        assert choices.off == {"plot"}
        assert api.provider.requests[-1].system == "Translate."
    assert (await api.client.post("/api/runs", json={"message": "hi", "preset": "none"})).status_code == 404


async def test_a_conversation_takes_it_and_gives_it(api: Api):
    """A preset of a conversation has its settings and tools, and another conversation takes them."""
    first, second = [
        (await api.client.get(f"/api/runs/{await api.said(Finished())}")).json()["conversation_id"] for _ in range(2)
    ]
    await api.client.patch(f"/api/conversations/{first}", json={"system": "Be brief."})
    await api.services.store.choose("local", first, off=["plot"])
    saved = (await api.client.post("/api/presets", json={"name": "brief", "conversation_id": first})).json()
    assert (saved["model"], saved["system"], saved["tools_off"]) == ("fake:one", "Be brief.", ["plot"])
    changed = await api.client.patch(f"/api/conversations/{second}", json={"preset": "brief"})
    assert changed.json()["system"] == "Be brief."
    assert (await api.services.store.choices("local", second)).off == {"plot"}


async def test_the_other_person_has_presets_of_their_own(make_api: MakeApi):
    """The same name twice is two presets; by name and by id only one's own is found."""
    async with make_api(identify=identify_by_header) as api:
        preset = (await api.client.post("/api/presets", json=TRANSLATOR, headers=A)).json()
        assert (await api.client.get("/api/presets", headers=B)).json()["presets"] == []
        for reference in ("translator", preset["id"]):
            run = {"message": "hi", "preset": reference}
            assert (await api.client.post("/api/runs", json=run, headers=B)).status_code == 404
        own = await api.client.post("/api/presets", json={"name": "translator"}, headers=B)
        assert own.status_code == 201
        assert (await api.client.get("/api/presets", headers=A)).json()["presets"] == [preset]
        foreign = {"name": "x", "conversation_id": "nothere"}
        assert (await api.client.post("/api/presets", json=foreign, headers=B)).status_code == 404


async def test_the_python_client(api: Api):
    """Its calls are those of HTTP."""
    async with AsyncClient(api.url) as client:
        saved = await client.save_preset("brief", system="Be brief.")
        await client.change_preset(saved["id"], name="short")
        assert [one["name"] for one in await client.presets()] == ["short"]
        run = await client.start("hi", preset="short")
        api.provider.say(Finished())
        await run.final()
        assert api.provider.requests[-1].system == "Be brief."
        await client.delete_preset(saved["id"])
        assert await client.presets() == []
        hidden = await client.start("hi", temporary=True)
        assert hidden.conversation_id.startswith("temporary-")
