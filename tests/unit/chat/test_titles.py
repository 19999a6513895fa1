"""Titles are one short, harmless line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamchat.chat.messages import FilePart, ImagePart, TextPart
from streamchat.chat.titles import LENGTH, UNTITLED, title_of

FAMILY = "👩\u200d👩\u200d👧\u200d👦"


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Hello", "Hello"),
        ("\n\r\n \t\nfirst  line\twith   gaps \nsecond", "first line with gaps"),
        ("\0\x1b\n\u202eok", "ok"),
        ("\ud83d half", "half"),
        ("", UNTITLED),
        ("word " * 30, "word " * 11 + "word…"),
        ("x" * 61, "x" * 59 + "…"),
        ("x" * 60, "x" * 60),
        ("漢" * 80, "漢" * 59 + "…"),
        ("a" * 57 + FAMILY, "a" * 57 + "…"),
        ("a" * 58 + "e\u0301" * 5, "a" * 58 + "…"),
        (FAMILY, FAMILY),
    ],
)
def test_the_title_of_a_text(text: str, title: str) -> None:
    """First line with something in it, cut at a word's end, never inside a character people see."""
    assert title_of([TextPart(text)]) == title


def test_the_title_without_a_text() -> None:
    """A file's name, or a general one."""
    assert title_of([TextPart(" \n"), ImagePart("image/png", "", "cat.png"), FilePart("b", "")]) == "cat.png"
    assert title_of([ImagePart("image/png", "")]) == UNTITLED
    assert title_of([TextPart(""), TextPart("second part")]) == "second part"


@given(st.text(st.characters(exclude_categories=()), max_size=300))
def test_any_text_gives_a_title(text: str) -> None:
    """Property: never empty, never long, one line, storable."""
    title = title_of([TextPart(text)])
    assert 0 < len(title) <= LENGTH
    assert title == " ".join(title.split())
    assert "\0" not in title
    title.encode()
