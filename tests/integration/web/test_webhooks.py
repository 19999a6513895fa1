"""Webhooks: signed, delivered once, tried again, and never in the way of an answer."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook as Verifier

from streamchat.chat.events import Finished, TextDelta, ToolCallReady, ToolCallStarted
from streamchat.chat.messages import TextPart
from streamchat.chat.request import NewRun
from streamchat.storage import Storage
from streamchat.storage.webhooks import MAX_WEBHOOKS
from streamchat.tools import tool
from streamchat.webhooks.attempt import Sender
from streamchat.webhooks.service import Webhooks
from tests.integration.web.conftest import Api, MakeApi
from tests.support.owners import A, identify_by_header

OK = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
BROKEN = b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
GONE = b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass
class Receiver:
    """Takes requests, and answers what ``answer`` returns for the number of each, ``None``: nothing at all."""

    answer: Callable[[int], bytes | None] = lambda n: OK
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:-2]
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head)}
            body = await reader.readexactly(int(headers["content-length"]))
            self.requests.append((headers, body))
            answer = self.answer(len(self.requests))
            if answer is None:
                await reader.read()  # hangs for as long as the client stays
            else:
                writer.write(answer)
        writer.close()

    async def got(self, count: int) -> list[dict[str, Any]]:
        """The bodies, once there are so many."""
        async with asyncio.timeout(60):
            while len(self.requests) < count:
                await asyncio.sleep(0.01)
        return [json.loads(body) for _, body in self.requests]


@asynccontextmanager
async def receiving(answer: Callable[[int], bytes | None] = lambda n: OK) -> AsyncIterator[Receiver]:
    receiver = Receiver(answer)
    server = await asyncio.start_server(receiver.take, "127.0.0.1")
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()


@asynccontextmanager
async def delivering(store: Storage, **more: Any) -> AsyncIterator[Webhooks]:
    """The task of a worker, with short pauses."""
    sender = more.pop("sender", None) or Sender(private=True, seconds=more.pop("seconds", 15))
    times: dict[str, Any] = {"first_pause": 0.02, "poll": 0.02} | more
    webhooks = Webhooks(store.webhooks, sender, **times)
    task = asyncio.create_task(webhooks.work())
    try:
        yield webhooks
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def api(make_api: MakeApi) -> AsyncIterator[Api]:
    async with make_api(STREAMCHAT_WEBHOOK_PRIVATE="1") as made:
        yield made


async def add(api: Api, url: str, **more: Any) -> dict[str, Any]:
    answer = await api.client.post("/api/webhooks", json={"url": url, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def log(api: Api, webhook: dict[str, Any], query: str = "") -> list[dict[str, Any]]:
    return (await api.client.get(f"/api/webhooks/{webhook['id']}/deliveries{query}")).json()["deliveries"]


async def settled(api: Api, webhook: dict[str, Any], status: str, count: int = 1) -> list[dict[str, Any]]:
    """The log, once so many deliveries have this status."""
    async with asyncio.timeout(60):
        while True:
            rows = await log(api, webhook)
            if sum(one["status"] == status for one in rows) >= count:
                return rows
            await asyncio.sleep(0.02)


async def test_an_ending_is_told_with_a_signature(api: Api):
    """The request has the headers of Standard Webhooks, which its own library verifies, and says what ended."""
    async with receiving() as receiver, delivering(api.world.store):
        webhook = await add(api, receiver.url)
        run_id = await api.said(TextDelta("hello"), Finished())
        (told,) = await receiver.got(1)
        headers, body = receiver.requests[0]
        assert told["type"] == "run.ended"
        data = told["data"]
        assert (data["run_id"], data["status"], data["model"]) == (run_id, "finished", "fake:one")
        assert "hello" not in body.decode()
        Verifier(webhook["secret"]).verify(body, headers)
        key = base64.b64decode(webhook["secret"].removeprefix("whsec_"))
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        expected = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
        assert headers["webhook-signature"] == f"v1,{expected}"
        (row,) = await settled(api, webhook, "delivered")
        assert (row["id"], row["run_id"], row["attempts"]) == (headers["webhook-id"], run_id, 1)
        assert (row["response_status"], row["error"], row["next_at"]) == (204, None, None)


async def test_waiting_is_told_and_then_the_ending(make_api: MakeApi):
    """An answer that waits for an approval is told with its calls, and its ending after the decision too."""

    @tool(approve=True)
    async def ring() -> str:
        """Ring."""
        return "rung"

    async with (
        make_api(STREAMCHAT_WEBHOOK_PRIVATE="1", tools=[ring]) as api,
        receiving() as receiver,
        delivering(api.world.store),
    ):
        await add(api, receiver.url)
        only_ended = await add(api, receiver.url + "2", events=["run.ended"])
        run_id = await api.start()
        api.provider.say(ToolCallStarted("c1", "ring"), ToolCallReady("c1", {}), Finished("tool-calls"))
        (waiting,) = await receiver.got(1)
        assert waiting["type"] == "run.waiting"
        assert waiting["data"]["calls"] == [{"id": "c1", "name": "ring"}]
        denied = {"call_id": "c1", "approve": False}
        api.provider.say(Finished())
        assert (await api.client.post(f"/api/runs/{run_id}/decisions", json=denied)).status_code == 200
        told = await receiver.got(3)
        assert sorted(one["type"] for one in told) == ["run.ended", "run.ended", "run.waiting"]
        assert [row["type"] for row in await settled(api, only_ended, "delivered")] == ["run.ended"]


async def test_a_receiver_that_fails_is_tried_again_with_the_same_id(api: Api):
    """500 after 500: the same delivery comes again, with a new time and signature, until it is taken."""
    async with receiving(lambda n: BROKEN if n < 4 else OK) as receiver, delivering(api.world.store):
        webhook = await add(api, receiver.url)
        await api.said(Finished())
        await receiver.got(4)
        (row,) = await settled(api, webhook, "delivered")
        assert row["attempts"] == 4
        assert len({headers["webhook-id"] for headers, _ in receiver.requests}) == 1
        assert len({body for _, body in receiver.requests}) == 1
        for headers, body in receiver.requests:
            Verifier(webhook["secret"]).verify(body, headers)


async def test_a_delivery_ends_with_its_age(api: Api):
    """500 for ever: at the age of a delivery it has failed, its log says why, and it can be made once more by hand."""
    async with receiving(lambda n: BROKEN) as receiver, delivering(api.world.store, max_age=0.5):
        webhook = await add(api, receiver.url)
        await api.said(Finished())
        (row,) = await settled(api, webhook, "failed")
        assert (row["response_status"], row["error"], row["next_at"]) == (500, "it answered 500", None)
        assert row["attempts"] > 1
        receiver.answer = lambda n: OK
        path = f"/api/webhooks/{webhook['id']}/deliveries/{row['id']}/retry"
        assert (await api.client.post(path, json={})).json()["status"] == "pending"
        await settled(api, webhook, "delivered")


async def test_a_receiver_that_hangs_delays_nothing_else(api: Api):
    """It holds up neither the answer, nor the deliveries to others; its own attempts end after the time limit."""
    async with receiving(lambda n: None) as hanging, receiving() as receiver:
        stuck, fine = await add(api, hanging.url), await add(api, receiver.url)
        async with delivering(api.world.store, seconds=3600):
            await api.said(TextDelta("one"), Finished())
            await hanging.got(1)
            for _ in range(3):  # while the attempt hangs
                await api.said(TextDelta("more"), Finished())
            await receiver.got(4)
            await settled(api, fine, "delivered", 4)
            assert [row["status"] for row in await log(api, stuck)] == ["pending"] * 4
            assert len(hanging.requests) == 1
        async with delivering(api.world.store, seconds=0.2, max_age=0) as webhooks:
            newest = (await log(api, stuck))[0]
            await webhooks.again("local", stuck["id"], newest["id"])
            rows = await settled(api, stuck, "failed")
            errors = {row["error"] for row in rows if row["status"] == "failed"}
            assert errors == {"no response within 0.2 seconds"}


async def test_many_receivers_that_hang_delay_nobody_else(api: Api):
    """All that two people may have: their attempts hang, and the delivery to a third one is made."""
    async with receiving(lambda n: None) as hanging, receiving() as receiver:
        async with delivering(api.world.store, seconds=3600) as webhooks:
            for owner in ("anna", "bert"):
                for _ in range(MAX_WEBHOOKS):
                    await webhooks.add(owner, hanging.url)
                new = NewRun(client_message_id="a", model=api.world.model, parts=(TextPart("hi"),))
                started = await api.world.runs.start(owner, new)
                api.provider.say(Finished())
                await api.world.ended(started.run_id)
            await hanging.got(2 * MAX_WEBHOOKS)
            await add(api, receiver.url)
            await api.said(Finished())
            await receiver.got(1)


async def test_people_take_turns(api: Api):
    """Of what is due the first is claimed of each person, however many receivers one of them has."""
    webhooks = Webhooks(api.world.store.webhooks, Sender(private=True))
    for owner, count in (("anna", 5), ("bert", 2)):
        for _ in range(count):
            await webhooks.add(owner, "http://127.0.0.1/hook")
        new = NewRun(client_message_id="a", model=api.world.model, parts=(TextPart("hi"),))
        started = await api.world.runs.start(owner, new)
        api.provider.say(Finished())
        await api.world.ended(started.run_id)
    claimed = await api.world.store.webhooks.claim(4, [], 60)
    assert [one.owner for one in claimed] == ["anna", "bert"] * 2


async def test_what_was_not_delivered_is_delivered_after_a_restart(api: Api):
    """A worker that is gone in the middle of an attempt: another one goes on, when its claim has run out."""
    async with receiving(lambda n: None if n == 1 else OK) as receiver:
        webhook = await add(api, receiver.url)
        # So short a limit that its claim runs out at once; the attempt is cut off with the worker.
        async with delivering(api.world.store, sender=ShortClaim(private=True)):
            await api.said(Finished())
            await receiver.got(1)
        assert [row["status"] for row in await log(api, webhook)] == ["pending"]
        async with delivering(api.world.store):
            (row,) = await settled(api, webhook, "delivered")
        assert row["attempts"] == 2
        assert receiver.requests[0][0]["webhook-id"] == receiver.requests[1][0]["webhook-id"]


class ShortClaim(Sender):
    """An attempt whose claim runs out at once."""

    @property
    def seconds(self) -> float:
        return -15.0


async def test_several_workers_deliver_once(api: Api):
    """Four workers on one database: each delivery is made by one of them."""
    async with receiving() as receiver, delivering(api.world.store), delivering(api.world.store):
        async with delivering(api.world.store), delivering(api.world.store):
            webhook = await add(api, receiver.url)
            for _ in range(12):
                await api.said(Finished())
            rows = await settled(api, webhook, "delivered", 12)
    assert [row["attempts"] for row in rows] == [1] * 12
    assert len({headers["webhook-id"] for headers, _ in receiver.requests}) == len(receiver.requests) == 12


@pytest.mark.parametrize("code", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed(api: Api, code: int):
    """Wherever it leads, a private address included: it is a failure, and nobody is called there."""
    async with receiving() as inside:
        to = f"HTTP/1.1 {code} Moved\r\nLocation: {inside.url}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        async with receiving(lambda n: to.encode()) as receiver, delivering(api.world.store, max_age=0):
            webhook = await add(api, receiver.url)
            await api.said(Finished())
            (row,) = await settled(api, webhook, "failed")
            assert (row["response_status"], row["error"]) == (code, "it redirects, and redirects are not followed")
        assert inside.requests == []


async def test_a_receiver_that_is_gone_gets_nothing_more(api: Api):
    """410: the webhook is disabled, what waited has failed, and later answers store nothing for it."""
    async with receiving(lambda n: GONE) as receiver, delivering(api.world.store):
        webhook = await add(api, receiver.url)
        await api.said(Finished())
        await settled(api, webhook, "failed")
        (listed,) = (await api.client.get("/api/webhooks")).json()["webhooks"]
        assert listed["disabled_at"] is not None
        await api.said(Finished())
        assert len(await log(api, webhook)) == 1


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"SSH-2.0-OpenSSH_9.6\r\n", id="another protocol"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", id="half a head"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * 200_000 + b"\r\n\r\n", id="an endless head"),
        pytest.param(b"HTTP/1.1 999 \xff\r\nRetry-After: soon\r\n\r\n", id="an odd status"),
    ],
)
async def test_whatever_a_receiver_answers_is_a_line_in_the_log(api: Api, answer: bytes):
    """No answer ends the task: the next delivery, to another receiver, is made."""
    async with receiving(lambda n: answer) as odd, receiving() as receiver, delivering(api.world.store, max_age=0):
        webhook, fine = await add(api, odd.url), await add(api, receiver.url)
        await api.said(Finished())
        (row,) = await settled(api, webhook, "failed")
        assert row["error"]
        await api.said(Finished())
        await settled(api, fine, "delivered", 2)


PRIVATE = [
    "http://example.com/",
    "https://localhost/",
    "https://127.0.0.1:3000/",
    "https://[::1]/",
    "https://10.0.0.1/",
    "https://169.254.169.254/latest",
    "https://metadata.google.internal/",
    "https://printer.local/",
    "https://user:password@example.com/",
    "https://example.com/#part",
    "ftp://example.com/",
    "file:///etc/passwd",
    "https://",
    "not an address",
    "https://example.com/" + "x" * 1981,
]


@pytest.mark.parametrize("url", PRIVATE)
async def test_an_address_that_may_not_be_called_is_refused(make_api: MakeApi, url: str):
    """Private addresses, other schemes, and what is no address: 422, and nothing is stored."""
    async with make_api() as api:
        answer = await api.client.post("/api/webhooks", json={"url": url})
        assert answer.status_code == 422, answer.text
        assert answer.json()["error"]["message"]
        assert (await api.client.get("/api/webhooks")).json() == {"webhooks": []}


async def test_a_name_that_leads_to_a_private_address_is_not_called(api: Api):
    """The address counts as it is resolved at the moment of the call: the first one may have been another."""
    resolved: list[str] = []

    async def resolve(host: str, port: int) -> list[str]:
        resolved.append(host)
        return ["127.0.0.1"]

    async with receiving() as receiver:
        async with delivering(api.world.store, sender=Sender(resolve=resolve), max_age=0) as webhooks:
            added, _ = await webhooks.add("local", f"https://hooks.example.com:{receiver.port}/")
            await api.said(Finished())
            (row,) = await settled(api, {"id": added.id}, "failed")
        assert row["error"].startswith("Only public addresses are called")
        assert resolved == ["hooks.example.com"]
        assert receiver.requests == []


async def test_a_setting_that_was_taken_back_holds_at_once(api: Api):
    """A webhook to a private address from before is not called any more."""
    async with receiving() as receiver, delivering(api.world.store, sender=Sender(), max_age=0):
        webhook = await add(api, receiver.url)
        await api.said(Finished())
        (row,) = await settled(api, webhook, "failed")
        assert row["error"].startswith("Only public addresses are called")
        assert receiver.requests == []


async def test_webhooks_are_each_persons_own(make_api: MakeApi):
    """One person's answers are told to that person's receivers only."""
    async with make_api(STREAMCHAT_WEBHOOK_PRIVATE="1", identify=identify_by_header) as api:
        async with receiving() as receiver, delivering(api.world.store):
            await api.client.post("/api/webhooks", json={"url": receiver.url}, headers=A)
            await api.world.ended((await _start_as_other(api))["run_id"])
            body = (await api.client.post("/api/runs", json={"message": "hi"}, headers=A)).json()
            api.provider.say(Finished())
            (told,) = await receiver.got(1)
            assert told["data"]["run_id"] == body["run_id"]


async def _start_as_other(api: Api) -> dict[str, Any]:
    from tests.support.owners import B

    body = (await api.client.post("/api/runs", json={"message": "hi"}, headers=B)).json()
    api.provider.say(Finished())
    return body


async def test_a_temporary_chat_is_told_to_nobody(api: Api):
    """It is never stored, and neither is a delivery about it."""
    async with receiving() as receiver, delivering(api.world.store):
        webhook = await add(api, receiver.url)
        run_id = await api.start(temporary=True)
        api.provider.say(Finished())
        await api.world.ended(run_id)
        await api.said(Finished())
        await settled(api, webhook, "delivered")
        assert len(receiver.requests) == 1


async def test_the_log_in_pages_and_its_end(api: Api):
    """Newest first, without gaps between pages; deleting a webhook deletes its log and what waits."""
    async with receiving() as receiver:
        webhook = await add(api, receiver.url)
        runs = [await api.said(Finished()) for _ in range(5)]
        first = (await api.client.get(f"/api/webhooks/{webhook['id']}/deliveries?limit=2")).json()
        assert [row["run_id"] for row in first["deliveries"]] == runs[:2:-1]
        rest = await log(api, webhook, f"?limit=10&before={first['next']}")
        assert [row["run_id"] for row in rest] == runs[2::-1]
        assert (await api.client.delete(f"/api/webhooks/{webhook['id']}")).status_code == 204
        assert (await api.client.get(f"/api/webhooks/{webhook['id']}/deliveries")).status_code == 404
        async with delivering(api.world.store):
            other = await add(api, receiver.url)
            await api.said(Finished())
            await settled(api, other, "delivered")
        assert len(receiver.requests) == 1


async def test_there_are_so_many_webhooks_at_most(api: Api):
    """The 21st is refused."""
    for n in range(20):
        await add(api, f"http://127.0.0.1:1/{n}")
    answer = await api.client.post("/api/webhooks", json={"url": "http://127.0.0.1:1/"})
    assert answer.status_code == 422
