"""Two people on one server over HTTP and WebSocket: neither has anything of the other's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest
import pytest_asyncio
import websockets

from streamchat.chat.events import Finished, TextDelta
from tests.integration.web.conftest import Api, MakeApi, api_maker, make_api, shared
from tests.support.openapi import SPEC
from tests.support.owners import A, B, identify_by_header

__all__ = ["make_api"]

SECRET = "zebrafish"
# What has no owner, and why.
FOR_ALL = {
    "GET /healthz": "the process answers",
    "GET /readyz": "the database answers",
    "GET /api/status/stream": "a test of the line, no data",
    "GET /api/status/idle": "a test of the line, no data",
    "POST /api/conversations/import": "begins conversations of the caller's own",
    "GET /api/shares/{share_id}": "the link itself is the permission",
    "GET /api/shares/{share_id}/runs/{run_id}": "the link itself is the permission",
    "GET /api/shares/{share_id}/runs/{run_id}/events": "the link itself is the permission",
    "GET /api/shares/{share_id}/files/{file_id}": "the link itself is the permission",
    "POST /api/files": "stores a file of the caller's own",
    "GET /api/files": "counts the caller's own",
    "GET /api/status/loop": "pauses of the process",
    "GET /v1/models": "the models are the server's",
    "GET /v1/models/{model_id}": "the models are the server's",
    "GET /api/latency": "figures of the caller's own answers: test_latency",
    "GET /api/presets": "lists the caller's own: test_presets",
    "POST /api/presets": "saves one of the caller's own: test_presets",
    "GET /api/keys": "lists the caller's own: accounts/test_own_keys",
    "PUT /api/keys/{vendor}": "sets the caller's own: accounts/test_own_keys",
    "GET /api/webhooks": "lists the caller's own: test_webhooks",
    "POST /api/webhooks": "adds one of the caller's own: test_webhooks",
    "POST /v1/messages/count_tokens": "counts what is sent with it",
    "POST /v1/conversations": "begins a conversation of the caller's own",
    "POST /v1/embeddings": "computed from what is sent with it",
}
CHAT = {"model": "fake:one", "messages": [{"role": "user", "content": "hi"}]}
PART = {"type": "text", "text": "hi"}
# How the other person asks for it, and the status that they get. ``{run}`` and ``{conversation}`` are the owner's.
FOREIGN = {
    "POST /api/runs": ("/api/runs", {"message": "hi", "conversation_id": "{conversation}"}, 404),
    "GET /api/runs/{run_id}": ("/api/runs/{run}", None, 404),
    "DELETE /api/runs/{run_id}": ("/api/runs/{run}", None, 404),
    "POST /api/runs/{run_id}/steer": ("/api/runs/{run}/steer", {"message": "hi"}, 404),
    "POST /api/runs/{run_id}/decisions": ("/api/runs/{run}/decisions", {"call_id": "c", "approve": True}, 404),
    "GET /api/runs/{run_id}/recording": ("/api/runs/{run}/recording", None, 404),
    "GET /api/runs/{run_id}/events": ("/api/runs/{run}/events", None, 404),
    "GET /api/conversations": ("/api/conversations", None, 200),
    "GET /api/conversations/{conversation_id}": ("/api/conversations/{conversation}", None, 404),
    "GET /api/conversations/{conversation_id}/export": ("/api/conversations/{conversation}/export", None, 404),
    "GET /api/conversations/{conversation_id}/events": ("/api/conversations/{conversation}/events", None, 404),
    "PATCH /api/conversations/{conversation_id}": ("/api/conversations/{conversation}", {"title": "mine"}, 404),
    "DELETE /api/conversations/{conversation_id}": ("/api/conversations/{conversation}", None, 404),
    "POST /api/conversations/{conversation_id}/restore": ("/api/conversations/{conversation}/restore", {}, 404),
    "POST /api/conversations/{conversation_id}/messages": (
        "/api/conversations/{conversation}/messages",
        {"message": "hi"},
        404,
    ),
    "POST /api/conversations/{conversation_id}/share": ("/api/conversations/{conversation}/share", {}, 404),
    "DELETE /api/conversations/{conversation_id}/share": ("/api/conversations/{conversation}/share", None, 404),
    "GET /api/messages/{message_id}": ("/api/messages/{run}", None, 404),
    "POST /api/messages/{message_id}/regenerate": ("/api/messages/{run}/regenerate", {}, 404),
    "POST /api/messages/{message_id}/edit": ("/api/messages/{run}/edit", {"message": "hi"}, 404),
    "POST /api/messages/{message_id}/fork": ("/api/messages/{run}/fork", {}, 404),
    "POST /api/messages/{message_id}/select": ("/api/messages/{run}/select", {}, 404),
    "POST /api/messages/{message_id}/feedback": ("/api/messages/{run}/feedback", {"rating": "up"}, 404),
    "DELETE /api/messages/{message_id}/feedback": ("/api/messages/{run}/feedback", None, 404),
    "DELETE /api/messages/{message_id}": ("/api/messages/{run}", None, 404),
    "POST /api/messages/{message_id}/restore": ("/api/messages/{run}/restore", {}, 404),
    "GET /api/files/{file_id}": ("/api/files/{file}", None, 404),
    "DELETE /api/files/{file_id}": ("/api/files/{file}", None, 404),
    "GET /api/admin/people": ("/api/admin/people", None, 403),
    "PUT /api/admin/people/{account_id}/limits": ("/api/admin/people/a/limits", {"requests": 1}, 403),
    "GET /api/admin/usage": ("/api/admin/usage", None, 403),
    "GET /api/admin/models": ("/api/admin/models", None, 403),
    "PUT /api/admin/models": ("/api/admin/models", {"model": "fake:one", "off": True}, 403),
    "GET /api/admin/health": ("/api/admin/health", None, 403),
    "GET /api/search": ("/api/search?q=" + SECRET, None, 200),
    "PATCH /api/presets/{preset_id}": ("/api/presets/{preset}", {"name": "mine"}, 404),
    "DELETE /api/presets/{preset_id}": ("/api/presets/{preset}", None, 404),
    "DELETE /api/keys/{vendor}": ("/api/keys/openai", None, 404),
    "DELETE /api/webhooks/{webhook_id}": ("/api/webhooks/{webhook}", None, 404),
    "GET /api/webhooks/{webhook_id}/deliveries": ("/api/webhooks/{webhook}/deliveries", None, 404),
    "POST /api/webhooks/{webhook_id}/deliveries/{delivery_id}/retry": (
        "/api/webhooks/{webhook}/deliveries/msg_{run}_1/retry",
        {},
        404,
    ),
    "GET /stream": ("/stream?query=x", None, 404),
    "GET /stream-chat": ("/stream-chat?query=x", None, 404),
    "GET /stream-with-meta": ("/stream-with-meta?query=x", None, 404),
    "POST /v1/chat/completions": ("/v1/chat/completions", CHAT, 404),
    "POST /v1/responses": (
        "/v1/responses",
        {"model": "fake:one", "input": "hi", "previous_response_id": "resp_{run}"},
        404,
    ),
    "POST /v1/messages": ("/v1/messages", CHAT | {"max_tokens": 9}, 404),
    "GET /v1/responses/{response_id}": ("/v1/responses/resp_{run}", None, 404),
    "POST /v1/responses/{response_id}/cancel": ("/v1/responses/resp_{run}/cancel", {}, 404),
    "DELETE /v1/responses/{response_id}": ("/v1/responses/resp_{run}", None, 404),
    "GET /v1/responses/{response_id}/input_items": ("/v1/responses/resp_{run}/input_items", None, 404),
    "GET /v1/conversations/{conversation}": ("/v1/conversations/conv_{conversation}", None, 404),
    "DELETE /v1/conversations/{conversation}": ("/v1/conversations/conv_{conversation}", None, 404),
    "GET /v1/conversations/{conversation}/items": ("/v1/conversations/conv_{conversation}/items", None, 404),
    "GET /v1/conversations/{conversation}/items/{item_id}": (
        "/v1/conversations/conv_{conversation}/items/msg_{run}_0",
        None,
        404,
    ),
    "POST /v1/conversations/{conversation}": (
        "/v1/conversations/conv_{conversation}",
        {"metadata": {"a": "b"}},
        404,
    ),
    "POST /v1/conversations/{conversation}/items": (
        "/v1/conversations/conv_{conversation}/items",
        {"items": [{"type": "message", "role": "user", "content": "hi"}]},
        404,
    ),
    "DELETE /v1/conversations/{conversation}/items/{item_id}": (
        "/v1/conversations/conv_{conversation}/items/msg_{run}_0",
        None,
        404,
    ),
    # The id of a chat is the client's: the other's conversation of this name is another chat of one's own.
    "POST /api/chat": (
        "/api/chat",
        {"id": "c", "messages": [{"id": "{run}", "role": "assistant", "parts": [PART | {
            "type": "tool-x", "toolCallId": "c", "approval": {"id": "c", "approved": True}}]}]},
        404,
    ),
    "GET /api/chat/{chat_id}/stream": ("/api/chat/{conversation}/stream", None, 204),
    # So is that of a thread; an interrupt is a call of an answer of ours.
    "POST /ag-ui": (
        "/ag-ui",
        {"threadId": "t", "runId": "r", "resume": [{"interruptId": "{run}:c", "status": "cancelled"}]},
        404,
    ),
    "GET /ag-ui/{run_id}": ("/ag-ui/{run}", None, 404),
}  # fmt: skip
OPERATIONS = [
    f"{method.upper()} {path}"
    for path, item in SPEC["paths"].items()
    for method in item
    if not path.startswith(
        ("/api/account", "/api/audit")
    )  # nobody's but a signed-in person's: tests/integration/accounts
]


@dataclass
class Two:
    """``run``, ``conversation``, ``file``, ``preset`` and ``webhook`` are A's; the run is being written."""

    api: Api
    run: str
    conversation: str
    file: str
    preset: str
    webhook: str

    def filled(self, value: object) -> str:
        text = value if isinstance(value, str) else json.dumps(value)
        for name in ("run", "conversation", "file", "preset", "webhook"):
            text = text.replace("{" + name + "}", getattr(self, name))
        return text

    async def ask(self, operation: str, owner: dict[str, str]) -> httpx.Response:
        method, (path, body, _) = operation.partition(" ")[0], FOREIGN[operation]
        headers = {**owner, "Content-Type": "application/json"}
        if "/v1/" in operation and "{" not in operation and "previous_response_id" not in str(body):
            headers["X-Conversation-Id"] = self.conversation
        if "/stream" in operation and "/api/" not in operation:
            headers["Last-Event-ID"] = f"{self.run}:0"
        content = None if body is None else self.filled(body)
        return await self.api.client.request(method, self.filled(path), content=content, headers=headers, timeout=60)


