"""Counts of tokens are numbers that every protocol and database takes, whatever a server reports."""

from __future__ import annotations

from typing import Any

import pytest

from streamchat.providers.anthropic import blocks
from streamchat.providers.openai import responses_items
from streamchat.providers.token_counts import MOST_TOKENS, count


@pytest.mark.parametrize("value", [None, True, -1, 1.5, "3", [], 2**63, MOST_TOKENS + 1])
def test_what_is_no_count(value: Any):
    assert count(value) is None
    assert blocks.read_usage({"input_tokens": value}).input is None  # pyrefly: ignore[missing-attribute]
    assert responses_items.read_usage({"input_tokens": value}).input is None


@pytest.mark.parametrize("value", [0, 7, MOST_TOKENS])
def test_what_is_one(value: int):
    assert count(value) == value
