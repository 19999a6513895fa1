"""Connections to a provider: used again after a whole answer, closed after any other; nothing of a request stays."""

from __future__ import annotations

import asyncio
import gc
import json
import ssl
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpcore2
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from streamchat.chat import events as e
from streamchat.chat.request import Request
from streamchat.providers import response_body
from streamchat.providers.openai.chat import OpenAIChat
from streamchat.runs.coalesce import Deadlines, intake
from tests.integration.providers.pools import (
    Counting,
    Handler,
    answer,
    answers,
    at_rest,
    counting,
    holds_nothing,
    pools,
)
from tests.integration.providers.test_network import certificate  # noqa: F401 a fixture
from tests.support.long import examples
from tests.unit.providers import wire
from tests.unit.providers.asking import KINDS, hear, provider_at, question, user

both = pytest.mark.parametrize("kind", KINDS)
N = 10
MANY = examples(160)


def whole(kind: str, text: str = "hello") -> bytes:
    return wire.begin(kind) + wire.word(kind, text) + wire.finish(kind) + wire.marker(kind)


async def answered(provider: Any, request: Request | None = None) -> str:
    """One answer as a run reads it: to its ``Finished``, and not a step further."""
    said = ""
    async with aclosing(intake(provider.stream(request or question()), Deadlines(first=20, idle=20))) as events:
        async for event, _ in events:
            said += event.text if isinstance(event, e.TextDelta) else ""
            if isinstance(event, e.Finished):
                return said
    raise AssertionError("the answer has no end")


@both
@pytest.mark.parametrize("last", [0.0, 0.02, 0.7])
async def test_many_answers_over_one_connection(kind: str, last: float) -> None:
    """A provider that is asked again and again sees one connection, also where the end of its body comes late: it is
    waited for, but not by the answer."""
    number = 2 if last > 0.1 else N
    async with counting(answers(whole(kind), last=last)) as server:
        provider: Any = provider_at(kind, f"http://127.0.0.1:{server.port}")
        for _ in range(number):
            assert await answered(provider) == "hello"
            await at_rest(provider)
        assert (server.connections, server.requests) == (1, number)
        await provider.close()
        await server.closed()


@both
async def test_answers_that_were_not_streamed(kind: str) -> None:
    """They leave their connection to the next one too."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with counting(answers(json.dumps(wire.message(kind, "hello")).encode(), head=head)) as server:
        provider: Any = provider_at(kind, f"http://127.0.0.1:{server.port}")
        for _ in range(N):
            assert await answered(provider, question(stream=False)) == "hello"
            assert holds_nothing(provider)
        assert server.connections == 1
        await provider.close()


@both
@pytest.mark.parametrize("status", [301, 400, 401, 404, 429, 500, 529])
@pytest.mark.parametrize("size", [100, 300_000])
async def test_errors_leave_nothing(kind: str, status: int, size: int) -> None:
    """An error status leaves nothing in the pool; a short one leaves its connection to be used again."""
    head = b"HTTP/1.1 %d X\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n" % status
    async with counting(answers(b"x" * size, head=head)) as server:
        provider: Any = provider_at(kind, f"http://127.0.0.1:{server.port}")
        for _ in range(3):
            assert (await hear(provider.stream(question()))).error is not None
            assert holds_nothing(provider)
        assert server.connections == (1 if size == 100 else 3)
        await provider.close()


@pytest.mark.parametrize("body", [b'{"object":"list","data":[{"id":"m","object":"model"}]}', b"nonsense"])
async def test_asking_for_the_models_leaves_nothing(body: bytes) -> None:
    """Neither a list nor what is none."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with counting(answers(body, head=head)) as server:
        provider = OpenAIChat(base_url=f"http://127.0.0.1:{server.port}/v1")
        for _ in range(3):
            await provider.list_models()
            assert holds_nothing(provider)
        assert server.connections == 1
        await provider.close()


