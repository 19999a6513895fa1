"""Every fault, seen from the client's side of the socket: each is what it says."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from streamchat.processes.subprocess_server import Address, SubprocessServer
from streamchat.simulator.words import DURING, FAULTS

WIRES = ("chat", "responses", "anthropic")
PATHS = {"chat": "/v1/chat/completions", "responses": "/v1/responses", "anthropic": "/v1/messages"}
KEPT = " ".join(f"w{i:06d}" for i in range(1, 6))


@pytest.fixture(scope="module")
def address() -> Iterator[Address]:
    child = SubprocessServer("simulator", "streamchat.simulator")
    yield asyncio.run(child.start())
    asyncio.run(child.close())


class Seen:
    """What came before it ended, and how it ended."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: Any = {}
        self.body = b""
        self.end: Exception | None = None

    @property
    def text(self) -> str:
        return self.body.decode(errors="surrogateescape")


async def look(
    address: Address,
    wire: str,
    message: str,
    *,
    scene: str = "tour",
    seconds: float = 20,
    until: Callable[[Seen], bool] = lambda seen: False,
    **more: Any,
) -> Seen:
    """The bytes of one answer, without any SDK, to its end or ``until``; after ``seconds``, ``TimeoutError``."""
    body = {"model": scene, "stream": True, "max_tokens": 10_000, **more}
    turn = [{"role": "user", "content": message}]
    body |= {"input": turn} if wire == "responses" else {"messages": turn}
    seen = Seen()
    headers = {"authorization": f"Bearer {address.api_key}"}
    async with httpx2.AsyncClient(base_url=address.url, headers=headers, timeout=30) as client:
        try:
            async with asyncio.timeout(seconds), client.stream("POST", PATHS[wire], json=body) as answer:
                seen.status, seen.headers = answer.status_code, answer.headers
                async for piece in answer.aiter_bytes():
                    seen.body += piece
                    if until(seen):
                        break
        except (httpx2.HTTPError, TimeoutError) as error:
            seen.end = error
    return seen


def pings(seen: Seen) -> int:
    """Signs of life without content, after the first piece of it."""
    later = seen.text.partition("w000001")[2]
    return later.count("event: ping") + later.count("\n: ")


def complete(wire: str, text: str) -> bool:
    """Whether the format's own end marker is there."""
    marker = {"chat": "data: [DONE]", "responses": "response.completed", "anthropic": "message_stop"}[wire]
    return marker in text


def test_every_fault_is_looked_at():
    """No fault is left out of this file."""
    told = Path(__file__).read_text()
    words = set(re.findall(r"[a-z0-9]+(?:-[a-z0-9]+)*", told))
    assert set(FAULTS) - words == set()


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("fault", ["reset", "cut", "bad-json", "overloaded-after", "error-event", "stall", "bad-utf8"])
async def test_what_came_before_a_fault_is_there(address: Address, wire: str, fault: str):
    """at=5: five words arrive, the sixth does not, no end marker does (bad-utf8 apart), and a stall shows only life."""
    seen = await look(address, wire, f"n=50 rate=0 ttft=0 fault={fault} at=5", until=lambda seen: pings(seen) >= 2)
    assert seen.status == 200
    assert "w000005" in seen.text
    assert "w000006" not in seen.text
    assert complete(wire, seen.text) == (fault == "bad-utf8")
    assert isinstance(seen.end, httpx2.ReadError if fault == "reset" else type(None))
    assert (pings(seen) >= 2) == (fault == "stall")


@pytest.mark.parametrize("wire", WIRES)
async def test_bad_json_is_half_an_object(address: Address, wire: str):
    """The last event does not parse."""
    seen = await look(address, wire, "n=50 rate=0 ttft=0 fault=bad-json at=5")
    data = [line.removeprefix("data: ") for line in seen.text.splitlines() if line.startswith("data: {")]
    with pytest.raises(ValueError, match="."):
        json.loads(data[-1])
    json.loads(data[-2])


