"""The page on providers says what the program does."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from streamchat.providers.anthropic import messages
from streamchat.providers.base import Capabilities, ModelInfo
from streamchat.providers.openai import chat, responses
from streamchat.providers.provider_errors import KINDS
from streamchat.simulator import words
from streamchat.simulator.scenes import SCENES
from tests import ROOT

PAGE = (ROOT / "docs" / "providers.md").read_text()
SOURCES = Path(chat.__file__).parents[1]


@pytest.mark.parametrize("module", [chat, responses, messages])
def test_capabilities(module: Any) -> None:
    """The tables of families are the adapters' own, and what a model entry gets is what they say."""
    assert module.KNOWN.table() in PAGE
    for family in module.KNOWN.families:
        for prefix in family.prefixes:
            info = ModelInfo(f"x:{prefix}-1", prefix, capabilities=module.KNOWN.capabilities(f"{prefix}-1"))
            assert info.capabilities == family.capabilities
    assert isinstance(module.KNOWN.capabilities("maker/never-heard-of"), Capabilities)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_is_there(kind: str) -> None:
    """Each kind of failure has its line."""
    assert f"`{kind}`" in PAGE


def test_every_kind_of_a_broken_stream_is_there() -> None:
    """Also those that are raised where they are found."""
    readers = ["stream_reader", "provider_errors", "event_builder", "openai/sequence_guard", "endpoint"]
    readers += ["openai/chat_events", "openai/responses_events", "anthropic/events", "openai/chat_tool_calls"]
    paths = [SOURCES / f"{name}.py" for name in readers] + [SOURCES.parent / "chat" / "sse.py"]
    raised = {word for path in paths for word in re.findall(r'kind(?::[^=\n]*)? ?= ?"([a-z-]+)"', path.read_text())}
    assert "spliced" in raised
    assert {word for word in raised if f"`{word}`" not in PAGE} <= {"provider"}


def test_all_of_the_simulator_is_there() -> None:
    """Its models, the words that a message may have, and their values."""
    section = PAGE.partition("## The simulator\n")[2].partition("\n## ")[0]
    named = set(re.findall(r"`([a-z0-9_-]+)`", section))
    fields = {field.name for field in dataclasses.fields(words.Words)}
    values = {*words.FAULTS, *words.KINDS, *words.CHUNKS, *words.ARGS, *words.WIRES}
    assert {*SCENES, *fields, *values} - named == set()
