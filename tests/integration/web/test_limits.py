"""Bounded use over a real server: a slot comes before the run, and a refusal has the caller's shape."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import websockets

from streamchat.chat.events import Finished, TextDelta
from streamchat.errors import StreamchatError
from streamchat.http_protocol import patient
from streamchat.identity import Credentials, Identity
from streamchat.web.page_socket import BURST, PER_SECOND
from streamchat.web.streaming import streams
from tests.integration.web.conftest import Api, MakeApi, serving

MESSAGES = [{"role": "user", "content": "hi"}]
UI_MESSAGE = {"id": "m", "role": "user", "parts": [{"type": "text", "text": "hi"}]}
STARTS: dict[str, tuple[str, str, Any]] = {
    "plain": ("GET", "/stream?query=hi", None),
    "meta": ("GET", "/stream-with-meta?query=hi", None),
    "chat": ("POST", "/v1/chat/completions", {"model": "fake:one", "messages": MESSAGES, "stream": True}),
    "chat-whole": ("POST", "/v1/chat/completions", {"model": "fake:one", "messages": MESSAGES}),
    "responses": ("POST", "/v1/responses", {"model": "fake:one", "input": "hi", "stream": True}),
    "messages": ("POST", "/v1/messages", {"model": "fake:one", "messages": MESSAGES, "max_tokens": 9, "stream": True}),
    "ag-ui": (
        "POST",
        "/ag-ui",
        {"id": "", "threadId": "t", "runId": "r", "messages": [UI_MESSAGE | {"content": "hi"}]},
    ),
    "ai-sdk": ("POST", "/api/chat", {"id": "chat", "trigger": "submit-message", "messages": [UI_MESSAGE]}),
}


async def finish_all(api: Api) -> None:
    count = len(api.world.runs.active_ids())
    api.provider.say(*[TextDelta("x")] * count, *[Finished()] * count)
    while api.world.runs.active_ids():
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("name", STARTS)
async def test_as_many_runs_as_places(make_api: MakeApi, name: str) -> None:
    """Eight simultaneous starts for two streams: two runs, six refusals without any, free slots at the end."""
    method, path, body = STARTS[name]
    async with make_api(STREAMCHAT_STREAMS_PER_CLIENT="2") as api:

        async def call(number: int) -> httpx.Response:
            content = (
                body | {"id": f"chat-{number}", "runId": f"{number}", "threadId": f"{number}"}
                if body and "id" in body
                else body
            )
            return await api.client.request(method, path, json=content)

        calls = [asyncio.create_task(call(number)) for number in range(8)]
        while sum(task.done() for task in calls) < 6 or len(api.provider.requests) < 2:
            await asyncio.sleep(0.01)
        refused = [task.result() for task in calls if task.done()]
        assert [answer.status_code for answer in refused] == [429] * 6
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
        await finish_all(api)
        assert sorted(answer.status_code for answer in await asyncio.gather(*calls)) == [200] * 2 + [429] * 6
        assert len(api.provider.requests) == 2
        assert len(await api.world.store.conversations("local", limit=100)) == 2
        assert streams.reads("127.0.0.1") == 0


@pytest.mark.parametrize("name", STARTS)
async def test_a_start_that_fails_gives_its_place_back(make_api: MakeApi, name: str) -> None:
    """A model that does not exist, a body that makes no sense: nothing is held afterwards."""
    method, path, body = STARTS[name]
    async with make_api(STREAMCHAT_STREAMS_PER_CLIENT="1") as api:
        for _ in range(3):
            none = {"model": "none:such"}
            wrong = body | none | {"forwardedProps": none} if body else None
            answer = await api.client.request(method, path if body else f"{path}&model=none:such", json=wrong)
            assert answer.status_code == 404, answer.text
        assert streams.reads("127.0.0.1") == 0


async def test_refusals_have_the_shape_of_their_caller(make_api: MakeApi) -> None:
    """Ours, OpenAI's, Anthropic's, with ``Retry-After``; the same for every limit."""
    async with make_api(STREAMCHAT_STARTS_PER_CLIENT="1") as api:
        await api.start()
        shapes = {}
        for name, (method, path, body) in STARTS.items():
            answer = await api.client.request(method, path, json=body)
            assert answer.status_code == 429, (name, answer.text)
            assert 1 <= int(answer.headers["retry-after"]) <= 60
            shapes[name] = answer.json()
        answer = await api.client.post("/api/runs", json={"message": "hi"})
        assert answer.json()["error"]["kind"] == shapes["plain"]["error"]["kind"] == "too-many-requests"
        assert shapes["ai-sdk"]["error"]["kind"] == "too-many-requests"
        assert shapes["chat"]["error"]["type"] == "rate_limit_error"
        assert shapes["responses"]["error"]["code"] == "too_many_requests"
        assert (shapes["messages"]["type"], shapes["messages"]["error"]["type"]) == ("error", "rate_limit_error")
        assert len(await api.world.store.conversations("local", limit=100)) == 1
        assert streams.reads("127.0.0.1") == 0
        await finish_all(api)


async def test_answers_at_the_same_time_are_limited(make_api: MakeApi) -> None:
    """Of simultaneous starts too; one that was started already is found again; an ended one makes room."""
    async with make_api(STREAMCHAT_RUNS_PER_CLIENT="2") as api:
        answers = await asyncio.gather(
            *(api.client.post("/api/runs", json={"message": "hi", "client_message_id": f"c{n}"}) for n in range(6))
        )
        assert sorted(answer.status_code for answer in answers) == [201, 201, 429, 429, 429, 429]
        started = next(n for n, answer in enumerate(answers) if answer.status_code == 201)
        again = await api.client.post("/api/runs", json={"message": "hi", "client_message_id": f"c{started}"})
        assert (again.status_code, again.json()["run_id"]) == (200, answers[started].json()["run_id"])
        await finish_all(api)
        assert (await api.client.post("/api/runs", json={"message": "hi"})).status_code == 201
        await finish_all(api)


async def test_an_ipv6_network_is_one_address(make_api: MakeApi) -> None:
    """Behind a proxy the address is that of the client; of IPv6 its network counts, and a mapped address is IPv4."""
    async with make_api(STREAMCHAT_STARTS_PER_CLIENT="1") as api:

        async def start(address: str) -> int:
            headers = {"X-Forwarded-For": address}
            return (await api.client.post("/api/runs", json={"message": "hi"}, headers=headers)).status_code

        assert [await start("2001:db8:1:2::1"), await start("2001:db8:1:2:ffff::9")] == [201, 429]
        assert await start("2001:db8:1:3::1") == 201
        assert [await start("198.51.100.7"), await start("::ffff:198.51.100.7")] == [201, 429]
        assert await start("203.0.113.1, 198.51.100.8") == 201
        await finish_all(api)


async def test_steering_beyond_a_limit_stops_nothing(make_api: MakeApi) -> None:
    """The answer that would be replaced goes on."""
    async with make_api(STREAMCHAT_STARTS_PER_CLIENT="1") as api:
        run_id = await api.start()
        refused = await api.client.post(f"/api/runs/{run_id}/steer", json={"message": "no, this"})
        assert refused.status_code == 429
        assert api.world.runs.active_ids() == [run_id]
        await finish_all(api)


async def test_every_owner_has_limits_of_its_own(make_api: MakeApi) -> None:
    """Two owners behind one address: each may write one answer, read one stream, and no more."""

    async def identify(credentials: Credentials) -> Identity:
        name = credentials.headers.get("x-person", "")
        if not name:
            raise StreamchatError("Who are you?")
        return Identity(name, name, "test")

    async with make_api(identify=identify, STREAMCHAT_RUNS_PER_OWNER="1", STREAMCHAT_STREAMS_PER_OWNER="1") as api:
        ids = {}
        for person in ("ada", "bob"):
            headers = {"X-Person": person}
            answer = await api.client.post("/api/runs", json={"message": "hi"}, headers=headers)
            ids[person] = answer.json()["run_id"]
            assert (await api.client.post("/api/runs", json={"message": "hi"}, headers=headers)).status_code == 429
        async with api.client.stream("GET", f"/api/runs/{ids['ada']}/events", headers={"X-Person": "ada"}) as first:
            assert first.status_code == 200
            second = await api.client.get(f"/api/runs/{ids['ada']}/events", headers={"X-Person": "ada"})
            assert second.status_code == 429
            async with api.client.stream("GET", f"/api/runs/{ids['bob']}/events", headers={"X-Person": "bob"}) as other:
                assert other.status_code == 200
        await finish_all(api)


async def test_the_socket_says_when_to_come_again(make_api: MakeApi) -> None:
    """A refused stream on the WebSocket is a problem with ``retry_after`` and its own close code."""
    async with make_api(STREAMCHAT_STREAMS_PER_CLIENT="1") as api:
        run_id = await api.start()
        url = f"ws://127.0.0.1:{api.port}/api/runs/{run_id}/ws"
        async with websockets.connect(url), websockets.connect(url) as refused:
            assert '"retry_after":' in str(await refused.recv())
            await refused.wait_closed()
            assert refused.close_code == 4429
        await finish_all(api)


async def test_an_address_has_so_many_pages(make_api: MakeApi) -> None:
    """The page's socket is refused in its handshake with 429; one that closes makes room."""
    async with make_api(STREAMCHAT_SOCKETS_PER_CLIENT="1") as api:
        url = f"ws://127.0.0.1:{api.port}/_hold"
        async with websockets.connect(url) as socket:
            assert await socket.recv() == "page"
            with pytest.raises(websockets.InvalidStatus) as refused:
                await websockets.connect(url)
            assert refused.value.response.status_code == 429
            assert int(refused.value.response.headers["Retry-After"]) >= 1
        async with asyncio.timeout(20):
            while True:
                try:
                    async with websockets.connect(url):
                        break
                except websockets.InvalidStatus:
                    await asyncio.sleep(0.01)


