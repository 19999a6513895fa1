"""Which models are on offer: what a newcomer and a person with keys find in the picker."""

from __future__ import annotations

import pytest

from streamchat.errors import InvalidInput, NotFound
from streamchat.providers.anthropic.messages import Anthropic
from streamchat.providers.openai.chat import OpenAIChat
from streamchat.providers.openai.responses import OpenAIResponses
from streamchat.runs.retries import target_of
from streamchat.settings import load_settings
from streamchat.wiring.build_models import build_catalog, build_policy

VARIABLES = (
    "OPENAI_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL",
    "STREAMCHAT_MODELS", "STREAMCHAT_SERVERS", "STREAMCHAT_LOCAL_GGUF", "STREAMCHAT_FALLBACK_MODEL",
)  # fmt: skip


@pytest.fixture
def catalog(monkeypatch):
    """Builds a catalog from just these variables."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)

    def build(**variables: str):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return build_catalog(load_settings())

    return build


def test_without_a_key_something_answers_and_the_vendors_say_why_not(catalog):
    """The embedded model or the simulator is the default; vendors are listed with the variable to set."""
    made = catalog()
    assert made.default in ("local:smollm2", "simulator:tour")
    assert "ANTHROPIC_API_KEY" in (made.offered["anthropic:claude-sonnet-5-5"].unavailable or "")
    with pytest.raises(InvalidInput, match="OPENAI_API_KEY"):
        made.provider("openai:gpt-6-luna")


def test_a_key_makes_its_vendor_the_default(catalog):
    """A person who set a key wants that vendor."""
    assert catalog(ANTHROPIC_API_KEY="sk-x").default == "anthropic:claude-opus-5-5"
    made = catalog(OPENAI_API_KEY="sk-x")
    assert made.default == "openai:gpt-6.2-sol"
    assert isinstance(made.provider("openai:some-new-model"), OpenAIResponses)
    assert isinstance(made.provider("openai-chat:gpt-6-luna"), OpenAIChat)
    assert isinstance(made.provider("anthropic:claude-opus-5-5"), Anthropic)
    assert made.info("openai:gpt-6-luna").capabilities.context
    assert "temperature" in made.info("openai:gpt-5.4").capabilities.refuses


def test_another_address_speaks_chat_and_needs_no_key(catalog):
    """Ollama, vLLM and the rest speak chat completions; ``openai-responses:`` forces the other dialect."""
    made = catalog(OPENAI_BASE_URL="http://localhost:11434/v1")
    assert isinstance(made.provider("openai:llama3"), OpenAIChat)
    assert isinstance(made.provider("openai-responses:llama3"), OpenAIResponses)
    assert catalog(OPENAI_BASE_URL="https://api.openai.com/v1").info is not None
    with pytest.raises(InvalidInput, match="OPENAI_API_KEY"):
        catalog(OPENAI_BASE_URL="https://api.openai.com/v1").provider("openai:llama3")


def test_a_person_with_a_key_has_the_models_of_its_vendor(catalog):
    """All names of the vendor, for this person alone; what it has none for says how to get it. Nothing else changes."""
    made, used = catalog(), []
    mine = made.for_person({"openai": "sk-mine"}, used.append)
    assert list(made.vendors) == ["openai", "anthropic"]
    assert mine.default == "openai:gpt-6.2-sol"
    for model in ("openai:gpt-6-luna", "openai:some-new-model", "openai-chat:x", "openai-responses:x"):
        assert (mine.info(model).own_key, mine.info(model).note) == (True, "With your own key.")
        with pytest.raises(InvalidInput):
            made.info(model)
    assert mine.provider("openai:gpt-6-luna") is not made.sources[0].provider
    assert used == ["openai"]
    assert "add a key of your own for Anthropic" in (mine.offered["anthropic:claude-opus-5-5"].unavailable or "")
    assert "OPENAI_API_KEY" in (made.offered["openai:gpt-6-luna"].unavailable or "")
    assert mine.info("simulator:tour") == made.info("simulator:tour")


def test_a_key_that_cannot_be_read_replaces_no_other(catalog):
    """The server's key would answer for whoever has none: not for somebody whose own key is lost."""
    made = catalog(OPENAI_API_KEY="sk-servers")
    lost = made.for_person({"openai": None}, lambda vendor: None)
    with pytest.raises(InvalidInput, match="cannot be read any more"):
        lost.provider("openai:gpt-6-luna")
    none = made.for_person({}, lambda vendor: None)
    assert none.provider("openai:gpt-6-luna") is made.provider("openai:gpt-6-luna")
    assert not none.info("openai:gpt-6-luna").own_key


def test_what_is_switched_off_stays_off(catalog):
    """A key of one's own brings back no model that an admin took away."""
    made = catalog()
    made.off = frozenset({"openai:gpt-6-luna"})
    mine = made.for_person({"openai": "sk-mine"}, lambda vendor: None)
    assert "openai:gpt-6-luna" not in mine.offered
    with pytest.raises(InvalidInput, match="switched off"):
        mine.provider("openai:gpt-6-luna")


def test_further_servers_by_name(catalog):
    """``name=url`` gives models ``name:model``."""
    made = catalog(STREAMCHAT_SERVERS="ollama=http://localhost:11434/v1")
    assert isinstance(made.provider("ollama:llama3.2:1b"), OpenAIChat)


def test_the_offer_can_be_chosen(catalog):
    """Only these, in this order; the first usable one is the default; an unknown provider is shown as such."""
    made = catalog(STREAMCHAT_MODELS="openai:gpt-6-luna,simulator:tour,nope:x")
    assert list(made.offered) == ["openai:gpt-6-luna", "simulator:tour", "nope:x"]
    assert made.default == "simulator:tour"
    assert made.offered["nope:x"].unavailable


@pytest.mark.parametrize("model", ["", "tour", "nope:x", "simulator:nope", "openai:", "openai:a b", "x" * 500, None, 3])
def test_unknown_models_are_one_sentence(catalog, model):
    """Whatever a client sends as a model, it gets a sentence."""
    with pytest.raises(NotFound) as caught:
        catalog(OPENAI_API_KEY="sk-x").info(model)
    assert len(caught.value.user_message) < 150


def test_rescue_is_what_the_settings_say(catalog, monkeypatch):
    """Off by default; on the same model where no other is named."""
    made = catalog()
    assert build_policy(load_settings()).within(made).rescue is None
    monkeypatch.setenv("STREAMCHAT_RESCUE", "true")
    same = build_policy(load_settings()).within(made).rescue
    assert same is not None
    assert same(broke := target_of(made, "simulator:tour")) is broke
    monkeypatch.setenv("STREAMCHAT_FALLBACK_MODEL", "simulator:slow")
    rescue = build_policy(load_settings()).within(made).rescue
    assert rescue is not None
    assert rescue(broke).model == "slow"
