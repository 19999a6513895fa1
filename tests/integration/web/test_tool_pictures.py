"""Pictures in the results of tools: stored as files, so that no frame, event or row has their bytes."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any

import pytest

from streamchat.chat import events as e
from streamchat.chat.messages import Message, ToolCallPart
from streamchat.chat.tool_results import pictures_in
from streamchat.providers.base import Capabilities, ModelInfo
from streamchat.providers.catalog import Catalog, Source
from streamchat.tools import Image, tool
from tests.integration.runs.conftest import QueueProvider
from tests.integration.web.conftest import Api, MakeApi
from tests.support.made_files import png, zip_archive
from tests.support.owners import A, B, identify_by_header

PICTURE = png(7, 5)
DATA = b64encode(PICTURE).decode()
NOISE = png(30, 30, noise=20_000)


@tool
async def draw() -> list[Any]:
    """A picture between texts, and the same again."""
    return ["before", Image(PICTURE, name="dot.png"), {"after": 1}, Image(PICTURE, name="dot.png")]


@tool
async def wrong() -> list[Any]:
    """What is no picture, what is too large, and what names somebody's file."""
    claim = {"$view": "image", "media_type": "image/png", "file_id": "abc"}
    return ["text", Image(zip_archive()), Image(NOISE), claim, Image(PICTURE)]


def catalog(*, sees: bool) -> tuple[Catalog, QueueProvider]:
    provider = QueueProvider()
    can = Capabilities(images=sees, tools=True)
    return Catalog([Source("fake", provider, [ModelInfo("fake:one", "Fake", capabilities=can)])]), provider


@pytest.fixture(params=[True, False], ids=["sees", "blind"])
async def api(make_api: MakeApi, request: pytest.FixtureRequest) -> AsyncIterator[Api]:
    models, provider = catalog(sees=request.param)
    async with make_api(tools=[draw, wrong], catalog=models, STREAMCHAT_FILE_BYTES="5000") as made:
        made.world.provider = provider
        yield made


async def called(api: Api, name: str, **more: Any) -> tuple[str, Message]:
    """A run whose model calls this tool, and then says something."""
    run_id = await api.start(f"call {name}", **more)
    api.provider.say(e.ToolCallStarted("c", name), e.ToolCallReady("c", {}), e.Finished("tool-calls"))
    api.provider.say(e.TextDelta("done"), e.Finished())
    return run_id, await api.world.ended(run_id)


def call_of(message: Message) -> ToolCallPart:
    (part,) = (part for part in message.parts if isinstance(part, ToolCallPart))
    return part


def sent(api: Api, request: int) -> list[str]:
    """The bytes of the pictures in the tool's result of this request."""
    answer = next(one for one in api.provider.requests[request].messages if one.role == "assistant")
    return [picture.data for picture in pictures_in(call_of(answer).result)]


async def test_it_is_a_file_that_is_named(api: Api):
    """In the answer, its events and its row; stored once; a model that sees gets it, now and in later questions."""
    run_id, message = await called(api, "draw")
    first, dot, after, again = call_of(message).result["items"]
    assert (first, after, again) == ("before", {"after": 1}, dot)
    assert {**dot, "file_id": ""} == {
        "$view": "image", "media_type": "image/png", "name": "dot.png", "file_id": "", "bytes": len(PICTURE),
        "width": 7, "height": 5,
    }  # fmt: skip
    content = await api.client.get(f"/api/files/{dot['file_id']}")
    assert (content.content, content.headers["content-type"]) == (PICTURE, "image/png")
    assert (await api.client.get("/api/files")).json()["bytes"] == len(PICTURE)
    told = (await api.client.get(f"/api/runs/{run_id}/events?after=0")).text
    assert dot["file_id"] in told
    assert DATA not in told
    assert await api.world.stored(run_id) == message

    sees = api.world.catalog.info("fake:one").capabilities.images
    conversation = await api.world.store.conversation_of("local", run_id)
    await called(api, "draw", conversation_id=conversation)
    assert [sent(api, number) for number in (1, 2)] == [[DATA if sees else ""] * 2] * 2
    assert (await api.client.get("/api/files")).json()["bytes"] == len(PICTURE)

    deleted = await api.client.delete(f"/api/files/{dot['file_id']}")
    assert deleted.status_code == 200
    await called(api, "draw", conversation_id=conversation)
    if sees:
        answer = next(one for one in api.provider.requests[4].messages if one.role == "assistant")
        assert "[the picture dot.png was deleted]" in call_of(answer).result["items"]


