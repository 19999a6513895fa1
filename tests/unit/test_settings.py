"""Settings: read once, frozen, and a bad value is one clear sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from streamchat import build, extras
from streamchat.errors import SettingsError
from streamchat.settings import load_settings

OWN = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "PORT", "STREAMCHAT_MODELS")


@pytest.fixture(autouse=True)
def _clean(monkeypatch):
    for name in OWN:
        monkeypatch.delenv(name, raising=False)


def test_defaults_are_those_of_the_contract():
    """Without any variable the app serves on 3000 with the documented deadlines."""
    settings = load_settings()
    assert (settings.port, settings.connect_timeout, settings.first_token_timeout) == (3000, 10, 120)
    assert (settings.idle_timeout, settings.total_timeout, settings.retries) == (180, 3600, 3)
    assert settings.origins == ("http://localhost:3000", "http://127.0.0.1:3000")


def test_only_the_environment_is_read(tmp_path, monkeypatch):
    """In any case of its names, and what is empty is not set; a file of the working folder says nothing."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("PORT=3001\nSTREAMCHAT_RETRIES=9\n")
    monkeypatch.setenv("streamchat_retries", "2")
    monkeypatch.setenv("PORT", "")
    settings = load_settings()
    assert (settings.port, settings.retries) == (3000, 2)


def test_proxies_may_be_trusted_without_naming_people(monkeypatch):
    """With accounts as well as without: what they forward is an address. A header with names needs such proxies."""
    monkeypatch.setenv("STREAMCHAT_TRUSTED_PROXIES", "10.0.0.0/8")
    assert load_settings().trusted_proxies == ("10.0.0.0/8",)
    monkeypatch.setenv("STREAMCHAT_ACCOUNTS", "invite")
    assert load_settings().trusted_user_header is None
    monkeypatch.delenv("STREAMCHAT_ACCOUNTS")
    monkeypatch.setenv("STREAMCHAT_TRUSTED_USER_HEADER", "X-User")
    monkeypatch.setenv("STREAMCHAT_TRUSTED_PROXIES", "")
    with pytest.raises(SettingsError, match="STREAMCHAT_TRUSTED_PROXIES"):
        load_settings()


def test_lists_are_comma_separated(monkeypatch):
    """Lists are what a person writes, spaces and trailing commas allowed."""
    monkeypatch.setenv("STREAMCHAT_MODELS", "simulator:tour, openai:gpt-x,")
    monkeypatch.setenv("STREAMCHAT_SERVERS", "ollama=http://localhost:11434/v1")
    settings = load_settings()
    assert settings.models == ("simulator:tour", "openai:gpt-x")
    assert settings.servers == ("ollama=http://localhost:11434/v1",)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "eighty"),
        ("PORT", "70000"),
        ("STREAMCHAT_MODELS", "gpt-4"),
        ("STREAMCHAT_SERVERS", "ollama"),
        ("STREAMCHAT_IDLE_TIMEOUT", "-1"),
        ("OPENAI_BASE_URL", "localhost:8000"),
        ("STREAMCHAT_REDIS_URL", "http://:CANARY@localhost"),
        ("STREAMCHAT_WORKERS", "0"),
        ("STREAMCHAT_WORKERS", "2"),
        ("STREAMCHAT_RUN_KEEP", "-1"),
        ("STREAMCHAT_CORS_ORIGINS", "*"),
        ("STREAMCHAT_CORS_ORIGINS", "https://*.example"),
        ("STREAMCHAT_CORS_ORIGINS", "https://a.example/path"),
        ("STREAMCHAT_CORS_ORIGINS", "a.example"),
        ("STREAMCHAT_STREAMS_PER_CLIENT", "0"),
        ("STREAMCHAT_COMPLETION_LOG", "redis:answers"),
        ("STREAMCHAT_SECRET_KEY", "too short: CANARY"),
    ],
)
def test_a_bad_value_is_one_sentence_with_its_name(monkeypatch, name, value):
    """The start stops with a sentence that names the variable."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name) as caught:
        load_settings()
    assert "\n" not in caught.value.user_message
    assert "CANARY" not in caught.value.user_message


def test_no_secret_is_shown(monkeypatch):
    """A key is in no text of the settings, nor in the sentence about another bad value."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-CANARY")
    monkeypatch.setenv("STREAMCHAT_REDIS_URL", "redis://:CANARY@localhost")
    monkeypatch.setenv("STREAMCHAT_SECRET_KEY", "CANARY" * 6)
    assert "CANARY" not in repr(load_settings())
    monkeypatch.setenv("PORT", "x")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert "CANARY" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "pages"),
    [
        ("redis://h", "redis://h"),
        ("rediss://h", "rediss://h"),
        ("redis+cluster://h", None),
        ("rediss+cluster://h", None),
    ],
)
def test_pages_have_no_state_in_a_cluster(monkeypatch, url, pages):
    """Reflex's client knows no cluster: there the states of pages stay in memory."""
    monkeypatch.setenv("STREAMCHAT_REDIS_URL", url)
    settings = load_settings()
    assert (settings.redis_url, settings.page_redis_url) == (url, pages)


def test_settings_are_frozen():
    """Nobody changes them after the start."""
    with pytest.raises(ValidationError):
        load_settings().port = 1  # pyrefly: ignore[read-only]


@pytest.mark.parametrize(
    ("extra", "name", "value"),
    [
        ("accounts", "STREAMCHAT_SECRET_KEY", "x" * 32),
        ("grpc", "STREAMCHAT_GRPC_PORT", "50051"),
        ("mcp", "STREAMCHAT_MCP", "time=mcp-server-time"),
        ("postgres", "STREAMCHAT_DATABASE_URL", "postgresql://localhost/chat"),
        ("redis", "STREAMCHAT_REDIS_URL", "redis://localhost"),
    ],
)
def test_a_missing_extra_is_named_when_it_is_asked_for(monkeypatch, extra, name, value):
    """Nobody hears of a part that is not installed before a setting needs it; then of the command that installs it."""
    monkeypatch.setitem(extras.MODULES, extra, ("no_such_module",))
    load_settings()
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert caught.value.user_message == f"{name} needs the extra {extra}: pip install 'streamchat[{extra}]'"


def test_data_lie_in_the_working_directory_if_there_is_a_place_for_them(monkeypatch, tmp_path):
    """``data`` there if it exists, else that of the checkout; a folder that is named comes before both."""
    monkeypatch.chdir(tmp_path)
    assert load_settings().data_dir == build.ROOT / "data"
    (tmp_path / "data").mkdir()
    assert load_settings().data_dir == tmp_path / "data"
    monkeypatch.setenv("STREAMCHAT_DATA_DIR", "named")
    assert load_settings().data_dir == Path("named")
