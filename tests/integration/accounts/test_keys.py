"""API keys: for /api, /v1 with the vendors' own SDKs, WebSockets and gRPC; their scopes, limits and end."""

from __future__ import annotations

import asyncio
import json

import anthropic
import grpc
import openai
import pytest
import websockets

from devservers.ports import free_port
from streamchat.chat.events import Finished, TextDelta
from streamchat.web.grpc_server import grpc_lifespan
from streamchat.wiring import ServiceHolder
from tests.integration.accounts.conftest import MakePerson
from tests.integration.grpc.conftest import RunsStub, pb
from tests.integration.web.conftest import Api, MakeApi
from tests.support.people import Person


@pytest.fixture
async def anna(person: MakePerson) -> Person:
    made = person("anna")
    await made.sign_up()
    return made


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def test_a_key_is_shown_once_and_stored_as_a_hash(api: Api, anna: Person, tmp_path):
    """The list has name, scopes and the beginning of the key; a key that is revoked counts no more."""
    key = await anna.new_key()
    assert key["key"].startswith("sck_")
    listed = (await anna.client.get("/api/account/keys")).json()["keys"]
    assert [row["name"] for row in listed] == ["program"]
    assert key["key"] not in json.dumps(listed)
    stored = b"".join(file.read_bytes() for file in tmp_path.glob("*.db*"))
    assert key["key"].encode() not in stored
    get = api.client.get
    assert (await get("/api/conversations", headers=bearer(key["key"]))).status_code == 200
    assert (await anna.client.delete(f"/api/account/keys/{key['id']}")).status_code == 204
    assert (await get("/api/conversations", headers=bearer(key["key"]))).status_code == 401


async def test_what_a_key_may_not_do(api: Api, anna: Person):
    """One that reads starts nothing; none manages the account, opens the page, or is passed over for a cookie."""
    reads, chats = [(await anna.new_key(scopes=scopes))["key"] for scopes in (["read"], ["read", "chat"])]
    post = api.client.post
    assert (await post("/api/runs", json={"message": "hi"}, headers=bearer(reads))).status_code == 403
    assert (await api.client.get("/stream?query=x", headers=bearer(reads))).status_code == 403
    assert (await post("/api/runs", json={"message": "hi"}, headers=bearer(chats))).status_code == 201
    for path in ("/api/account/keys", "/api/account/sessions", "/api/accounts", "/c/x", "/account"):
        assert (await api.client.get(path, headers=bearer(chats))).status_code == 403, path
    wrong = {**anna.headers, "Authorization": "Bearer sck_wrong"}
    assert (await api.client.get("/api/conversations", headers=wrong)).status_code == 401
    for scopes in ([], ["account"], ["read", "read", "read"]):
        assert (await anna.client.post("/api/account/keys", json={"name": "x", "scopes": scopes})).status_code == 422


async def test_a_key_has_its_own_limit(api: Api, anna: Person):
    """After so many requests a minute it gets 429 with ``Retry-After``; another key of the same person does not."""
    limited, free = (await anna.new_key(per_minute=3))["key"], (await anna.new_key())["key"]
    answers = [await api.client.get("/api/account", headers=bearer(limited)) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 20
    assert (await api.client.get("/api/account", headers=bearer(free))).status_code == 200


async def test_the_vendors_own_sdks(api: Api, anna: Person):
    """Their key is ours: OpenAI's SDK sends a bearer, Anthropic's ``x-api-key``; a wrong one is their own error."""
    key = (await anna.new_key())["key"]
    wrong = "sck_wrong"
    async with openai.AsyncOpenAI(api_key=key, base_url=f"{api.url}/v1", max_retries=0) as client:
        asking = asyncio.create_task(
            client.chat.completions.create(model="fake:one", messages=[{"role": "user", "content": "hi"}])
        )
        api.provider.say(TextDelta("hello"), Finished())
        assert (await asking).choices[0].message.content == "hello"
        with pytest.raises(openai.AuthenticationError):
            await client.with_options(api_key=wrong).models.list()
    async with anthropic.AsyncAnthropic(api_key=key, base_url=api.url, max_retries=0) as client:
        asking = asyncio.create_task(
            client.messages.create(model="fake:one", max_tokens=9, messages=[{"role": "user", "content": "hi"}])
        )
        api.provider.say(TextDelta("hello"), Finished())
        message = await asking
        assert [block.text for block in message.content if block.type == "text"] == ["hello"]
        with pytest.raises(anthropic.AuthenticationError):
            await client.with_options(api_key=wrong).models.list()
    conversations = (await anna.client.get("/api/conversations")).json()["conversations"]
    assert len(conversations) == 2


async def test_a_socket_with_a_key(api: Api, anna: Person):
    """A key that only reads follows, and stops and asks nothing; without one the socket is closed as 401."""
    run = (await anna.client.post("/api/runs", json={"message": "hi"})).json()["run_id"]
    api.provider.say(TextDelta("hello"))
    reads = (await anna.new_key(scopes=["read"]))["key"]
    address = f"ws://127.0.0.1:{api.port}/api/runs/{run}/ws"
    async with websockets.connect(address, additional_headers=bearer(reads)) as socket:
        assert json.loads(await socket.recv())["text"] == "hello"
        for command in ({"type": "stop"}, {"type": "queue", "message": "hi"}, {"type": "steer", "message": "hi"}):
            await socket.send(json.dumps(command | {"id": 1}))
            problem = json.loads(await socket.recv())
            assert (problem["type"], problem["error"]["kind"]) == ("problem", "not-allowed"), command
    async with websockets.connect(address) as socket:
        assert json.loads(await socket.recv())["error"]["kind"] == "unauthorized"
        with pytest.raises(websockets.ConnectionClosedError):
            await socket.recv()
        assert socket.close_code == 4401


async def test_grpc_with_a_key(make_api: MakeApi):
    """In the metadata: owner, other person, reading key, revoked key and nobody on one service."""
    port = free_port()
    async with make_api(STREAMCHAT_ACCOUNTS="open", STREAMCHAT_GRPC_PORT=str(port)) as api:
        async with Person(api.url, "anna") as anna, Person(api.url, "bert") as bert:
            await anna.sign_up()
            await bert.sign_up()
            own, reads = await anna.new_key(), await anna.new_key(scopes=["read"])
            other = await bert.new_key()
            async with (
                grpc_lifespan(ServiceHolder(api.services)),
                grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
            ):
                stub = RunsStub(channel)
                run = (await stub.Start(pb.StartRequest(text="hi"), metadata=metadata(own["key"]))).run_id
                await anna.client.delete(f"/api/account/keys/{own['id']}")
                for key, request, code in (
                    (
                        reads["key"],
                        stub.Stop(pb.StopRequest(run_id=run), metadata=metadata(reads["key"])),
                        "PERMISSION_DENIED",
                    ),
                    (other["key"], stub.Get(pb.GetRequest(run_id=run), metadata=metadata(other["key"])), "NOT_FOUND"),
                    (own["key"], stub.Get(pb.GetRequest(run_id=run), metadata=metadata(own["key"])), "UNAUTHENTICATED"),
                    ("", stub.Get(pb.GetRequest(run_id=run)), "UNAUTHENTICATED"),
                ):
                    with pytest.raises(grpc.aio.AioRpcError) as refused:
                        await request
                    assert refused.value.code().name == code, key
                assert (await stub.Get(pb.GetRequest(run_id=run), metadata=metadata(reads["key"]))).run_id == run


def metadata(key: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {key}"),)
