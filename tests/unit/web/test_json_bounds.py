"""Bounds of a JSON body: counted exactly, wherever the text is cut, and quickly."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamchat.errors import StreamchatError
from streamchat.web.json_bounds import JsonBounds

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text('ab"\\,[]{}:\n é'),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('ab"\\,[]{}'), inner, max_size=4),
    max_leaves=20,
)


def size(value: Any) -> tuple[int, int]:
    """Containers and commas of a value, and how deep it is."""
    if not isinstance(value, list | dict):
        return 0, 0
    items = [size(item) for item in (value.values() if isinstance(value, dict) else value)]
    count = 1 + max(0, len(items) - 1) + sum(count for count, _ in items)
    return count, 1 + max((depth for _, depth in items), default=0)


def scan(text: bytes, cut: int, values: int, depth: int) -> str | None:
    bounds = JsonBounds(values, depth)
    try:
        for at in range(0, len(text), cut):
            bounds.feed(text[at : at + cut])
    except StreamchatError as error:
        return error.user_message
    return None


@given(VALUES, st.integers(1, 9), st.booleans())
def test_the_bounds_are_exact(value: Any, cut: int, ascii_only: bool) -> None:
    """Strings with quotes, backslashes and brackets count nothing; the cut is anywhere, within an escape too."""
    text = json.dumps(value, ensure_ascii=ascii_only).encode()
    count, depth = size(value)
    assert scan(text, cut, count, depth) is None
    if count:
        assert "values" in str(scan(text, cut, count - 1, depth))
        assert "deeper" in str(scan(text, cut, count, depth - 1))


@pytest.mark.parametrize(
    "text",
    [b'"', b"\\", b'{"a', b"}}}}", b"]][[", b'\\"', b"\xff\xfe", b"", b'{"a":"\\u005c"}', b"[" * 101 + b"]" * 101],
)
def test_what_is_no_json_raises_nothing_else(text: bytes) -> None:
    """Whatever it is, it is counted or refused."""
    for cut in (1, 2, 1000):
        scan(text, cut, 1000, 100)


def test_depth_is_that_of_the_whole_body() -> None:
    """Many shallow values are no depth; one that comes after thousands of them is."""
    shallow = b"[" + b"[[]]," * 3000
    assert scan(shallow + b"0]", 997, 100_000, 4) is None
    assert "deeper" in str(scan(shallow + b"[" * 99, 997, 100_000, 99))
