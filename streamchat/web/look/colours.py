"""Colours made from one accent, so that they can be read on both themes. Pure.

Contrast is that of WCAG 2: the ratio of the relative luminances, from 1 to 21; 4.5 is enough for text.
"""

from __future__ import annotations

Colour = tuple[float, float, float]
TEXT_CONTRAST = 4.5
_STEPS = 40
_BLACK, _WHITE = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)


def styles(accent: str, light: str, dark: str) -> str:
    """Return CSS that sets the tokens of the accent. ``light`` and ``dark``: the colour of the page in each theme."""
    base = parse(accent)
    day = _readable(base, parse(light), _BLACK)
    night = _readable(base, parse(dark), _WHITE)
    by_day = _rule(":root:root", day, parse(light), _BLACK)
    by_night = _rule(":root.dark", night, parse(dark), _WHITE)
    # Pages without the choice of a theme have that of the system.
    by_system = _rule(":root:not(.light):not(.dark)", night, parse(dark), _WHITE)
    return f"{by_day}@media screen{{{by_night}}}@media screen and (prefers-color-scheme:dark){{{by_system}}}\n"


def _rule(selector: str, accent: Colour, page: Colour, away: Colour) -> str:
    on_accent = max((_WHITE, mix(accent, _BLACK, 0.85)), key=lambda colour: contrast(colour, accent))
    tokens = {
        "accent": accent,
        "accent-strong": mix(accent, away, 0.2),
        "on-accent": on_accent,
        "accent-wash": mix(page, accent, 0.14),
        "plot-1": accent,
    }
    return selector + "{" + "".join(f"--{name}:{written(colour)};" for name, colour in tokens.items()) + "}"


def _readable(colour: Colour, page: Colour, away: Colour) -> Colour:
    """Return the colour, moved away from the page's until text in it can be read there."""
    for step in range(_STEPS + 1):
        moved = mix(colour, away, step / _STEPS)
        if contrast(moved, page) >= TEXT_CONTRAST + 0.3:  # some is lost to the wash behind it
            return moved
    return away


def parse(text: str) -> Colour:
    """Return the colour of ``#rrggbb``."""
    red, green, blue = (int(text[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return red, green, blue


def written(colour: Colour) -> str:
    """Return the colour as ``#rrggbb``."""
    return "#" + "".join(f"{round(part * 255):02x}" for part in colour)


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """Return a colour between two: ``share`` (0 to 1) of it is the other one."""
    red, green, blue = (a + (b - a) * share for a, b in zip(one, other, strict=True))
    return red, green, blue


def contrast(one: Colour, other: Colour) -> float:
    """Return the contrast of two colours."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: Colour) -> float:
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