@pytest.mark.parametrize("wire", WIRES)
async def test_bad_utf8_is_none(address: Address, wire: str):
    """A byte that no UTF-8 text has is in the stream."""
    with pytest.raises(UnicodeDecodeError):
        (await look(address, wire, "n=50 rate=0 ttft=0 fault=bad-utf8 at=5")).body.decode()


@pytest.mark.parametrize("wire", WIRES)
async def test_a_huge_chunk_is_one_line(address: Address, wire: str):
    """size= bytes come in one event, on one line."""
    seen = await look(address, wire, "n=50 rate=0 ttft=0 fault=huge-chunk at=5 size=3000000", seconds=30)
    assert max(map(len, seen.body.split(b"\n"))) > 3_000_000
    assert complete(wire, seen.text)


@pytest.mark.parametrize("wire", WIRES)
async def test_no_done_is_all_but_the_marker(address: Address, wire: str):
    """The stop reason comes, the end marker does not (the Responses format has no other mark than its reason)."""
    seen = await look(address, wire, "n=5 rate=0 ttft=0 fault=no-done")
    assert seen.end is None
    assert {"chat": '"stop"', "responses": "response.completed", "anthropic": '"end_turn"'}[wire] in seen.text
    assert complete(wire, seen.text) == (wire == "responses")


@pytest.mark.parametrize("wire", WIRES)
async def test_stay_open_says_all_and_does_not_close(address: Address, wire: str):
    """The end marker is there, the connection goes on."""
    seen = await look(address, wire, "n=5 rate=0 ttft=0 fault=stay-open", seconds=2)
    assert isinstance(seen.end, TimeoutError)
    assert complete(wire, seen.text)


@pytest.mark.parametrize("wire", WIRES)
async def test_a_page_instead_of_a_stream(address: Address, wire: str):
    """html is a page with status 200, empty is a stream of nothing."""
    page = await look(address, wire, "fault=html")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert page.text.startswith("<!doctype html>")
    nothing = await look(address, wire, "fault=empty")
    assert (nothing.status, nothing.body, nothing.end) == (200, b"", None)


@pytest.mark.parametrize("wire", WIRES)
async def test_headers_that_do_not_come(address: Address, wire: str):
    """hang sends nothing, endless-header one header without end, slow-headers one byte after the other."""
    hang = await look(address, wire, "fault=hang", seconds=0.7)
    assert (hang.status, type(hang.end)) == (0, TimeoutError)
    endless = await look(address, wire, "fault=endless-header", seconds=20)
    assert endless.status == 0
    assert isinstance(endless.end, httpx2.HTTPError)
    slow = await look(address, wire, "fault=slow-headers n=3", seconds=0.7)
    assert (slow.status, type(slow.end)) == (0, TimeoutError)


async def test_slow_headers_end_in_an_answer(address: Address):
    """Whoever is patient gets the answer."""
    seen = await look(address, "chat", "fault=slow-headers n=3 rate=0 ttft=0", seconds=60)
    assert seen.status == 200
    assert complete("chat", seen.text)


@pytest.mark.parametrize(
    ("fault", "on_openai", "on_anthropic"),
    [
        ("rate-limited", 429, 429),
        ("quota", 429, 400),
        ("overloaded", 503, 529),
        ("bad-key", 401, 401),
        ("context-too-long", 400, 400),
    ],
)
@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("stream", [True, False])
async def test_refused_before_the_first_token(
    address: Address, wire: str, fault: str, on_openai: int, on_anthropic: int, stream: bool
):
    """The vendor's status and body, streaming or not; a wrong key is quoted in part, a limit says how long."""
    seen = await look(address, wire, f"fault={fault} retry_after=7", stream=stream)
    assert seen.status == (on_anthropic if wire == "anthropic" else on_openai)
    error = json.loads(seen.body)["error"]
    assert error["message"]
    assert error["type"]
    assert seen.headers.get("retry-after") == ("7" if fault == "rate-limited" else None)
    assert ("sk-" in error["message"]) == (fault == "bad-key")
    assert address.api_key not in seen.text


