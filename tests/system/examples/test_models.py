"""Each model of examples/ and docs/models.md answers; those of other libraries if the library is installed."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamchat.chat.events import Event, Finished, ReasoningDelta, SourceAdded, TextDelta, ToolResult, UsageReported
from streamchat.chat.messages import Message, TextPart
from streamchat.chat.request import Request
from streamchat.providers.python.provider import PythonModels
from streamchat.settings import load_settings
from streamchat.wiring.build_models import build_catalog
from streamchat.wiring.user_modules import load_user_modules
from tests import ROOT
from tests.support.loop import LoopThread
from tests.support.vendor import Reply, Vendor

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
    monkeypatch.setenv("STREAMCHAT_MODULES", str(file))
    models = load_user_modules(load_settings(), []).models
    provider = PythonModels(models)
    message = Message("u", "user", (TextPart(question),))
    try:
        return [event async for event in provider.stream(Request(models[0].name, (message,), conversation_id="c"))]
    finally:
        await provider.close()


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


async def test_pydantic_ai(monkeypatch) -> None:
    """Its text, its tool calls with results, and its usage."""
    pytest.importorskip("pydantic_ai")
    monkeypatch.setenv("MODEL", "test")
    events = await ask(monkeypatch, ROOT / "examples" / "model_pydantic_ai.py")
    assert "length" in text_of(events)
    assert [event.result for event in events if isinstance(event, ToolResult)] == ["1"]
    assert any(isinstance(event, UsageReported) and event.output for event in events)


async def test_langgraph(monkeypatch) -> None:
    """The graph's own state is kept by conversation."""
    pytest.importorskip("langgraph")
    events = await ask(monkeypatch, ROOT / "examples" / "model_langgraph.py")
    assert text_of(events) == "This is turn 1 of our talk: hello "
    assert text_of(await ask(monkeypatch, ROOT / "examples" / "model_langgraph.py")).startswith("This is turn 2")


async def test_openai_agents(monkeypatch) -> None:
    """It asks a server on loopback, and its text arrives."""
    pytest.importorskip("agents")
    vendor = Vendor(loop := LoopThread()).start()
    try:
        vendor.answer = lambda _request: Reply(["Hello ", "there."])
        monkeypatch.setenv("OPENAI_BASE_URL", vendor.url)
        events = await ask(monkeypatch, ROOT / "examples" / "model_openai_agents.py")
    finally:
        vendor.close()
        loop.close()
    assert text_of(events) == "Hello there."


def test_examples_are_listed() -> None:
    """In examples/README.md and docs/models.md."""
    for file in (ROOT / "examples").glob("model_*.py"):
        assert file.name in (ROOT / "examples" / "README.md").read_text()
        assert file.name in PAGE
