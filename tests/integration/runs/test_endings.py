"""Every way an answer can end, from the provider's socket to the database, in all three dialects.

The simulator speaks each vendor's wire format over loopback, the official SDK makes the request, and what the
person is told, what is kept and what is offered is looked up in the log and in the store.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from streamchat.chat.messages import NoticePart
from streamchat.chat.outcome import explain, offers
from streamchat.processes.subprocess_server import Address
from streamchat.providers.base import Capabilities, ModelInfo
from streamchat.providers.catalog import Catalog, Source
from streamchat.runs.coalesce import Deadlines
from streamchat.runs.retries import Policy
from streamchat.simulator import Simulator
from streamchat.simulator.server import Server
from streamchat.simulator.wire_anthropic import AnthropicWire
from streamchat.simulator.wire_chat import ChatWire
from streamchat.simulator.wire_responses import ResponsesWire
from tests.integration.runs.conftest import World, make_world

WIRES = ("chat", "responses", "anthropic")
WORDS = " ".join(f"w{n:06}" for n in range(1, 13))
BOTH, RETRY = ("retry", "continue"), ("retry",)

# fault → status, stable words, what is offered, whether a partial answer is kept
MATRIX = {
    "bad-key": ("failed", ("bad-key",), RETRY, False),
    "context-too-long": ("failed", ("context-too-long",), RETRY, False),
    "rate-limited": ("failed", ("rate-limited",), RETRY, False),
    "quota": ("failed", ("quota",), RETRY, False),
    "overloaded": ("failed", ("overloaded",), RETRY, False),
    "html": ("failed", ("not-an-api",), RETRY, False),
    "empty": ("failed", ("empty",), RETRY, False),
    "hang": ("failed", ("first-token-timeout",), RETRY, False),
    "overloaded-after": ("failed", ("overloaded",), BOTH, True),
    "error-event": ("failed", ("error-event", "provider-broken", "overloaded"), BOTH, True),
    "reset": ("interrupted", ("reset", "cut"), BOTH, True),
    "stall": ("interrupted", ("stall",), BOTH, True),
    "cut": ("interrupted", ("cut",), BOTH, True),
    "bad-json": ("interrupted", ("bad-json", "cut"), BOTH, True),
    "bad-utf8": ("interrupted", ("bad-encoding", "bad-json"), BOTH, True),
    "huge-chunk": ("interrupted", ("event-too-large",), BOTH, True),
    "max-tokens": ("finished", ("length",), BOTH, True),
    "content-filter": ("finished", ("content-filter", "refusal"), RETRY, True),
    "refusal": ("finished", ("refusal",), RETRY, True),
}


@pytest.fixture
async def address() -> AsyncIterator[Address]:
    server = Server("key", (ChatWire(), ResponsesWire(), AnthropicWire()))
    yield Address(f"http://127.0.0.1:{await server.start()}", "key")
    await server.close()


def catalog(wire: str, address: Address) -> Catalog:
    infos = [ModelInfo("sim:tour", "Simulator", capabilities=Capabilities(continues="prefill"))]
    return Catalog([Source("sim", Simulator(wire=wire, address=address), infos)])


def world_of(path: Path, wire: str, address: Address, **policy):
    given: dict = {"retries": 0, "deadlines": Deadlines(first=1.0, idle=1.0)} | policy
    return make_world(path, Policy(**given), catalog(wire, address))


async def ask(world: World, text: str):
    world.model = "sim:tour"
    begun = await world.start(text)
    async with asyncio.timeout(20):
        return await world.ended(begun.run_id)


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("fault", MATRIX)
async def test_every_fault_is_told_as_what_it_is(tmp_path, address, wire, fault):
    """Status, word, sentence and offers are right; the partial is kept and stored; no key is shown."""
    status, kinds, offered, partial = MATRIX[fault]
    if (fault, wire) == ("content-filter", "anthropic"):
        status, kinds = "failed", ("refused",)  # It has no stop reason for that: an error event says it.
    async with world_of(tmp_path, wire, address) as world:
        message = await ask(world, f"n=30 rate=0 kind=numbered fault={fault} at=12 size=40000000")
        stored = await world.stored(message.id)
    reason = message.error.kind if message.error else message.stop_reason
    assert (message.status, offers(message)) == (status, offered)
    assert reason in kinds
    sentence = explain(message) or ""
    assert 10 < len(sentence) < 400
    assert "Traceback" not in sentence
    assert "sk-" not in sentence
    assert "<" not in sentence
    assert stored == message
    if partial:
        assert message.text
        if fault not in ("refusal", "content-filter"):
            assert WORDS.startswith(message.text.rstrip()) or message.text.startswith(WORDS[:40])
    else:
        assert message.text == ""


@pytest.mark.parametrize("wire", WIRES)
async def test_a_plain_end_is_complete(tmp_path, address, wire):
    """The whole text, finished, with usage, nothing offered."""
    async with world_of(tmp_path, wire, address) as world:
        message = await ask(world, "n=12 rate=0 kind=numbered")
    assert (message.text.strip(), message.status, offers(message)) == (WORDS, "finished", ())
    assert message.usage
    assert message.usage.output


@pytest.mark.parametrize("wire", WIRES)
async def test_a_rate_limit_that_passes_is_waited_out_visibly(tmp_path, address, wire):
    """Two refusals with Retry-After, two notices with their seconds, then the answer."""
    async with world_of(tmp_path, wire, address, retries=3) as world:
        message = await ask(world, "n=12 rate=0 kind=numbered fault=rate-limited ok_after=2 retry_after=1")
    notices = [p for p in message.parts if isinstance(p, NoticePart)]
    assert [(p.kind, p.data and p.data["attempt"], p.data and p.data["seconds"]) for p in notices] == [
        ("retrying", 1, 1.0),
        ("retrying", 2, 1.0),
    ]
    assert (message.status, bool(message.text)) == ("finished", True)


@pytest.mark.parametrize("wire", WIRES)
async def test_stop_in_a_retry_wait(tmp_path, address, wire):
    """A person who does not want to wait does not have to."""
    async with world_of(tmp_path, wire, address, retries=3) as world:
        world.model = "sim:tour"
        begun = await world.start("n=5 fault=rate-limited retry_after=15")
        async with asyncio.timeout(5):
            while not world.log.snapshot(begun.run_id).seq:
                await asyncio.sleep(0.01)
            await world.runs.cancel("local", begun.run_id)
        assert (await world.stored(begun.run_id)).status == "stopped"


@pytest.mark.parametrize("wire", WIRES)
async def test_rescue_in_mid_stream(tmp_path, address, wire):
    """With rescue on, a reset is a visible seam in one finished answer that keeps the first half."""
    async with world_of(tmp_path, wire, address, rescue=lambda target: target) as world:
        message = await ask(world, "n=30 rate=0 kind=numbered fault=reset at=12 ok_after=1")
    assert message.status == "finished"
    assert message.text.startswith(WORDS[:40])
    assert [p.kind for p in message.parts if isinstance(p, NoticePart)] == ["seam"]


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("chunk", ["byte", "split", "burst"])
async def test_characters_survive_every_cut(tmp_path, address, wire, chunk):
    """CJK, emoji, ZWJ and combining text, cut at bytes and at surrogates, is stored whole, without U+FFFD."""
    text = "你好，世界 😀 👩‍👩‍👧‍👦 🇪🇺 é नमस्ते 🏴‍☠️"
    async with world_of(tmp_path, wire, address) as world:
        message = await ask(world, f"kind=echo rate=0 chunk={chunk}\n{text}")
        stored = await world.stored(message.id)
    assert "\ufffd" not in message.text
    assert "🏴‍☠️" in message.text
    assert "👩‍👩‍👧‍👦" in message.text
    assert stored == message