@both
async def test_a_body_without_an_end(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider that says everything and never ends its body: nobody waits for it, and it is closed after a while."""
    monkeypatch.setattr(response_body, "DRAIN_SECONDS", 0.5)
    async with counting(answers(whole(kind), last=None)) as server:
        provider: Any = provider_at(kind, f"http://127.0.0.1:{server.port}")
        assert await answered(provider) == "hello"
        assert not holds_nothing(provider)  # still being read
        assert server.open == 1
        await server.closed()
        await at_rest(provider)
        assert pools(provider)[0].connections == []
        await provider.close()


@both
async def test_a_body_that_goes_on(kind: str) -> None:
    """Whatever comes behind a whole answer is read no further than it may be worth it."""
    sent = 0

    def endless(server: Counting) -> Handler:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal sent
            await answer(server, reader, writer, whole(kind), last=None)
            while not writer.is_closing():
                writer.write(b"1000\r\n" + b":" * 4095 + b"\n\r\n")
                await writer.drain()
                sent += 4096

        return serve

    async with counting(endless) as server:
        provider: Any = provider_at(kind, f"http://127.0.0.1:{server.port}")
        assert await answered(provider) == "hello"
        await server.closed()
        assert sent < 20_000_000
        await at_rest(provider)
        await provider.close()


@both
async def test_closing_the_client_ends_what_is_still_read(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shutdown waits for nobody's late end, and leaves no task behind."""
    monkeypatch.setattr(response_body, "DRAIN_SECONDS", 600)
    before = asyncio.all_tasks()
    async with counting(answers(whole(kind), last=None)) as server:
        provider: Any = provider_at(kind, f"http://127.0.0.1:{server.port}")
        for _ in range(3):
            assert await answered(provider) == "hello"
        assert server.open == 3
        async with asyncio.timeout(5):
            await provider.close()
            await server.closed()
        assert all(not pool._requests for pool in pools(provider))
    assert asyncio.all_tasks() == before


@both
async def test_so_many_are_read_to_their_end_at_once(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than are kept idle anyway: the others are closed at once."""
    monkeypatch.setattr(response_body, "DRAIN_SECONDS", 600)
    monkeypatch.setattr(response_body, "MAX_DRAINS", 2)
    async with counting(answers(whole(kind), last=None)) as server:
        provider: Any = provider_at(kind, f"http://127.0.0.1:{server.port}")
        for _ in range(5):
            assert await answered(provider) == "hello"
        async with asyncio.timeout(5):
            while server.open != 2:
                await asyncio.sleep(0.005)
        await provider.close()


async def _cancelled(kind: str, make: Callable[[], Any], steps: int, again: int | None) -> None:
    """An answer whose task is cancelled after so many steps of the event loop, and once more so many later."""
    provider = make()
    await provider._client.get()  # in a thread, which takes any number of steps
    task = asyncio.create_task(answered(provider))
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    if again is not None:
        for _ in range(again):
            await asyncio.sleep(0)
        task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await at_rest(provider)
    await provider.close()


@settings(max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    kind=st.sampled_from(KINDS),
    steps=st.integers(0, 120),
    again=st.none() | st.integers(0, 12),
    last=st.sampled_from([0.0, 0.003, None]),
)
@example(kind="chat", steps=60, again=1, last=None)
@pytest.mark.timeout(300)
def test_cancelled_at_any_moment(kind: str, steps: int, again: int | None, last: float | None) -> None:
    """Whenever an answer is cancelled, and however often: the pool holds no request, and no connection is open that
    is not idle; once the client is closed, none at all."""

    async def once() -> None:
        async with counting(answers(whole(kind), last=last)) as server:
            await _cancelled(kind, lambda: provider_at(kind, f"http://127.0.0.1:{server.port}"), steps, again)
            await server.closed()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(response_body, "DRAIN_SECONDS", 0.05)
        asyncio.run(once())


@both
async def test_requests_are_given_back(kind: str) -> None:
    """After many answers to long questions no request is left in memory, finished and cancelled ones alike."""
    long = question(user("x" * 50_000))
    gc.collect()
    before = _live()
    async with counting(answers(whole(kind), last=0.001)) as server:
        provider: Any = provider_at(kind, f"http://127.0.0.1:{server.port}")
        for number in range(MANY):
            if number % 4:
                await answered(provider, long)
            else:
                task = asyncio.create_task(answered(provider, long))
                await asyncio.sleep(0.001)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                del task  # its exception holds what it was doing
        await at_rest(provider)
        gc.collect()
        assert _live() <= before
        await provider.close()


def _live() -> int:
    return sum(isinstance(thing, httpcore2.Request) for thing in gc.get_objects())


def _closing(first: int) -> Callable[[Counting], Handler]:
    """Answers ``first`` requests of each connection, and closes at the next one without a word."""

    def of(server: Counting) -> Handler:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            for _ in range(first):
                await answer(server, reader, writer, whole("chat"))
            await server.request(reader)

        return serve

    return of


async def test_a_connection_that_was_closed_meanwhile() -> None:
    """A provider that closes an idle connection just when the next question comes over it is asked over a new one,
    and nobody notices; one that closes a new connection has failed, and is not asked again."""
    async with counting(_closing(1)) as server:
        provider: Any = provider_at("chat", f"http://127.0.0.1:{server.port}")
        for _ in range(3):
            assert await answered(provider) == "hello"
            await at_rest(provider)
        assert (server.connections, server.requests) == (3, 5)
        await provider.close()
    async with counting(_closing(0)) as server:
        provider = provider_at("chat", f"http://127.0.0.1:{server.port}")
        heard = await hear(provider.stream(question()))
        assert heard.error is not None
        assert heard.error.kind == "reset"
        assert server.requests == 1
        assert holds_nothing(provider)
        await provider.close()


def _proxy(silent: bool) -> Callable[[Counting], Handler]:
    """An HTTP proxy: answers itself what it is asked plainly; opens a tunnel, behind which nobody speaks TLS."""

    def of(server: Counting) -> Handler:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if silent:
                await server.request(reader)
                writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
                while await reader.read(65536):
                    pass
            else:
                await answers(whole("chat"))(server)(reader, writer)

        return serve

    return of


async def test_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers through a proxy share their connection to it, too."""
    async with counting(_proxy(silent=False)) as server:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{server.port}")
        provider: Any = provider_at("chat", "http://provider.test")
        for _ in range(N):
            assert await answered(provider) == "hello"
            await at_rest(provider)
        assert (server.connections, server.requests) == (1, N)
        await provider.close()


@pytest.mark.parametrize("again", [None, 0, 1, 3])
async def test_cancelled_in_a_handshake_through_a_proxy(monkeypatch: pytest.MonkeyPatch, again: int | None) -> None:
    """Stop while TLS is being agreed on behind a proxy closes the connection, and the pool forgets it."""
    async with counting(_proxy(silent=True)) as server:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{server.port}")
        provider: Any = provider_at("chat", "https://provider.test")
        task = asyncio.create_task(answered(provider))
        async with asyncio.timeout(10):
            while not server.requests:
                await asyncio.sleep(0.002)
        await asyncio.sleep(0.1)
        task.cancel()
        if again is not None:
            for _ in range(again):
                await asyncio.sleep(0)
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await server.closed()
        await at_rest(provider)
        assert all(not pool.connections for pool in pools(provider))
        await provider.close()


@both
async def test_over_tls(kind: str, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """The same over TLS: one connection for all, one handshake."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate)
    trusted = ssl.create_default_context(cafile=f"{certificate}.crt")
    monkeypatch.setattr("streamchat.providers.http_client._tls", lambda: trusted)
    async with counting(answers(whole(kind)), tls) as server:
        provider: Any = provider_at(kind, f"https://127.0.0.1:{server.port}")
        for _ in range(N):
            assert await answered(provider) == "hello"
            await at_rest(provider)
        assert server.connections == 1
        task = asyncio.create_task(
            _cancelled(kind, lambda: provider_at(kind, f"https://127.0.0.1:{server.port}"), 25, 0)
        )
        await task
        await provider.close()
        await server.closed()
