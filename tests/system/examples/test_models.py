"""Each model of examples/ and docs/models.md answers; those of other libraries with the real library from PyPI."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamchat.chat.events import Event, Finished, ReasoningDelta, SourceAdded, TextDelta, ToolResult, UsageReported
from streamchat.chat.messages import Message, TextPart
from streamchat.chat.request import Request
from streamchat.chat.wire import event_from_wire
from streamchat.settings import load_settings
from streamchat.wiring.build_models import build_catalog
from tests import ROOT
from tests.support.loop import LoopThread
from tests.support.vendor import Reply, Vendor
from tests.system.examples.answering import answers

PAGE = (ROOT / "docs" / "models.md").read_text()
CODE = [block for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "@model" in block]


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Modules that a test imported from the examples are not there for the next one."""
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith(("model_", "page_")):
            del sys.modules[name]


async def ask(monkeypatch: pytest.MonkeyPatch, file: Path, question: str = "hello") -> list[Event]:
    """The events with which the first model of a file answers."""
    monkeypatch.setenv("STREAMCHAT_MODULES", "")  # put back afterwards
    return (await answers(str(file), [question]))[0]


def answered(frameworks: Path, name: str, *questions: str, **settings: str) -> list[list[Event]]:
    """The events of each answer of an example, in a process that has its library."""
    command = [sys.executable, "-m", "tests.system.examples.answering", str(ROOT / "examples" / name), *questions]
    environment = {**os.environ, "PYTHONPATH": str(frameworks), "LANGSMITH_TRACING": "false", **settings}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return [list(map(event_from_wire, json.loads(line))) for line in done.stdout.splitlines()]


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


async def test_echo_is_five_lines(monkeypatch) -> None:
    """That is all it takes, and docs/models.md shows the same ones."""
    source = (ROOT / "examples" / "model_echo.py").read_text()
    lines = [line for line in source.splitlines() if line.strip() and not line.startswith('"""')]
    assert len(lines) <= 5
    assert all(line in CODE[0] for line in lines)
    assert text_of(await ask(monkeypatch, ROOT / "examples" / "model_echo.py")) == "You said: hello"


async def test_the_rag_example_cites_what_it_found(monkeypatch, tmp_path: Path) -> None:
    """The paragraph that fits, with its file as a source; or says that there is none."""
    (tmp_path / "cats.md").write_text("Cats sleep.\n\nCats purr when they are content.")
    (tmp_path / "dogs.txt").write_text("Dogs bark.")
    monkeypatch.setenv("DOCS", str(tmp_path))
    events = await ask(monkeypatch, ROOT / "examples" / "model_rag.py", "When does a cat purr?")
    assert "Cats purr when they are content." in text_of(events)
    assert [event.title for event in events if isinstance(event, SourceAdded)] == ["cats.md"]
    assert any(isinstance(event, ReasoningDelta) for event in events)
    events = await ask(monkeypatch, ROOT / "examples" / "model_rag.py", "quantum")
    assert text_of(events) == "Nothing in the documents fits."


@pytest.mark.parametrize("code", CODE, ids=range(len(CODE)))
async def test_the_examples_of_the_page_answer(monkeypatch, tmp_path: Path, code: str) -> None:
    """Each block that shows a model is a whole file."""
    file = tmp_path / "page_model.py"
    file.write_text(code)
    assert isinstance((await ask(monkeypatch, file))[-1], Finished)


async def test_the_provider_of_the_page_answers(monkeypatch, tmp_path: Path) -> None:
    """The block with @provider is a whole file too."""
    (code,) = [block for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "@provider" in block]
    (tmp_path / "page_provider.py").write_text(code)
    monkeypatch.setenv("STREAMCHAT_MODULES", str(tmp_path / "page_provider.py"))
    provider = build_catalog(load_settings()).provider("loud:anything")
    message = Message("u", "user", (TextPart("hello"),))
    assert text_of([event async for event in provider.stream(Request("anything", (message,)))]) == "HELLO"


def test_pydantic_ai(frameworks: Path) -> None:
    """Its text, its tool calls with results, and its usage."""
    (events,) = answered(frameworks, "model_pydantic_ai.py", "hello", MODEL="test")
    assert "length" in text_of(events)
    assert [event.result for event in events if isinstance(event, ToolResult)] == ["1"]
    assert any(isinstance(event, UsageReported) and event.output for event in events)


def test_langgraph(frameworks: Path) -> None:
    """The graph's own state is kept by conversation."""
    first, second = answered(frameworks, "model_langgraph.py", "hello", "again")
    assert text_of(first) == "This is turn 1 of our talk: hello "
    assert text_of(second) == "This is turn 2 of our talk: again "
    assert any(isinstance(event, ReasoningDelta) for event in first)


def test_openai_agents(frameworks: Path) -> None:
    """It asks a server on loopback, and its text arrives."""
    vendor = Vendor(loop := LoopThread()).start()
    try:
        vendor.answer = lambda _request: Reply(["Hello ", "there."])
        (events,) = answered(frameworks, "model_openai_agents.py", "hello", OPENAI_BASE_URL=vendor.url)
    finally:
        vendor.close()
        loop.close()
    assert text_of(events) == "Hello there."
    assert isinstance(events[-1], Finished)


def test_examples_are_listed() -> None:
    """In examples/README.md and docs/models.md."""
    for file in (ROOT / "examples").glob("model_*.py"):
        assert file.name in (ROOT / "examples" / "README.md").read_text()
        assert file.name in PAGE
