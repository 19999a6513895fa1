"""Clients from PyPI, each as its own package does it: streaming, tools, reasoning, usage, leaving and coming back.

They are installed once, into environments of their own: those of today, and the vendors' SDKs of a year ago. Where the
package index gives none, these tests are skipped, and say so. Asked by ``ask.py``, in a process per client.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.integration.protocols.conftest import FAST, Api
from tests.system.clients.conftest import installed

TODAY = ["langchain-openai", "langchain-anthropic", "litellm", "llm", "pydantic-ai-slim[openai]", "openai-agents",
         "instructor"]  # fmt: skip
PACKAGES = {"today": TODAY, "a year ago": ["openai==2.8.1", "anthropic==0.74.1"]}
ALL = ("text", "tools", "reasoning", "stop")
# Client -> its environment, and what it can do.
CLIENTS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "openai-2.8": ("a year ago", "openai", (*ALL, "resume")),
    "anthropic-0.74": ("a year ago", "anthropic", ALL),
    "langchain-openai": ("today", "langchain_openai", ALL),
    "langchain-anthropic": ("today", "langchain_anthropic", ALL),
    "litellm": ("today", "litellm", ALL),
    "llm": ("today", "llm", ("text", "tools", "stop")),
    "pydantic-ai": ("today", "pydantic_ai", ALL),
    "openai-agents": ("today", "openai_agents", ALL),
    "instructor": ("today", "instructor", ("text", "tools")),
}
WORDS = 12
STOPPED = "n=5000 rate=50 ttft=0"
TEXTS = {
    "TEXT": f"n={WORDS} rate=30 ttft=0",
    "TEXT_tools": f"hello {FAST}",
    "TEXT_reasoning": f"hello {FAST}",
    "TEXT_resume": "n=60 rate=100 ttft=0",
    "TEXT_stop": STOPPED,
}
ASK = Path(__file__).with_name("ask.py")


@pytest.fixture(scope="module")
def environments(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path | str]:
    """The Python of each environment, or why there is none."""
    folder = tmp_path_factory.mktemp("clients")
    return {name: installed(folder / str(number), what) for number, (name, what) in enumerate(PACKAGES.items())}


@pytest.fixture(scope="module")
def said(api: Api, environments: dict[str, Path | str]) -> Any:
    """``said(client, feature)``: what the client made of it. All of an environment are asked at once."""
    known: dict[str, dict[Any, Any]] = {}

    def ask(client: str, feature: str) -> dict[str, Any]:
        environment, name, _ = CLIENTS[client]
        python = environments[environment]
        if isinstance(python, str):
            pytest.skip(python)
        if environment not in known:
            given = {"HOME": os.environ.get("HOME", "/"), "PATH": os.environ["PATH"], "URL": api.url, **TEXTS}
            given["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it asks GitHub for prices, again and again
            asked = [f"{name}={','.join(features)}" for its, name, features in CLIENTS.values() if its == environment]
            command = [python, ASK, *asked]
            done = subprocess.run(command, capture_output=True, text=True, timeout=250, env=given)
            lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
            known[environment] = {(line["client"], line["feature"]): line for line in lines}
            known[environment]["stderr"] = done.stderr[-3000:]
        assert (name, feature) in known[environment], known[environment]["stderr"]
        result = known[environment][name, feature]
        assert "error" not in result, result["error"]
        return result

    return ask


def able(feature: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("client", [name for name, (_, _, can) in CLIENTS.items() if feature in can])


@able("text")
def test_text(said: Any, client: str):
    """Piece by piece, and all of it."""
    result = said(client, "text")
    assert result["pieces"] > 1
    if client == "instructor":  # an object that grows
        assert result["text"] == "Paris"
    else:
        assert result["text"].split() == [f"w{n:06}" for n in range(1, WORDS + 1)]


@able("tools")
def test_tools(said: Any, client: str):
    """The client's tool is called and run by it, and the model has its result."""
    result = said(client, "tools")
    if client == "instructor":
        assert (result["call"], result["text"]) == ("Weather", "Paris")
    else:
        assert result["call"] == "weather"
        assert "`sunny in Paris`" in result["text"]


@able("reasoning")
def test_reasoning(said: Any, client: str):
    """Apart from the text."""
    result = said(client, "reasoning")
    assert result["thought"].startswith("The user wants to see")
    assert result["text"].startswith("The thoughts above")
    assert "The user wants" not in result["text"]


@able("text")
def test_usage(said: Any, client: str):
    """As the provider counted."""
    usage = said(client, "tools" if client == "instructor" else "text")["usage"]
    assert usage["input"] > 0
    assert usage["output"] == (10 if client == "instructor" else WORDS)


@able("stop")
def test_stop(said: Any, api: Api, client: str):
    """Leaving the stream ends the answer, because the client asked for it (``X-Stop-On-Disconnect``)."""
    assert said(client, "stop")["left"]
    end = time.monotonic() + 60
    while api.loop.run(api.world.store.answering("local")) and time.monotonic() < end:
        time.sleep(0.1)
    assert api.loop.run(api.world.store.answering("local")) == []
    rows = api.http.get("/api/conversations?limit=100").json()["conversations"]
    answers = [api.conversation(row["id"])[-1] for row in rows if row["title"].startswith(STOPPED)]
    assert answers
    assert {answer["status"] for answer in answers} == {"stopped"}


@able("resume")
def test_resume(said: Any, client: str):
    """A stream that was left is read on after the last event: each word once."""
    result = said(client, "resume")
    assert result["pieces"] > 1
    assert result["text"].split() == [f"w{n:06}" for n in range(1, 61)]
