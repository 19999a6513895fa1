"""A typed function becomes a tool: its name, its schema, and the check of arguments."""

from __future__ import annotations

from datetime import date
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from streamchat.tools import BadArguments, Context, Tool, tool
from tests.unit.tools.running import result_of


class Place(BaseModel):
    name: str
    height: float = 0.0


class Pattern:
    """Nothing that JSON can say."""


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@tool
async def forecast(city: str, days: Annotated[int, Field(ge=1, le=7)] = 3, unit: Literal["c", "f"] = "c") -> str:
    """The weather to come.

    Only for large cities.

    Args:
        city: Where, in English.
        days: How far ahead.
    """
    return f"{city} {days} {unit}"


@tool
async def everything(
    schema: str,
    json: int,
    copy: bool,
    place: Place | None = None,
    when: date | None = None,
    colour: Colour = Colour.RED,
) -> str:
    """Names that a model class has methods for, nested values, values that JSON writes as text."""
    return f"{schema} {json} {copy} {place} {when} {colour}"


def test_name_description_and_schema_come_from_the_function() -> None:
    """A tool's author writes nothing twice."""
    assert forecast.name == "forecast"
    assert forecast.spec.description == "The weather to come.\n\nOnly for large cities."
    assert forecast.spec.parameters == {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "Where, in English."},
            "days": {"type": "integer", "minimum": 1, "maximum": 7, "default": 3, "description": "How far ahead."},
            "unit": {"type": "string", "enum": ["c", "f"], "default": "c"},
        },
        "required": ["city"],
        "additionalProperties": False,
    }


def test_defaults_are_filled_in_and_nothing_else_changes() -> None:
    """What a person approves is what the function gets, in the order of the signature."""
    checked = forecast.check({"unit": "f", "city": "Bern"})
    assert list(checked.items()) == [("city", "Bern"), ("days", 3), ("unit", "f")]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "must be a JSON object"),
        (None, "must be a JSON object"),
        ("x", "must be a JSON object"),
        (3, "must be a JSON object"),
        ({}, "city: Field required"),
        ({"city": 3}, "city: Input should be a valid string"),
        ({"city": "Bern", "days": "3"}, "days: Input should be a valid integer"),
        ({"city": "Bern", "days": 3.5}, "days: "),
        ({"city": "Bern", "days": True}, "days: Input should be a valid integer"),
        ({"city": "Bern", "days": 8}, "days: Input should be less than or equal to 7"),
        ({"city": "Bern", "days": float("nan")}, "no word for"),
        ({"city": "Bern", "unit": "k"}, "unit: "),
        ({"city": "Bern", "color": "red"}, "color: Extra inputs are not permitted"),
        ({"city": "\ud83d"}, "half a character"),
        ({"city": object()}, "no word for"),
    ],
)
def test_arguments_that_do_not_fit_are_a_sentence(arguments: Any, told: str) -> None:
    """It names the field and what is wanted; nothing is converted by guessing."""
    with pytest.raises(BadArguments, match=told) as caught:
        forecast.check(arguments)
    assert "\n" not in caught.value.user_message


def test_ten_thousand_levels_are_a_sentence() -> None:
    """Deep nesting is bad arguments, not a crash."""
    deep: Any = []
    for _ in range(10_000):
        deep = [deep]
    with pytest.raises(BadArguments, match="nested too deeply"):
        forecast.check({"city": deep})


def test_the_sentence_does_not_repeat_the_value() -> None:
    """An argument may be long, or secret."""
    with pytest.raises(BadArguments) as caught:
        forecast.check({"city": "x", "days": "CANARY" * 1000, **{f"extra{n}": 1 for n in range(100)}})
    assert "CANARY" not in caught.value.user_message
    assert len(caught.value.user_message) < 1500


