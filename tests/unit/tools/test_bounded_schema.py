"""Schemas of MCP servers cannot make a validation expensive: a linear engine for patterns, steps that are counted."""

from __future__ import annotations

from typing import Any

import mcp_types as types
import pytest

from streamchat.chat.json_depth import MAX_DEPTH
from streamchat.tools import BadArguments
from streamchat.tools.definition import Tool
from streamchat.tools.mcp import bounded_schema
from streamchat.tools.mcp.bounded_schema import MAX_STEPS, BoundedValidator, TooManySteps, matcher
from streamchat.tools.mcp.tool_adapter import Refused, offered

LONG = "a" * 50_000 + "!"


def tool(properties: dict[str, Any], **schema: Any) -> Tool:
    declaration = types.Tool(name="x", input_schema={"type": "object", "properties": properties, **schema})
    return offered("s", declaration, None)  # pyrefly: ignore[bad-argument-type] not called


@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(a|a)*$", "^(a|aa)+$", r"^(\w+\s?)*$", "(.*)*x", "^(a?){50}a{50}$"])
@pytest.mark.parametrize("place", ["property", "nested", "keys", "draft"])
def test_a_pattern_that_backtracks_is_matched_in_linear_time(pattern: str, place: str) -> None:
    """A backtracking engine would not return from any of these."""
    text = {"type": "string", "pattern": pattern}
    value: Any = LONG
    if place == "nested":
        text, value = {"type": "array", "items": {"anyOf": [text, {"type": "integer"}]}}, [LONG]
    elif place == "keys":
        text, value = {"type": "object", "patternProperties": {pattern: {"type": "integer"}}}, {LONG: 1}
    elif place == "draft":
        text = {"$schema": "http://json-schema.org/draft-07/schema#", **text}
    checked = tool({"a": text})
    if place == "keys":
        assert checked.check({"a": value}) == {"a": value}
    elif pattern != "(.*)*x":
        with pytest.raises(BadArguments):
            checked.check({"a": value})
    assert matcher(pattern) is not None


@pytest.mark.parametrize("pattern", ["^(?=(a+)+$)b", r"^(a+)+\1$", "(?<!x)(a+)+$", "(a+)+$" + "|b" * 500])
def test_a_pattern_that_needs_backtracking_is_left_to_the_server(pattern: str) -> None:
    """It is neither matched here nor a reason to leave the tool out."""
    assert matcher(pattern) is None
    assert tool({"a": {"type": "string", "pattern": pattern}}).check({"a": LONG}) == {"a": LONG}


def test_usual_patterns_are_checked() -> None:
    """As the standard says: anywhere in the text, unless anchored."""
    checked = tool({"a": {"pattern": r"^\d{4}-\d{2}$"}}, patternProperties={"^x-": {"type": "integer"}})
    assert checked.check({"a": "2026-11", "x-1": 1})
    for arguments in ({"a": "2026-1"}, {"x-1": "1"}):
        with pytest.raises(BadArguments):
            checked.check(arguments)
    only = tool({"a": {}}, patternProperties={"^x-": {}}, additionalProperties=False)
    assert only.check({"a": 1, "x-1": 1})
    with pytest.raises(BadArguments, match="not known"):
        only.check({"b": 1})


def _doubling(levels: int, keyword: str) -> dict[str, Any]:
    defs: dict[str, Any] = {f"d{n}": {keyword: [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(levels)}
    return {**defs, f"d{levels}": {"type": "integer"}}


@pytest.mark.parametrize("keyword", ["allOf", "anyOf", "oneOf"])
def test_references_that_multiply_are_given_up(keyword: str) -> None:
    """Forty levels of two references each are a million million steps."""
    validator = BoundedValidator({"$defs": _doubling(40, keyword), "properties": {"a": {"$ref": "#/$defs/d0"}}})
    with pytest.raises(TooManySteps):
        validator.errors({"a": "text"}, 10**9)


def test_a_huge_value_is_refused() -> None:
    """Also where the schema is harmless."""
    checked = tool({"a": {"type": "array", "items": {"type": "integer"}}})
    assert checked.check({"a": list(range(MAX_STEPS // 2))})
    with pytest.raises(BadArguments, match="too large"):
        checked.check({"a": list(range(MAX_STEPS))})


def test_unique_items_compares_each_item_once() -> None:
    """Objects have no order; comparing each pair would be quadratic."""
    checked = tool({"a": {"uniqueItems": True}})
    items = [{"n": n, "m": [n]} for n in range(MAX_STEPS - 10)]
    assert checked.check({"a": items})
    for twice in ([*items, {"m": [1], "n": 1.0}], [1, 1.0]):
        with pytest.raises(BadArguments):
            checked.check({"a": twice})
    assert checked.check({"a": [1, True, "1", None, 0, False]})


@pytest.mark.parametrize("keyword", ["unevaluatedProperties", "unevaluatedItems"])
def test_what_cannot_be_bounded_is_refused(keyword: str) -> None:
    """Anywhere in the schema, also under a property that is named like a keyword for values."""
    for properties in ({"a": {keyword: False}}, {"default": {keyword: False}}, {"a": {"items": {keyword: False}}}):
        with pytest.raises(Refused, match=keyword):
            tool(properties)
    assert tool({keyword: {"type": "string"}, "a": {"const": {keyword: 1}}})


def test_another_draft_below_the_root_does_not_replace_the_bounds() -> None:
    """jsonschema would pick that draft's own keywords, and their backtracking engine."""
    inner = {"$schema": "http://json-schema.org/draft-07/schema#", "type": "string", "pattern": "^(a+)+$"}
    with pytest.raises(BadArguments):
        tool({"a": {"type": "array", "items": inner}}).check({"a": [LONG]})


def test_arguments_nested_too_deeply_are_refused() -> None:
    """Whatever the schema says of them, recursive or not."""
    recursive = {"t": {"type": "array", "items": {"$ref": "#/$defs/t"}}}
    for schema in ({}, {"$ref": "#/$defs/t"}):
        checked = tool({"a": schema}, **{"$defs": recursive})
        value: Any = []
        for _ in range(3 * MAX_DEPTH):
            value = [value]
        with pytest.raises(BadArguments):
            checked.check({"a": value})


def test_a_pattern_is_compiled_once() -> None:
    """The tools of a server are listed again every few seconds."""
    pattern = "^once[a-z]{1,20}$"
    before = bounded_schema.matcher.cache_info().misses
    for _ in range(3):
        tool({"a": {"pattern": pattern}}).check({"a": "onceupon"})
    assert bounded_schema.matcher.cache_info().misses == before + 1