@asynccontextmanager
async def both_on(make: MakeApi) -> AsyncIterator[Two]:
    async with make(identify=identify_by_header) as api:
        body = (await api.client.post("/api/runs", json={"message": SECRET}, headers=A)).json()
        api.provider.say(TextDelta(SECRET))
        form = {"file": ("a.txt", SECRET.encode(), "text/plain")}
        file = (await api.client.post("/api/files", files=form, headers=A)).json()
        preset = {"name": SECRET, "system": SECRET}
        saved = (await api.client.post("/api/presets", json=preset, headers=A)).json()
        hook = (await api.client.post("/api/webhooks", json={"url": "https://a.example/"}, headers=A)).json()
        yield Two(api, body["run_id"], body["conversation_id"], file["id"], saved["id"], hook["id"])


@pytest.fixture
async def two(make_api: MakeApi) -> AsyncIterator[Two]:
    async with both_on(make_api) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def attacked(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Two]:
    """One server for all attacks: none of them changes what A has."""
    async with both_on(api_maker(tmp_path_factory.mktemp("attacked"))) as made:
        yield made


def test_every_operation_is_looked_at():
    """A new one is added to one of the two tables, with its reason or with its attack."""
    assert set(OPERATIONS) == {*FOR_ALL, *FOREIGN}


