"""Prices: what a request costs, from counts that each vendor reports in its own way."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from streamchat.chat.events import UsageReported
from streamchat.errors import SettingsError
from streamchat.prices import BUILT_IN, load_prices
from streamchat.providers.anthropic.blocks import read_usage as read_anthropic
from streamchat.providers.anthropic.register import MODELS as ANTHROPIC_MODELS
from streamchat.providers.openai.chat_events import read_usage as read_chat
from streamchat.providers.openai.register import MODELS as OPENAI_MODELS
from streamchat.providers.openai.responses_items import read_usage as read_responses

OFFERED = [f"openai:{name}" for name in OPENAI_MODELS] + [f"anthropic:{name}" for name in ANTHROPIC_MODELS]
MILLION = 1_000_000
cost = load_prices().cost


@pytest.mark.parametrize("model", OFFERED)
def test_every_offered_model_has_a_price(model: str):
    assert (cost(model, UsageReported(1000, 1000)) or 0) > 0


@pytest.mark.parametrize("model", ["local:smollm2", "simulator:tour", "local:anything"])
def test_what_runs_here_costs_nothing(model: str):
    """Counted or not."""
    assert cost(model, UsageReported(1000, 1000)) == 0.0
    assert cost(model, UsageReported()) == 0.0


@pytest.mark.parametrize("model", ["ollama:llama3", "openai:gpt-6.2-sol-mini", "anthropic:gpt-6.2-sol", "", "x"])
def test_a_model_without_a_price_has_no_cost(model: str):
    """No cost is not a cost of 0, and a price is not that of a model with a similar name."""
    assert cost(model, UsageReported(1000, 1000)) is None


def test_nothing_counted_has_no_cost():
    assert cost("openai:gpt-6.2-sol", UsageReported()) is None
    assert cost("openai:gpt-6.2-sol", UsageReported(cached=3)) is None


@pytest.mark.parametrize("model", ["openai:gpt-5.4-mini", "openai-chat:gpt-5.4-mini-2026-03-17"])
def test_names_of_openai(model: str):
    """Whichever API is spoken, and with the date of a snapshot."""
    assert cost(model, UsageReported(MILLION, MILLION)) == pytest.approx(0.75 + 4.50)


def test_cached_tokens_are_part_of_the_input():
    """1,000 read, of these 600 from the cache and 100 into it."""
    usage = UsageReported(1000, 10, cached=600, written=100)
    expected = (300 * 4 + 600 * 0.20 + 100 * 5 + 10 * 20) / MILLION
    assert cost("anthropic:claude-opus-5-5", usage) == pytest.approx(expected)


def test_the_same_request_counted_by_each_vendor():
    """Anthropic counts its cache beside the input, OpenAI within it: both mean the same here."""
    ours = UsageReported(1000, 10, cached=600, reasoning=4, written=100)
    counts = {"cached_tokens": 600, "cache_write_tokens": 100}
    assert ours == read_chat(
        {
            **{"prompt_tokens": 1000, "completion_tokens": 10, "prompt_tokens_details": counts},
            "completion_tokens_details": {"reasoning_tokens": 4},
        }
    )
    assert ours == read_responses(
        {
            **{"input_tokens": 1000, "output_tokens": 10, "input_tokens_details": counts},
            "output_tokens_details": {"reasoning_tokens": 4},
        }
    )
    assert ours == read_anthropic(
        {
            **{"input_tokens": 300, "cache_read_input_tokens": 600, "cache_creation_input_tokens": 100},
            **{"output_tokens": 10, "output_tokens_details": {"thinking_tokens": 4}},
        }
    )


def test_a_long_request_has_other_prices():
    """All of it, once it is longer than the limit; at the limit it is not."""
    model, limit = "anthropic:claude-haiku-5-5", 100_000
    assert cost(model, UsageReported(limit, 0)) == pytest.approx(limit * 0.10 / MILLION)
    assert cost(model, UsageReported(limit + 1, 10)) == pytest.approx(((limit + 1) * 0.50 + 10 * 2.50) / MILLION)


@pytest.mark.parametrize("usage", [UsageReported(5, 5, cached=50), UsageReported(-5, -5, -5, -5), UsageReported(5)])
def test_counts_that_make_no_sense(usage: UsageReported):
    """Never a cost below 0."""
    assert (cost("openai:gpt-6.2-sol", usage) or 0) >= 0


def test_a_file_adds_and_replaces(tmp_path: Path):
    """A pattern of the operator comes before the built-in ones; the others stay."""
    own = tmp_path / "prices.toml"
    own.write_text('date = 2027-01-01\n[models]\n"ollama:*" = { input = 0, output = 0 }\n'
                   '"openai:gpt-5.4-*" = { input = 1, output = 2 }\n')  # fmt: skip
    prices = load_prices(own)
    usage = UsageReported(MILLION, MILLION)
    assert prices.date == date(2027, 1, 1)
    assert prices.cost("ollama:llama3", usage) == 0.0
    assert prices.cost("openai:gpt-5.4-mini", usage) == pytest.approx(3)
    assert prices.cost("openai-chat:gpt-5.4-mini", usage) == pytest.approx(5.25)
    assert load_prices().cost("ollama:llama3", usage) is None


@pytest.mark.parametrize(
    "text",
    [
        "not toml",
        '[models]\n"a:b" = { input = 1 }',
        '[models]\n"a:b" = { input = -1, output = 1 }',
        '[models]\n"a:b" = { input = nan, output = 1 }',
        '[models]\n"a:b" = { input = 1, output = 1, price = 1 }',
        '[models]\n"a:b" = 1',
        "models = 1",
        None,
        b"\xff",
    ],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, text: str | bytes | None):
    """One sentence that names the file."""
    own = tmp_path / "prices.toml"
    if text is not None:
        own.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SettingsError, match=r"prices\.toml"):
        load_prices(own)


def test_the_file_says_when_and_from_where():
    assert load_prices().date is not None
    assert BUILT_IN.read_text("utf-8").count("https://") >= 2
