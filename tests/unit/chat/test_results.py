"""A tool's result is shown as what it is, and told to a model in words that it can use."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from streamchat.chat.messages import FilePart, ImagePart
from streamchat.chat.tool_results import files_in, for_model, pictures_in, view_of, with_pictures

TABLE = {"$view": "table", "columns": ["a"], "rows": [[1]]}
IMAGE = {"$view": "image", "media_type": "image/png", "data": "aGk=", "name": "x"}
STORED = {"$view": "image", "media_type": "image/png", "file_id": "f-1", "name": "x", "bytes": 2, "width": 3}
CONTENT = {"$view": "content", "items": ["look", IMAGE, {"a": 1}, STORED]}
PLOT = {"$view": "plot", "kind": "line", "title": "T", "series": [{"name": "s", "points": [[1, 2]]}]}


@pytest.mark.parametrize(
    ("result", "view"),
    [
        ("<script>", "text"),
        (None, "json"),
        ([1], "json"),
        ({"a": 1}, "json"),
        (TABLE, "table"),
        (IMAGE, "image"),
        (PLOT, "plot"),
        (STORED, "image"),
        (CONTENT, "content"),
        ({**STORED, "file_id": "../x"}, "json"),
        ({**STORED, "file_id": 3}, "json"),
        ({**STORED, "width": "3"}, "json"),
        ({**CONTENT, "items": "ab"}, "json"),
        ({**CONTENT, "items": [CONTENT]}, "json"),
        ({**TABLE, "rows": [[1, 2]]}, "json"),
        ({**TABLE, "rows": "ab"}, "json"),
        ({**TABLE, "columns": [1]}, "json"),
        ({"$view": "table"}, "json"),
        ({**IMAGE, "media_type": "image/svg+xml"}, "json"),
        ({**IMAGE, "media_type": ["image/png"]}, "json"),
        ({**IMAGE, "data": 'x" onerror="'}, "json"),
        ({**IMAGE, "data": None}, "json"),
        ({**PLOT, "kind": "pie"}, "json"),
        ({**PLOT, "series": [{"name": "s", "points": [[1]]}]}, "json"),
        ({**PLOT, "series": [{"name": "s", "points": [[1, float("nan")]]}]}, "json"),
        ({**PLOT, "series": [{"name": "s", "points": [[1, True]]}]}, "json"),
        ({**PLOT, "series": [3]}, "json"),
        ({**PLOT, "title": 3}, "json"),
        ({"$view": ["table"]}, "json"),
    ],
)
def test_a_view_is_believed_only_as_a_whole(result: Any, view: str) -> None:
    """What only claims to be a table, a picture or a plot is shown as the JSON that it is."""
    assert view_of(result) == view


def test_text_and_json_are_told_as_they_are() -> None:
    """A model reads what the tool returned."""
    assert for_model("hello") == "hello"
    assert for_model({"ä": [1]}) == '{"ä": [1]}'
    assert json.loads(for_model(TABLE)) == {"columns": ["a"], "rows": [[1]]}


def test_a_picture_s_bytes_are_not_told_as_text() -> None:
    """They would cost thousands of tokens and say nothing."""
    told = for_model({**IMAGE, "data": "QUJD" * 1000})
    assert "QUJD" not in told
    assert "3,000 bytes" in told


def test_several_things_are_told_one_below_the_other() -> None:
    """Text, a picture, JSON."""
    assert for_model(CONTENT).split("\n") == [
        "look",
        "A picture (image/png, 2 bytes, x) is shown to the person.",
        '{"a": 1}',
        "A picture (image/png, 2 bytes, x) is shown to the person.",
    ]


def test_pictures_are_found_and_replaced() -> None:
    """At the top, or as an item; nothing else is looked through, and what does not change is the same object."""
    assert [(one.data, one.file_id) for one in pictures_in(CONTENT)] == [("aGk=", ""), ("", "f-1")]
    assert pictures_in({"a": IMAGE}) == pictures_in("x") == pictures_in([IMAGE]) == []
    assert with_pictures(CONTENT, lambda one: one) is CONTENT
    named = with_pictures(IMAGE, lambda one: replace(one, data="", file_id="f-2", height=4))
    assert named == {"$view": "image", "media_type": "image/png", "name": "x", "bytes": 2, "file_id": "f-2",
                     "height": 4}  # fmt: skip
    assert pictures_in(named) == [ImagePart("image/png", name="x", file_id="f-2", height=4)]
    gone = with_pictures(CONTENT, lambda one: f"[{one.name}]")
    assert gone == {"$view": "content", "items": ["look", "[x]", {"a": 1}, "[x]"]}
    assert with_pictures(STORED, lambda one: "gone") == "gone"


@pytest.mark.parametrize(
    "item",
    [{"x": 1}, {"name": 3}, {"text": "a"}, {"url": None}, {"data": ["a"]}, {"$view": "content"}],
    ids=str,
)
def test_what_only_claims_to_be_a_file_is_json(item: Any) -> None:
    """It comes from a file that is imported, or from a client: nothing of it can fail."""
    result = {"$view": "content", "items": ["text", {"$view": "file", **item}]}
    assert files_in(result) == []
    assert files_in({"$view": "content", "items": 3}) == files_in({"$view": "content"}) == []
    assert files_in({"$view": "content", "items": [{"$view": "file", "name": "a"}]}) == [FilePart("a")]


def test_a_long_plot_is_told_in_short() -> None:
    """The first points, and the range of all."""
    points = [[n, n * n] for n in range(1000)]
    told = for_model({**PLOT, "series": [{"name": "s", "points": points}]})
    assert len(told) < 1000
    assert '"of": 1000' in told
    assert '"most": 998001' in told