async def test_a_flood_of_events_waits(make_api: MakeApi) -> None:
    """What a page sends beyond its rate is read later, one by one; nothing is lost and nothing is refused."""
    async with make_api() as api, websockets.connect(f"ws://127.0.0.1:{api.port}/_echo") as socket:
        count = BURST + 10
        for number in range(count):
            await socket.send(str(number))
        began = asyncio.get_running_loop().time()
        assert [await socket.recv() for _ in range(count)] == [str(number) for number in range(count)]
        assert asyncio.get_running_loop().time() - began > 5 / PER_SECOND


@asynccontextmanager
async def patient_server(seconds: float) -> AsyncIterator[int]:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
            while (await receive())["type"] != "websocket.disconnect":
                await send({"type": "websocket.send", "text": "here"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.sleep(3 * seconds)
        await send({"type": "http.response.body", "body": b"slow"})

    with socket.socket(proto=socket.IPPROTO_TCP) as sock:
        sock.bind(("127.0.0.1", 0))
        async with serving(app, sock, http=patient(seconds), timeout_keep_alive=60):
            yield sock.getsockname()[1]


@pytest.mark.parametrize("sent", [b"", b"G", b"GET / HTTP/1.1\r\nHost: x\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"])
async def test_a_connection_that_sends_no_request_is_closed(sent: bytes) -> None:
    """One that says nothing, one byte, or half a request, first of all or after a response."""
    async with patient_server(0.2) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        async with asyncio.timeout(20):
            response = await reader.read()
        assert (b"slow" in response) == sent.endswith(b"\r\n\r\n")  # that was a request, answered in its own time
        writer.close()


async def test_one_byte_after_a_response_holds_nothing_open() -> None:
    """uvicorn ends its own timeout with the first byte."""
    async with patient_server(0.2) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"slow")
        writer.write(b"G")
        async with asyncio.timeout(20):
            await reader.read()
        writer.close()


async def test_a_silent_socket_is_none_of_these() -> None:
    """A WebSocket may say nothing for as long as it likes: one is open when a younger connection has been closed."""
    async with patient_server(0.1) as port, websockets.connect(f"ws://127.0.0.1:{port}/") as socket:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.timeout(20):
            assert await reader.read() == b""
        writer.close()
        await socket.send("still")
        assert await socket.recv() == "here"