async def test_what_cannot_be_stored_is_said(api: Api):
    """No picture, too large, another's file: a text in its place. The rest of the result is there."""
    _, message = await called(api, "wrong")
    text, archive, large, claim, dot = call_of(message).result["items"]
    assert text == "text"
    assert archive.startswith("[a picture that was not stored: An attachment is not a picture.")
    assert large == "[a picture that was not stored: This file is larger than 5 kB.]"
    assert "file_id" not in claim
    assert (await api.client.get(f"/api/files/{dot['file_id']}")).content == PICTURE


async def test_a_full_quota_takes_the_picture_only(make_api: MakeApi):
    """The tool has run: its answer goes on with the rest."""
    models, provider = catalog(sees=True)
    async with make_api(tools=[draw], catalog=models, STREAMCHAT_FILES_PER_OWNER="10") as api:
        api.world.provider = provider
        _, message = await called(api, "draw")
    result = call_of(message).result["items"]
    assert (message.status, result[0], result[2]) == ("finished", "before", {"after": 1})
    assert "Your files would take more than" in result[1]


async def test_it_goes_with_its_conversation(make_api: MakeApi):
    """Exported with it, brought back, shown by its link, and nobody else's; deleted with its last conversation."""
    models, provider = catalog(sees=True)
    async with make_api(tools=[draw], catalog=models, identify=identify_by_header) as api:
        api.world.provider = provider
        api.client.headers.update(A)
        run_id, message = await called(api, "draw")
        (file_id,) = {picture.file_id for picture in pictures_in(call_of(message).result)}
        conversation = (await api.client.get(f"/api/runs/{run_id}")).json()["conversation_id"]
        assert (await api.client.get(f"/api/files/{file_id}", headers=B)).status_code == 404

        share = (await api.client.post(f"/api/conversations/{conversation}/share", json={})).json()
        path = f"/api/shares/{share['share_id']}/files/{file_id}"
        assert (await api.client.get(path, headers=B)).content == PICTURE

        export = (await api.client.get(f"/api/conversations/{conversation}/export?format=json")).text
        assert export.count(DATA) == 2
        # As messages were before pictures were stored: bytes, no name.
        older = export.replace(f'"file_id": "{file_id}", ', "").replace(f'"file_id":"{file_id}",', "")
        assert file_id not in older
        for text in (export, older):
            brought = await api.client.post("/api/conversations/import", json={"text": text}, headers=B)
            assert brought.status_code == 201, brought.text
        rows = (await api.client.get("/api/conversations", headers=B)).json()["conversations"]
        for row in rows:
            whole = (await api.client.get(f"/api/conversations/{row['id']}", headers=B)).json()
            assert DATA not in json.dumps(whole)
            result = next(part for part in whole["messages"][1]["parts"] if part["type"] == "tool_call")["result"]
            own = result["items"][1]["file_id"]
            assert own != file_id
            assert (await api.client.get(f"/api/files/{own}", headers=B)).content == PICTURE

        await api.world.store.delete("anna", conversation)
        assert (await api.client.get(f"/api/files/{file_id}")).status_code == 404


async def test_of_a_temporary_chat_it_is_in_memory(make_api: MakeApi):
    """As everything of it."""
    models, provider = catalog(sees=True)
    async with make_api(tools=[draw], catalog=models) as api:
        api.world.provider = provider
        _, message = await called(api, "draw", temporary=True)
        (file_id,) = {picture.file_id for picture in pictures_in(call_of(message).result)}
        assert file_id.startswith("temporary-")
        assert (await api.client.get(f"/api/files/{file_id}")).content == PICTURE
        assert sent(api, 1) == [DATA] * 2
        assert (await api.client.get("/api/files")).json()["bytes"] == 0


async def test_an_answer_from_before_keeps_its_bytes(api: Api):
    """A result that was stored with them is shown and sent as it was."""
    old = {"$view": "image", "media_type": "image/png", "data": DATA, "name": "old"}
    part = ToolCallPart("c", "draw", arguments={}, state="done", result=old)
    messages = [Message("", "user"), Message("", "assistant", (part,), model="fake:one", stop_reason="stop")]
    conversation = await api.world.store.insert_conversation("local", "old", messages)
    whole = (await api.client.get(f"/api/conversations/{conversation}")).json()
    assert whole["messages"][1]["parts"][0]["result"] == old
    await called(api, "draw", conversation_id=conversation)
    assert sent(api, 0) == [DATA]