@shared
@pytest.mark.parametrize("operation", FOREIGN)
async def test_the_other_has_nothing_of_it(attacked: Two, operation: str):
    """Asked for by the other person, a run, a conversation or a search is as if it did not exist, and goes on."""
    answer = await attacked.ask(operation, B)
    assert answer.status_code == FOREIGN[operation][2], answer.text
    assert SECRET not in answer.text
    assert attacked.run not in answer.text
    assert attacked.conversation not in answer.text
    own = (await attacked.api.client.get(f"/api/runs/{attacked.run}", headers=A)).json()
    assert own["status"] == "streaming"


@shared
@pytest.mark.parametrize("operation", FOREIGN)
async def test_without_an_owner_nothing_is_answered(attacked: Two, operation: str):
    """Every operation that is not for all asks who it is; what refuses there is the answer."""
    answer = await attacked.ask(operation, {})
    assert "Nobody is asking." in answer.text


async def test_the_owner_has_all_of_it(two: Two):
    """The same addresses answer their owner: the refusals above are not those of wrong requests."""
    two.api.provider.say(Finished())
    await two.api.world.ended(two.run)
    for path in (
        f"/api/runs/{two.run}",
        f"/api/conversations/{two.conversation}",
        f"/api/conversations/{two.conversation}/export",
        f"/api/search?q={SECRET}",
        f"/v1/responses/resp_{two.run}",
    ):
        answer = await two.api.client.get(path, headers=A)
        assert answer.status_code == 200, path
        assert SECRET in answer.text, path
    listed = (await two.api.client.get("/api/conversations", headers=A)).json()["conversations"]
    assert [row["id"] for row in listed] == [two.conversation]


