"""Pictures inside of requests, in every protocol: stored as files, so that no frame and no row carries their bytes."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from streamchat.files.checks import MAX_SIDE
from tests.integration.protocols.conftest import Api
from tests.support.made_files import PICTURE, bomb, png

URL = f"data:image/png;base64,{PICTURE}"
TEXT = "n=1 rate=0 ttft=0"


def requests(picture: str = PICTURE, url: str = URL) -> dict[str, tuple[str, dict[str, Any]]]:
    """A request with a text and a picture, by protocol: path and body."""
    model = {"model": "simulator:tour"}
    ours = [{"type": "text", "text": TEXT}, {"type": "image", "media_type": "image/png", "data": picture}]
    chat = [{"type": "text", "text": TEXT}, {"type": "image_url", "image_url": {"url": url}}]
    responses = [{"type": "input_text", "text": TEXT}, {"type": "input_image", "image_url": url, "detail": "auto"}]
    source = {"type": "base64", "media_type": "image/png", "data": picture}
    messages = [{"type": "text", "text": TEXT}, {"type": "image", "source": source}]
    sdk = {"id": "q1", "role": "user", "parts": [
        {"type": "text", "text": TEXT}, {"type": "file", "mediaType": "image/png", "url": url}
    ]}  # fmt: skip
    return {
        "/api": ("/api/runs", {"message": ours}),
        "chat": ("/v1/chat/completions", model | {"messages": [{"role": "user", "content": chat}]}),
        "responses": ("/v1/responses", model | {"input": [{"role": "user", "content": responses}]}),
        "messages": (
            "/v1/messages", model | {"max_tokens": 100, "messages": [{"role": "user", "content": messages}]}
        ),
        "AI SDK": ("/api/chat", {"id": "c1", "messages": [sdk], "trigger": "submit-message"}),
    }  # fmt: skip


@pytest.fixture
async def client(api: Api) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=api.url, timeout=60) as client:
        yield client


async def stored(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    """All parts of all questions that are pictures."""
    found: list[dict[str, Any]] = []
    for row in (await client.get("/api/conversations")).json()["conversations"]:
        whole = (await client.get(f"/api/conversations/{row['id']}")).json()
        found += [part for one in whole["messages"] for part in one["parts"] if part["type"] == "image"]
    return found


@pytest.mark.parametrize("protocol", list(requests()))
async def test_a_picture_becomes_a_file(client: httpx.AsyncClient, protocol: str) -> None:
    """It is named where it was sent, read by its address, and kept once however often a client repeats it."""
    path, body = requests()[protocol]
    for _ in range(2):
        answer = await client.post(path, json=body)
        assert answer.is_success, answer.text
    parts = await stored(client)
    assert parts
    assert len({part["file_id"] for part in parts}) == 1
    assert all(not part.get("data") and (part["width"], part["height"]) == (7, 5) for part in parts)
    content = await client.get(f"/api/files/{parts[0]['file_id']}")
    assert (content.content, content.headers["content-type"]) == (png(7, 5), "image/png")
    assert (await client.get("/api/files")).json()["bytes"] == len(png(7, 5))


@pytest.mark.parametrize("protocol", list(requests()))
async def test_what_is_no_picture_is_refused(client: httpx.AsyncClient, protocol: str) -> None:
    """A bomb, a text that says it is a picture, and half of one: an error message, nothing stored, no answer."""
    for wrong in (bomb(), b"<script>alert(1)</script>", png(7, 5)[:20]):
        data = b64encode(wrong).decode()
        path, body = requests(data, f"data:image/png;base64,{data}")[protocol]
        answer = await client.post(path, json=body)
        assert answer.status_code in (400, 413, 415, 422), answer.text
        assert "icture" in answer.text or f"{MAX_SIDE:,}" in answer.text
    assert await stored(client) == []
    assert (await client.get("/api/files")).json()["bytes"] == 0


async def test_an_export_has_the_bytes_and_an_import_stores_them(client: httpx.AsyncClient) -> None:
    """Also of an export that has a picture within the message, as those from before had."""
    path, body = requests()["/api"]
    started = (await client.post(path, json=body)).json()
    export = await client.get(f"/api/conversations/{started['conversation_id']}/export?format=json")
    assert PICTURE in export.text
    old = json.loads(export.text)
    for message in old["messages"]:
        for part in message["parts"]:
            for name in ("file_id", "width", "height"):
                part.pop(name, None)
    await client.delete(f"/api/conversations/{started['conversation_id']}")
    brought = await client.post("/api/conversations/import", json={"text": json.dumps(old)})
    assert brought.status_code == 201, brought.text
    (part,) = await stored(client)
    assert (await client.get(f"/api/files/{part['file_id']}")).content == png(7, 5)