async def test_the_sdks_raise_their_own_types(address: Address):
    """What the SDKs make of the same faults: their typed errors, so that adapters can rely on them."""
    user: Any = [{"role": "user", "content": "Hi"}]
    client = openai.AsyncOpenAI(api_key=address.api_key, base_url=f"{address.url}/v1", max_retries=0)
    other = anthropic.AsyncAnthropic(api_key=address.api_key, base_url=address.url, max_retries=0)
    async with client, other:
        for scene, kind in (("rate-limited", openai.RateLimitError), ("bad-key", openai.AuthenticationError)):
            with pytest.raises(kind):
                await client.chat.completions.create(model=scene, messages=user)
        for scene, kind in (("overloaded", anthropic.APIStatusError), ("no-scene", anthropic.NotFoundError)):
            with pytest.raises(kind):
                await other.messages.create(model=scene, messages=user, max_tokens=100)


@pytest.mark.parametrize("wire", WIRES)
async def test_ok_after_counts_equal_messages(address: Address, wire: str):
    """rate-limited with ok_after=2: refused twice, answered the third time; another message counts for itself."""
    message = f"rate=0 ttft=0 ok_after=2 try of {wire}"
    answers = [await look(address, wire, message, scene="rate-limited") for _ in range(3)]
    assert [seen.status for seen in answers] == [429, 429, 200]
    assert complete(wire, answers[2].text)
    assert (await look(address, wire, message + "!", scene="rate-limited")).status == 429


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("fault", ["refusal", "content-filter", "max-tokens", "pause"])
async def test_endings_by_word(address: Address, wire: str, fault: str):
    """The scenes' endings can be had with any text; pause is Anthropic's alone."""
    seen = await look(address, wire, f"n=50 rate=0 ttft=0 fault={fault} at=5")
    assert "w000005" in seen.text
    assert "w000006" not in seen.text
    assert seen.end is None
    if (wire, fault) == ("anthropic", "pause"):
        assert '"pause_turn"' in seen.text


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("fault", sorted(DURING - {"stall", "huge-chunk"}))
async def test_faults_without_streaming(address: Address, wire: str, fault: str):
    """A call that does not stream meets the same faults: an error, half a body, a reset, or another ending."""
    seen = await look(address, wire, f"n=50 rate=0 ttft=0 fault={fault} at=5", stream=False)
    if fault in ("overloaded-after", "error-event"):
        assert seen.status >= 500
    elif fault in ("cut", "reset"):
        assert isinstance(seen.end, httpx2.HTTPError)
    elif fault in ("bad-json", "bad-utf8"):
        with pytest.raises(ValueError, match="."):
            json.loads(seen.body)
    else:
        assert KEPT in seen.text
        json.loads(seen.body)


async def test_an_unknown_fault_is_refused(address: Address):
    """The answer to a misspelt word says what was probably meant."""
    seen = await look(address, "chat", "fault=resett")
    assert seen.status == 400
    assert "Did you mean fault=reset?" in seen.text


async def test_one_fault_does_not_touch_the_others(address: Address):
    """While ten connections stall, hang and break, an eleventh is answered at its own pace."""
    bad = [
        asyncio.create_task(look(address, "chat", f"n=50 rate=0 ttft=0 fault={fault} at=5 {i}", seconds=3))
        for i, fault in enumerate(("stall", "hang", "reset", "cut", "endless-header") * 2)
    ]
    good = await look(address, "chat", "n=100 rate=200 ttft=0")
    assert complete("chat", good.text)
    assert good.text.count('"content":" w') == 99
    await asyncio.gather(*bad)
