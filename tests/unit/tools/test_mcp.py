"""MCP servers as they are set, and the schemas they tell: no server is started."""

from __future__ import annotations

import mcp_types as types
import pytest

from streamchat.errors import SettingsError
from streamchat.settings import load_settings
from streamchat.tools import BadArguments
from streamchat.tools.mcp import read_specs
from streamchat.tools.mcp.tool_adapter import Refused, offered


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array"},
        {"type": ["object"]},
        {"type": "object", "properties": []},
        {"type": "object", "required": "a"},
        {"type": "object", "$ref": "http://127.0.0.1:9/x"},
        {"type": "object", "$ref": "#"},
        {"type": "object", "properties": {"naïve name": {}}},
        {"type": "object", "properties": {"x" * 65: {}}},
        {"type": "object", "properties": {"a": {"pattern": "("}}},
        {"$schema": "http://nowhere.example/", "type": 5},
    ],
)
def test_a_schema_that_cannot_be_used_is_refused(schema: dict) -> None:
    """And nothing is loaded for it."""
    with pytest.raises(Refused):
        offered("s", types.Tool(name="x", input_schema=schema), None)  # pyrefly: ignore[bad-argument-type] not called


def test_what_vendors_refuse_is_checked_and_not_told() -> None:
    """A schema with a choice at its root would cost the whole request; the arguments still have to fit it."""
    schema = {"type": "object", "properties": {"a": {}, "b": {}}, "oneOf": [{"required": ["a"]}, {"required": ["b"]}]}
    tool = offered("s", types.Tool(name="x", input_schema=schema), None)  # pyrefly: ignore[bad-argument-type] not called
    assert tool.spec.parameters == {"type": "object", "properties": {"a": {}, "b": {}}}
    assert tool.check({"a": 1}) == {"a": 1}
    with pytest.raises(BadArguments):
        tool.check({"a": 1, "b": 2})


# The setting


def test_entries_are_read_as_a_shell_would(monkeypatch) -> None:
    """Quotes keep commas and spaces; words before the command are its environment; an address is one."""
    value = """files=npx -y server "/a, b" 'c d', git=TOKEN=x A='1,2' git-mcp,web=https://example.org/mcp?a=1,"""
    monkeypatch.setenv("STREAMCHAT_MCP", value)
    settings = load_settings()
    files, git, web = read_specs(settings.mcp)
    assert (files.name, files.command) == ("files", ("npx", "-y", "server", "/a, b", "c d"))
    assert (git.command, git.environment) == (("git-mcp",), {"TOKEN": "x", "A": "1,2"})
    assert (web.url, web.command) == ("https://example.org/mcp?a=1", ())
    assert "TOKEN" not in repr(settings)
    assert "'x'" not in repr(git)


@pytest.mark.parametrize(
    "entry",
    [
        "npx",
        "=npx",
        "a b=npx",
        "a__b=npx",
        "x" * 25 + "=npx",
        "a=",
        "a=''",
        "a=TOKEN=x",
        'a=npx "x',
        "a=https://x y",
        "_=x",
    ],
)
def test_an_entry_that_cannot_work_stops_the_start(entry: str) -> None:
    """With a sentence that names the setting."""
    with pytest.raises(SettingsError, match="STREAMCHAT_MCP"):
        read_specs([entry])


def test_a_name_is_used_once() -> None:
    """It is what a person switches off."""
    with pytest.raises(SettingsError, match="'a' twice"):
        read_specs(["a=x", "a=y"])
