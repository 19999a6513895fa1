"""Titles in the replies of models."""

from __future__ import annotations

import pytest

from streamchat.runs.titles import title_from


@pytest.mark.parametrize(
    ("reply", "title"),
    [
        ("Reversing lists", "Reversing lists"),
        ("\n\n# **Reversing lists.**\nand more", "Reversing lists"),
        ("Title: “Reversing lists”", "Reversing lists"),
        ("\x1b]0;Reversing\x07 lists", "]0;Reversing lists"),
        ("To reverse a list in Python, you can use the function reversed().", ""),
        ("", ""),
        ("***", ""),
    ],
)
def test_the_title_of_a_reply(reply: str, title: str):
    """Its first line without ornaments; nothing of a reply that is an answer instead of a title."""
    assert title_from(reply) == title
