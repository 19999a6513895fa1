"""Functions that are models, on the real log and store: every kind of function, every way to misbehave."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from streamchat import (
    Finished,
    ModelError,
    Notice,
    ReasoningDelta,
    Request,
    SourceAdded,
    ToolCall,
    ToolCallArguments,
    ToolCallReady,
    ToolCallStarted,
    ToolProgress,
    ToolResult,
    UsageReported,
    model,
    tool,
)
from streamchat.chat.messages import Message, NoticePart, ReasoningPart, SourcePart, ToolCallPart
from streamchat.chat.wire import message_to_wire
from streamchat.errors import ProviderError, StreamBroken
from streamchat.providers.catalog import Catalog
from streamchat.providers.event_builder import Limits
from streamchat.providers.python import running
from streamchat.providers.python.pieces import Pieces
from streamchat.providers.python.provider import PythonModels
from streamchat.runs.coalesce import Deadlines
from streamchat.runs.retries import Policy
from tests.integration.runs.conftest import World, make_world


@tool
async def double(number: int) -> int:
    """Twice a number."""
    return number * 2


@asynccontextmanager
async def world_of(path: Path, *functions: Callable[..., Any], **deadlines: float) -> AsyncIterator[World]:
    """A world whose model is the first function."""
    models = PythonModels([model(function) for function in functions])
    policy = Policy(retries=0, deadlines=Deadlines(**deadlines))
    async with make_world(path, policy, Catalog([models.source()]), [double]) as world:
        world.model = f"python:{functions[0].__name__}"
        yield world


async def answer(path: Path, function: Callable[..., Any], **deadlines: float) -> Message:
    """The answer of a function to "hello", as it is stored."""
    async with world_of(path, function, **deadlines) as world:
        started = await world.start("hello")
        await world.ended(started.run_id)
        return await world.stored(started.run_id)


async def async_generator(request: Request):
    for word in ("You said ", request.text):
        await asyncio.sleep(0)
        yield word


def generator(request: Request):
    yield "You said "
    yield request.text


async def coroutine(request: Request):
    return f"You said {request.text}"


def plain(request: Request):
    return f"You said {request.text}"


def pieces(request: Request):
    return ["You said ", request.text]


def wrapped(request: Request):
    return async_generator(request)


async def awaited_wrapper(request: Request):
    return async_generator(request)


KINDS = [async_generator, generator, coroutine, plain, pieces, wrapped, awaited_wrapper]


@pytest.mark.parametrize("function", KINDS, ids=lambda f: f.__name__)
async def test_every_kind_of_function_answers(tmp_path: Path, function: Callable[..., Any]) -> None:
    """Async or not, with ``yield`` or ``return``: it is a whole answer, and nothing of it runs on."""
    message = await answer(tmp_path, function)
    assert (message.text, message.status, message.stop_reason) == ("You said hello", "finished", "stop")
    assert running.stuck() == 0


async def test_events_are_the_parts_of_an_answer(tmp_path: Path) -> None:
    """Reasoning, sources, notices, usage, calls that the function runs itself, and its own end."""

    async def full(request: Request):
        yield ReasoningDelta("Let me see. ")
        yield "Half \ud83d"
        yield "\ude00 a face. "
        yield ToolCall("search", {"q": "ü"}, id="a", by_provider=True)
        yield ToolProgress("a", "half")
        yield ToolResult("a", "done", {"hits": 2})
        yield ToolCallStarted("b", "look", by_provider=True)
        yield ToolCallArguments("b", '{"x": ')
        yield ToolCallArguments("b", "1}")
        yield ToolCallReady("b", {"x": 1})
        yield ToolResult("b", "error", error="It is away.")
        yield SourceAdded("https://example.org", "An example")
        yield Notice("own", "Something to know.")
        yield UsageReported(3, 4)
        yield UsageReported(5, 6, 1, 2, 3)
        yield Finished("length")
        yield "never read"

    message = await answer(tmp_path, full)
    assert message.text == "Half \U0001f600 a face. "
    assert (message.status, message.stop_reason, message.usage) == ("finished", "length", UsageReported(5, 6, 1, 2, 3))
    assert [p.text for p in message.parts if isinstance(p, ReasoningPart)] == ["Let me see. "]
    calls = [p for p in message.parts if isinstance(p, ToolCallPart)]
    assert [(c.name, c.state, c.result, c.error, c.progress) for c in calls] == [
        ("search", "done", {"hits": 2}, None, ("half",)),
        ("look", "error", None, "It is away.", ()),
    ]
    assert [dict(c.arguments or {}) for c in calls] == [{"q": "ü"}, {"x": 1}]
    assert [p.url for p in message.parts if isinstance(p, SourcePart)] == ["https://example.org"]
    assert [p.kind for p in message.parts if isinstance(p, NoticePart)] == ["own"]


async def test_a_tool_call_runs_the_agent_loop(tmp_path: Path) -> None:
    """The server runs the tool and calls the function again with the result, as with any provider."""

    async def counts(request: Request):
        assert [spec.name for spec in request.tools] == ["double"]
        last = request.messages[-1]
        done = [part for part in last.parts if isinstance(part, ToolCallPart)] if last.role == "assistant" else []
        yield UsageReported(10, 1)
        if len(done) < 2:
            yield ToolCall("double", {"number": 21 + len(done)})
        else:
            yield " and ".join(str(part.result) for part in done)

    message = await answer(tmp_path, counts)
    assert (message.text, message.status) == ("42 and 44", "finished")
    assert message.usage == UsageReported(30, 3)
    assert len({part.id for part in message.parts if isinstance(part, ToolCallPart)}) == 2


class Odd(Exception):
    def __str__(self) -> str:
        raise RuntimeError


def failing(error: BaseException, first: bool):
    async def fails(request: Request):
        if not first:
            yield "Some text. "
        raise error
        yield

    return fails


@pytest.mark.parametrize("first", [True, False], ids=["at-once", "later"])
@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("the index\nis broken"), "The model fails failed: ValueError: the index"),
        (SystemExit("bye"), "The model fails failed: SystemExit: bye"),
        (ModelError("The library is closed."), "The library is closed."),
        (Odd(), "The model fails failed: Odd."),
    ],
    ids=["exception", "exit", "own-message", "odd"],
)
async def test_a_function_that_raises(tmp_path: Path, error: BaseException, told: str, first: bool) -> None:
    """One sentence, and what came is kept; the loop of the models goes on."""
    if isinstance(error, SystemExit):  # asyncio lets it through a task: in a thread it is the same

        def fails(request: Request):
            if not first:
                yield "Some text. "
            raise SystemExit("bye")

        message = await answer(tmp_path, fails)
    else:
        message = await answer(tmp_path, failing(error, first))
    assert message.error is not None
    assert message.error.message == told
    assert message.text == ("" if first else "Some text. ")
    failed = first or isinstance(error, ModelError)
    assert message.status == ("failed" if failed else "interrupted")


ODD_ERRORS: dict[str, ProviderError] = {
    "no-text": ModelError(None),  # pyrefly: ignore[bad-argument-type]
    "bytes": ModelError(b"bytes"),  # pyrefly: ignore[bad-argument-type]
    "half-a-surrogate-pair": ModelError("half \ud800"),
    "long": ModelError("x" * 1_000_000),
    "kind-of-a-list": ModelError("x", kind=[1]),  # pyrefly: ignore[bad-argument-type]
    "wait-of-nan": ModelError("x", retryable=True, retry_after=float("nan")),
    "wait-for-ever": ModelError("x", retryable=True, retry_after=float("inf")),
    "wait-of-a-text": ModelError("x", retryable=True, retry_after="soon"),  # pyrefly: ignore[bad-argument-type]
}


@pytest.mark.parametrize("name", ODD_ERRORS)
async def test_what_an_error_carries_can_be_stored_and_sent(tmp_path: Path, name: str) -> None:
    """Whatever a function put into it: a text of bounded length, an identifier, and seconds or nothing."""
    message = await answer(tmp_path, failing(ODD_ERRORS[name], True))
    assert message.status == "failed"
    assert message.error is not None
    assert json.loads(json.dumps(message_to_wire(message), allow_nan=False))["error"]["message"]
    assert 0 < len(message.error.message.encode()) <= 2000
    assert isinstance(message.error.kind, str)
    assert message.error.kind != "internal"
    assert message.error.retry_after is None


async def test_numbers_and_words_are_bounded(tmp_path: Path) -> None:
    """Counts of tokens and the reason of the end, which are stored in columns."""

    async def boasts(request: Request):
        yield "Some text."
        yield UsageReported(10**400, -3)
        yield Finished("x" * 100_000)

    message = await answer(tmp_path, boasts)
    assert message.status == "finished"
    assert message.usage == UsageReported(10**12, 0)
    assert message.stop_reason == "x" * 200


BAD = {
    "bytes": (b"hello", "bytes"),
    "none": (None, "NoneType"),
    "number": (3, "int"),
    "dict": ({"text": "x"}, "dict"),
    "result-of-no-call": (ToolResult("nothing", "done"), "there is no call 'nothing'"),
    "arguments-not-json": (ToolCall("double", {"number": object()}), "not JSON serializable"),
    "nan": (ToolCall("double", {"number": float("nan")}), "not JSON compliant"),
    "text-of-a-number": (ReasoningDelta(3), "int instead of text"),  # pyrefly: ignore[bad-argument-type]
    "class": (ToolCall, "type"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_what_makes_no_sense_is_one_sentence(tmp_path: Path, name: str, kind: str) -> None:
    """It names the type; the text before it is kept."""
    piece, told = BAD[name]

    async def odd(request: Request):
        yield "Text. "
        yield piece

    def odd_in_thread(request: Request):
        yield "Text. "
        yield piece

    message = await answer(tmp_path, odd if kind == "async" else odd_in_thread)
    assert (message.status, message.text) == ("interrupted", "Text. ")
    assert message.error is not None
    assert message.error.kind == "bad-event"
    assert told in message.error.message


@pytest.mark.parametrize("value", [None, "", []], ids=["none", "empty", "list"])
async def test_a_function_that_says_nothing(tmp_path: Path, value: Any) -> None:
    """It is an error, not an empty answer."""

    def silent(request: Request):
        return value

    message = await answer(tmp_path, silent)
    assert message.status == "failed"
    assert message.error is not None
    assert message.error.kind == "empty"


async def test_stop_cancels_the_function(tmp_path: Path) -> None:
    """Its ``finally`` has run when the answer is stopped; a generator in a thread is closed at its next piece."""
    closed: list[str] = []

    async def waits(request: Request):
        try:
            yield "Some text. "
            await asyncio.Event().wait()
        finally:
            closed.append("async")

    def ticks(request: Request):
        try:
            while True:
                yield "tick "
                time.sleep(0.001)
        finally:
            closed.append("sync")

    async with world_of(tmp_path, waits, ticks) as world:
        for name, kind in (("waits", "async"), ("ticks", "sync")):
            world.model = f"python:{name}"
            started = await world.start()
            while not world.log.snapshot(started.run_id).message.text:
                await asyncio.sleep(0.005)
            await world.runs.cancel("local", started.run_id)
            message = await world.ended(started.run_id)
            assert (message.status, closed[-1]) == ("stopped", kind)
    assert running.stuck() == 0


async def test_who_ignores_cancellation_is_ended_all_the_same(tmp_path: Path, caplog, monkeypatch) -> None:
    """The answer is stopped without it, which is logged; it counts as stuck until it ends, and others answer."""
    monkeypatch.setattr(running, "GRACE_SECONDS", 0.05)
    monkeypatch.setattr(running, "BLOCKED_SECONDS", 0.5)
    gate = threading.Event()

    async def stubborn(request: Request):
        yield "Some text. "
        while not gate.is_set():
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                pass
        yield "too late"

    async def blocking(request: Request):
        yield "Some text. "
        gate.wait(60)

    def blocking_thread(request: Request):
        yield "Some text. "
        gate.wait(60)

    async with world_of(tmp_path, stubborn, blocking, blocking_thread, async_generator) as world:
        for number, name in enumerate(("stubborn", "blocking", "blocking_thread"), 1):
            world.model = f"python:{name}"
            started = await world.start()
            while not world.log.snapshot(started.run_id).message.text:
                await asyncio.sleep(0.005)
            await world.runs.cancel("local", started.run_id)
            message = await world.ended(started.run_id)
            assert (message.status, message.text) == ("stopped", "Some text. ")
            assert running.stuck() == number
            assert f"model {name} goes on after it was cancelled" in caplog.text
        world.model = "python:async_generator"
        started = await world.start("still here")
        assert (await world.ended(started.run_id)).text == "You said still here"
        gate.set()
        while running.stuck():
            await asyncio.sleep(0.005)


async def test_a_blocked_loop_delays_no_later_answer(tmp_path: Path, monkeypatch) -> None:
    """While one async function blocks, the program goes on, and the next answer gets another loop."""
    monkeypatch.setattr(running, "BLOCKED_SECONDS", 0.05)
    gate = threading.Event()

    async def blocking(request: Request):
        yield "Some text. "
        gate.wait(60)
        yield "the rest"

    async with world_of(tmp_path, blocking, async_generator) as world:
        blocked = await world.start()
        while not world.log.snapshot(blocked.run_id).message.text:
            await asyncio.sleep(0.005)
        world.model = "python:async_generator"
        for text in ("one", "two"):
            started = await world.start(text)
            assert (await world.ended(started.run_id)).text == f"You said {text}"
        gate.set()
        assert (await world.ended(blocked.run_id)).text == "Some text. the rest"


async def stops_the_loop(request: Request):
    yield "Some text. "
    asyncio.get_running_loop().stop()
    await asyncio.sleep(60)


async def exits_beside_itself(request: Request):
    yield "Some text. "
    asyncio.get_running_loop().call_soon(sys.exit)
    await asyncio.sleep(60)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("function", [stops_the_loop, exits_beside_itself], ids=["stop", "exit"])
async def test_a_function_that_ends_the_loop(tmp_path: Path, function: Callable[..., Any]) -> None:
    """Its own answer breaks off, and the next one gets another loop."""
    async with world_of(tmp_path, function, async_generator) as world:
        broken = await world.ended((await world.start()).run_id)
        assert (broken.status, broken.text) == ("interrupted", "Some text. ")
        world.model = "python:async_generator"
        for text in ("one", "two"):
            assert (await world.ended((await world.start(text)).run_id)).text == f"You said {text}"


async def test_too_many_stuck_functions_refuse_the_next(tmp_path: Path, monkeypatch) -> None:
    """With an error message, instead of a thread each."""
    monkeypatch.setattr(running, "MAX_STUCK", 0)
    message = await answer(tmp_path, plain)
    assert message.error is not None
    assert message.error.kind == "busy"


async def test_deadlines_hold_for_functions(tmp_path: Path) -> None:
    """Silence is ended as with any provider, also endless pieces without text."""

    async def silent(request: Request):
        await asyncio.Event().wait()
        yield "never"

    async def nothing(request: Request):
        while True:
            yield ""

    for function in (silent, nothing):
        folder = tmp_path / function.__name__
        folder.mkdir()
        message = await answer(folder, function, first=0.05)
        assert message.error is not None
        assert message.error.kind == "first-token-timeout"


@pytest.mark.parametrize("limits", [Limits(characters=100), Limits(events=10)], ids=["characters", "events"])
def test_an_endless_function_meets_a_limit(limits: Limits) -> None:
    """Of characters or of pieces, so that no answer grows without end."""
    pieces = Pieces("endless", {}, limits)
    with pytest.raises(StreamBroken) as caught:
        for _ in range(1000):
            pieces.add("word ")
    assert caught.value.kind == "too-long"


async def test_clients_of_async_models_stay_on_one_loop(tmp_path: Path) -> None:
    """Answers share the loop, so that a client made at import keeps its connections."""
    loops: list[asyncio.AbstractEventLoop] = []

    async def notes(request: Request):
        loops.append(asyncio.get_running_loop())
        yield json.dumps([threading.current_thread().name, request.conversation_id != ""])

    async with world_of(tmp_path, notes) as world:
        for _ in range(2):
            message = await world.ended((await world.start()).run_id)
            assert json.loads(message.text) == ["models", True]
    assert loops[0] is loops[1]
    assert loops[0] is not asyncio.get_running_loop()


def test_the_function_can_be_called_directly() -> None:
    """A model is tested as any function."""
    assert list(model(generator)(Request("x", ()))) == ["You said ", ""]
