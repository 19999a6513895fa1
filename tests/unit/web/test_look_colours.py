"""An operator's accent can be read on both themes, whatever colour it is."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from streamchat.web.look import PAGE_DARK, PAGE_LIGHT
from streamchat.web.look.colours import contrast, parse, styles

colours = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")


def tokens(css: str, selector: str) -> dict[str, str]:
    rule = css.split(selector + "{", 1)[1].split("}", 1)[0]
    return dict(re.findall(r"--([a-z0-9-]+):(#[0-9a-f]{6});", rule))


@given(colours)
def test_text_in_the_accent_and_on_it_can_be_read(accent: str) -> None:
    """At least 4.5 to 1 on the page, on its wash, and for the text of a button."""
    css = styles(accent, PAGE_LIGHT, PAGE_DARK)
    for selector, page in ((":root:root", PAGE_LIGHT), (":root.dark", PAGE_DARK)):
        found = tokens(css, selector)
        ink = parse(found["accent"])
        assert contrast(ink, parse(page)) >= 4.5
        assert contrast(parse(found["on-accent"]), ink) >= 4.5
        assert contrast(parse(found["accent-strong"]), parse(found["accent-wash"])) >= 4.5


def test_a_colour_that_can_be_read_stays_as_it_is() -> None:
    """The built-in accent of the light theme is not changed."""
    assert tokens(styles("#0f766e", PAGE_LIGHT, PAGE_DARK), ":root:root")["accent"] == "#0f766e"
