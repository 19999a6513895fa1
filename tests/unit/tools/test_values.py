"""What a tool may return, and what is refused with a sentence."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from streamchat.chat.tool_results import view_of
from streamchat.tools import Image, Plot, Series, Table, tool
from streamchat.tools.values import MAX_PICTURE_BYTES, BadResult, to_result
from tests.unit.tools.running import result_of

LIMIT = 256 * 1024


class Point(BaseModel):
    x: int


@dataclass
class Pair:
    left: Any
    right: Any


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (1.5, 1.5),
        ("<b>bold</b>", "<b>bold</b>"),
        ("half \ud83d", "half \ufffd"),
        ([1, (2, {3})], [1, [2, [3]]]),
        ({1: "a", None: "b", "c": {}}, {"1": "a", "None": "b", "c": {}}),
        (Point(x=1), {"x": 1}),
        (Pair(Point(x=1), [Pair(1, 2)]), {"left": {"x": 1}, "right": [{"left": 1, "right": 2}]}),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
    ],
)
def test_json_stays_what_it_is(value: Any, expected: Any) -> None:
    """Text is text, also where it looks like HTML; models and dataclasses are objects."""
    assert to_result(value, LIMIT) == expected


def test_a_table_has_columns_and_rows() -> None:
    """Rows of mappings bring their columns; a cell that is missing is null."""
    assert to_result(Table([{"a": 1}, {"a": 2, "b": "x"}]), LIMIT) == {
        "$view": "table",
        "columns": ["a", "b"],
        "rows": [[1, None], [2, "x"]],
    }
    plain = to_result(Table([[1, 2]], columns=["a", "b"]), LIMIT)
    assert (plain["rows"], view_of(plain)) == ([[1, 2]], "table")
    assert view_of(to_result(Table([]), LIMIT)) == "table"


def test_a_picture_is_base64() -> None:
    """With its type and name."""
    picture = to_result(Image(b"\x89PNG", name="x.png"), LIMIT)
    assert base64.b64decode(picture["data"]) == b"\x89PNG"
    assert (view_of(picture), picture["media_type"], picture["name"]) == ("image", "image/png", "x.png")


def test_pictures_in_a_list_are_items() -> None:
    """With what is between them; a picture inside of something is an item behind it."""
    dot = Image(b"\x89PNG", name="x.png")
    picture = to_result(dot, LIMIT)
    items = to_result(["look", dot, {"a": 1}, Table([{"a": 1}])], LIMIT)["items"]
    assert items[:3] == ["look", picture, {"a": 1}]
    assert view_of(items[3]) == "table"
    inside = to_result({"chart": dot, "more": [1, {"again": dot}]}, LIMIT)
    assert inside == {"$view": "content", "items": [
        {"chart": "[picture 1]", "more": [1, {"again": "[picture 2]"}]}, picture, picture
    ]}  # fmt: skip


def test_pictures_have_a_limit_of_their_own() -> None:
    """They are stored as files, so the limit of the text does not count them."""
    large = Image(bytes(LIMIT))
    assert view_of(to_result(["two", large, large], LIMIT)) == "content"
    with pytest.raises(BadResult, match="more than 10 MB"):
        to_result([Image(bytes(MAX_PICTURE_BYTES // 2)), Image(bytes(MAX_PICTURE_BYTES // 2 + 3))], LIMIT)
    with pytest.raises(BadResult, match="more than 20 pictures"):
        to_result([Image(b"x")] * 21, LIMIT)
    with pytest.raises(BadResult, match="larger than"):
        to_result(["x" * LIMIT, large], LIMIT)


def test_a_plot_has_series_of_points() -> None:
    """Numbers, or labels and numbers."""
    plot = to_result(Plot([Series("a", [(1, 2.5), (2, 3)])], kind="bar", title="T"), LIMIT)
    assert plot["series"] == [{"name": "a", "points": [[1, 2.5], [2, 3]]}]
    assert (view_of(plot), plot["kind"], plot["title"], plot["x_label"]) == ("plot", "bar", "T", "")


def _deep() -> Any:
    value: Any = []
    for _ in range(10_000):
        value = [value]
    return value


def _circle() -> Any:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (object(), "type object"),
        (b"bytes", "type bytes"),
        (float("nan"), "nan"),
        ({"x": [float("inf")]}, "inf"),
        ({(1, 2): 1}, "type tuple"),
        (10**5000, "digits"),
        (_deep(), "deeply"),
        (_circle(), "deeply"),
        ((n for n in range(3)), "type generator"),
        (Table([[1, 2]]), "names of its columns"),
        (Table([[1]], columns=["a", "b"]), "1 cells for 2 columns"),
        (Image(b"<svg/>", "image/svg+xml"), r"image/svg\+xml"),
        (Plot([Series("a", [(1, "x")])]), "no number"),  # pyrefly: ignore[bad-argument-type] is what is tested
        (Plot([Series("a", [(1, float("nan"))])]), "nan"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
async def test_what_has_no_json_form_is_an_error_result(value: Any, told: str) -> None:
    """The sentence says what it was."""
    with pytest.raises(BadResult, match=told):
        to_result(value, LIMIT)

    @tool
    async def returns() -> Any:
        return value

    result = await result_of(returns)
    assert (result.state, result.result) == ("error", None)


@pytest.mark.parametrize(
    "value",
    ["x" * 50_000_000, ["x" * 1000] * 1000, {"a": "ä" * 200_000}, list(range(10**6)), Image(b"x" * 10**7 + b"x")],
    ids=["text", "list", "wide", "numbers", "picture"],
)
async def test_a_result_beyond_the_limit_is_an_error_that_says_so(value: Any) -> None:
    """Nothing of 50 MB gets into the log."""

    @tool
    async def returns() -> Any:
        return value

    result = await result_of(returns)
    assert (result.state, result.result) == ("error", None)
    assert re.search("larger than 256 KB|more than 10 MB", result.error or "")


class Endless(Sequence[int]):
    """Says that it is long, and counts what is taken."""

    taken = 0

    def __len__(self) -> int:
        return 10**9

    def __getitem__(self, index: Any) -> Any:
        self.taken += 1
        return index


def test_what_is_beyond_the_limit_is_not_looked_at() -> None:
    """Refusing costs what is allowed, not what was returned."""
    endless = Endless()
    with pytest.raises(BadResult, match="larger than"):
        to_result(endless, LIMIT)
    assert endless.taken <= LIMIT


def test_the_limit_is_that_of_the_json_text() -> None:
    """To the byte."""
    assert to_result("x" * 98, 100) == "x" * 98
    with pytest.raises(BadResult):
        to_result("x" * 99, 100)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.dates(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner),
    max_leaves=20,
)


@given(_VALUES)
def test_what_comes_out_is_json(value: Any) -> None:
    """Whatever a tool returns, the result is JSON that comes back equal, or it is refused."""
    try:
        result = to_result(value, 1000)
    except BadResult:
        return
    text = json.dumps(result, allow_nan=False, ensure_ascii=False)
    assert json.loads(text.encode()) == result
    assert len(text.encode()) <= 1000