async def test_values_reach_the_function_as_their_types() -> None:
    """Models, dates and enumerations are what the annotation says; names that pydantic uses itself are no trouble."""
    arguments = {
        "schema": "s",
        "json": 1,
        "copy": False,
        "place": {"name": "Bern"},
        "when": "2026-01-02",
        "colour": "blue",
    }
    told = (await result_of(everything, arguments)).result
    assert told == "s 1 False name='Bern' height=0.0 2026-01-02 Colour.BLUE"


def test_nested_values_are_checked_as_strictly() -> None:
    """An unknown field inside a model is refused too."""
    with pytest.raises(BadArguments, match=r"place\.heigth"):
        everything.check({"schema": "s", "json": 1, "copy": True, "place": {"name": "x", "heigth": 1}})


async def test_a_context_is_filled_in_and_not_in_the_schema() -> None:
    """The model cannot say for whom a tool works."""

    @tool
    async def whose(context: Context, word: str = "x") -> str:
        return f"{context.owner} {context.conversation_id} {word}"

    assert set(whose.spec.parameters["properties"]) == {"word"}
    with pytest.raises(BadArguments):
        whose.check({"context": {"owner": "somebody"}})
    assert (await result_of(whose)).result == "local conversation x"


async def test_the_function_stays_callable() -> None:
    """A tool's author tests it like any function."""
    assert await forecast("Bern", days=2) == "Bern 2 c"
    assert isinstance(forecast, Tool)


def test_a_mutable_default_is_not_shared() -> None:
    """Two calls get two lists."""

    @tool
    def collect(items: list[int] = []) -> int:  # noqa: B006 is what is tested
        return len(items)

    collect.check({})["items"].append(1)
    assert collect.check({}) == {"items": []}


def _untyped(x) -> None: ...
def _many(*x: int) -> None: ...
def _open(**x: int) -> None: ...
def _nameless(x: int, /) -> None: ...
def _strange(x: Pattern) -> None: ...
def _unknown(x: Nowhere) -> None: ...  # noqa: F821 # pyrefly: ignore[unknown-name] is what is tested
def _misfit(x: int = None) -> None: ...  # pyrefly: ignore[bad-function-definition] is what is tested
def _sentinel(x: Any = object()) -> None: ...  # noqa: B008 is what is tested
def _umlaut(größe: int) -> None: ...
def _steps():
    yield 1


@pytest.mark.parametrize(
    "function", [_untyped, _many, _open, _nameless, _strange, _unknown, _misfit, _sentinel, _umlaut, _steps, print, 3]
)
def test_what_cannot_be_described_is_refused_at_once(function: Any) -> None:
    """When it is decorated, not when a model calls it."""
    with pytest.raises(TypeError):
        tool(function)


@pytest.mark.parametrize("name", ["a b", "x" * 65, "ä", "a.b", "a\n"])
def test_a_name_fits_every_vendor(name: str) -> None:
    """Letters, digits, underscore and hyphen, at most 64."""
    with pytest.raises(ValueError, match="is not a name"):
        tool(name=name)(forecast.function)  # pyrefly: ignore[bad-argument-type] it has one


def test_options_are_kept() -> None:
    """Limits and the question before a call are said where the tool is made."""

    @tool(name="wipe-disk", approve=True, timeout=5, max_bytes=10)
    def wipe() -> None:
        """Wipe it."""

    assert (wipe.name, wipe.approve, wipe.timeout, wipe.max_bytes, wipe.server) == ("wipe-disk", True, 5, 10, "")
    with pytest.raises(ValueError, match="above zero"):
        tool(timeout=0)(forecast.function)  # pyrefly: ignore[bad-argument-type] it has one


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(_JSON | st.fixed_dictionaries({"city": _JSON}, optional={"days": _JSON, "unit": _JSON}))
def test_a_check_raises_nothing_else(arguments: Any) -> None:
    """Whatever a model sends, it fits or it is bad arguments."""
    try:
        checked = forecast.check(arguments)
    except BadArguments:
        return
    assert isinstance(checked["city"], str)
    assert type(checked["days"]) is int
    assert forecast.check(checked) == checked