async def test_the_same_client_message_id_is_not_the_same_request(two: Two):
    """Ids of requests are each person's own: the second begins a run of their own instead of finding the first's."""
    body = {"message": "hi", "client_message_id": "one"}
    first, second = [(await two.api.client.post("/api/runs", json=body, headers=who)).json() for who in (A, B)]
    assert first["run_id"] != second["run_id"]
    assert first["conversation_id"] != second["conversation_id"]


async def test_no_branch_begins_at_anothers_message(two: Two):
    """With and without the conversation's id: a foreign parent is not found."""
    for more in ({}, {"conversation_id": two.conversation}):
        body = {"message": "hi", "parent_id": two.run, **more}
        answer = await two.api.client.post("/api/runs", json=body, headers=B)
        assert answer.status_code == 404, answer.text


async def test_the_socket_of_a_run_is_its_owners(two: Two):
    """The other person's socket is closed as for a run that does not exist, and nobody's is refused."""
    for headers, code in ((B, 4404), ({}, 4500)):
        for path in (f"conversations/{two.conversation}/ws", f"runs/{two.run}/ws"):
            address = f"ws://127.0.0.1:{two.api.port}/api/{path}"
            async with websockets.connect(address, additional_headers=headers) as socket:
                assert json.loads(await socket.recv())["type"] == "problem"
                with pytest.raises(websockets.ConnectionClosedError):
                    await socket.recv()
                assert socket.close_code == code
    async with websockets.connect(address, additional_headers=A) as socket:
        assert json.loads(await socket.recv())["text"] == SECRET
        await socket.send(json.dumps({"type": "stop", "id": 1}))
        async with asyncio.timeout(20):
            while json.loads(await socket.recv())["type"] != "done":
                pass
