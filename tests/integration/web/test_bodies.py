"""Bodies over a real server: bounded in size, in structure and all together, refused in the caller's shape."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from streamchat.chat.events import Finished, TextDelta
from streamchat.chat.json_depth import MAX_DEPTH
from streamchat.web.body_limit import MAX_BODY_BYTES, body_memory
from tests.integration.web.conftest import Api, MakeApi, shared
from tests.support.long import LONG

JSON = {"Content-Type": "application/json"}
SMALL = {"role": "user", "content": "x"}
PATHS = (
    "/api/runs",
    "/api/chat",
    "/ag-ui",
    "/v1/chat/completions",
    "/v1/responses",
    "/v1/messages",
    "/v1/messages/count_tokens",
)
LISTS = {"/api/runs": "message", "/v1/responses": "input"}


def many(path: str, count: int) -> bytes:
    return json.dumps({"model": "fake:one", LISTS.get(path, "messages"): [SMALL] * count}).encode()


def message_of(answer: Any) -> str:
    return answer.json()["error"]["message"]


@shared
@pytest.mark.parametrize("path", PATHS)
async def test_many_small_messages_are_refused_before_they_are_built(shared_api: Api, path: str) -> None:
    """Up to 20 MB of them: by the structure of the body, in the shape of the endpoint; nothing is started or stored."""
    body = many(path, MAX_BODY_BYTES // 40 if LONG or path == PATHS[0] else 60_000)
    assert len(body) < MAX_BODY_BYTES
    answer = await shared_api.client.post(path, content=body, headers=JSON)
    assert answer.status_code == 413
    assert "more than 100,000 values" in message_of(answer)
    answer = await shared_api.client.post(path, content=many(path, 30_000), headers=JSON)
    assert answer.status_code in (400, 422)
    assert len(answer.text) < 1000
    assert shared_api.provider.requests == []
    assert await shared_api.world.store.conversations("local", limit=1) == []
    assert body_memory.used == 0


@shared
@pytest.mark.parametrize("opening", ["[", '{"a":'])
@pytest.mark.parametrize("path", PATHS)
async def test_a_deep_body_is_refused(shared_api: Api, path: str, opening: str) -> None:
    """One level too deep and a million levels too deep, closed or not."""
    for depth in (MAX_DEPTH + 1, 1_000_000):
        answer = await shared_api.client.post(path, content=opening * depth, headers=JSON)
        assert answer.status_code == 400
        assert "nested deeper" in message_of(answer)


async def test_what_people_send_is_no_obstacle(api: Api) -> None:
    """A long history with code in it, and a picture of several megabytes."""
    code = 'def f(x):\n    return {\'a\': [1, 2, {"b": "\\\\"}]}\n' * 50
    history = [{"role": role, "content": code} for role in ("user", "assistant")] * 1000 + [SMALL]
    body = {"model": "fake:one", "messages": history, "stream": False}
    answering = asyncio.create_task(api.client.post("/v1/chat/completions", json=body))
    while not api.provider.requests:
        assert not answering.done(), answering.result().text
        await asyncio.sleep(0.01)
    api.provider.say(TextDelta("yes"), Finished())
    assert (await answering).status_code == 200


async def test_a_body_without_pictures_is_small(api: Api) -> None:
    """A decision, a cancellation and an unknown address take three megabytes; the place for pictures takes twenty."""
    body = json.dumps({"call_id": "x", "approve": True, "reason": "y" * 3 * 2**20}).encode()
    for path in ("/api/runs/x/decisions", "/v1/responses/resp_x/cancel", "/api/nowhere"):
        answer = await api.client.post(path, content=body, headers=JSON)
        assert (answer.status_code, "3 MB" in message_of(answer)) == (413, True), path
    export = {"id": "x", "title": "t", "messages": [{"role": "user", "content": "y" * 4 * 2**20}]}
    answer = await api.client.post("/api/conversations/import", json={"text": json.dumps(export)})
    assert answer.status_code != 413
    answer = await api.client.post("/api/runs", content=b" " * (MAX_BODY_BYTES + 1), headers=JSON)
    assert (answer.status_code, "20 MB" in message_of(answer)) == (413, True)


async def test_bodies_have_a_common_budget(make_api: MakeApi) -> None:
    """While one is on its way, another that does not fit beside it gets 429; afterwards it fits."""
    body = json.dumps({"model": "fake:one", "messages": [{"role": "user", "content": "x" * 150_000}]}).encode()
    body += b" " * (700_000 - len(body))
    async with make_api(STREAMCHAT_BODY_MEMORY=str(2**20)) as api:
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
        head = f"POST /api/runs HTTP/1.1\r\nHost: 127.0.0.1:{api.port}\r\nContent-Type: application/json\r\n"
        writer.write(head.encode() + b"Content-Length: 800000\r\n\r\n" + b" " * 700_000)
        while body_memory.used < 700_000:
            await asyncio.sleep(0.01)
        refused = await api.client.post("/v1/chat/completions", content=body, headers=JSON)
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.json()["error"]["type"] == "rate_limit_error"
        writer.close()
        while body_memory.used:
            await asyncio.sleep(0.01)
        answering = asyncio.create_task(api.client.post("/v1/chat/completions", content=body, headers=JSON))
        while not api.provider.requests:
            assert not answering.done(), answering.result().text
            await asyncio.sleep(0.01)
        api.provider.say(TextDelta("yes"), Finished())
        assert (await answering).status_code == 200
        assert body_memory.used == 0


async def test_a_stream_does_not_hold_its_body(api: Api) -> None:
    """The memory of a question is free when its answer begins, however long that lasts."""
    body = {"model": "fake:one", "stream": True, "messages": [{"role": "user", "content": "x" * 100_000}]}
    api.provider.say(TextDelta("a"))
    async with api.client.stream("POST", "/v1/chat/completions", json=body) as answer:
        assert answer.status_code == 200
        assert body_memory.used == 0
        api.provider.say(Finished())
        await answer.aread()
