"""One scale of sizes of text and one of distances, in ``tokens.css``: no style has any other."""

from __future__ import annotations

import re

from tests import ROOT

CHAT = ROOT / "assets" / "chat"
TOKENS = CHAT / "common" / "tokens.css"
# Pages and frames that are served without the bundle, and therefore without its tokens: the same values, as numbers.
OTHERS = [
    *(ROOT / "streamchat" / "web" / "sign_in").glob("*.css"),
    *(ROOT / "streamchat" / "web" / "status").glob("*.css"),
]
_DISTANCE = re.compile(r"\b((?:margin|padding)(?:-[a-z-]+)?|(?:row-|column-)?gap):\s*([^;{}]+)")
_SIZE = re.compile(r"\b(font(?:-size)?):\s*([^;{}]+)")
_ABSOLUTE = re.compile(r"(?<![\w.-])-?\d*\.?\d+(?:rem|px|pt|ch|vw|vh)\b")


def scale(name: str) -> set[float]:
    """Return the values of a scale, in rem."""
    values = re.findall(rf"--{name}-[\w-]+: ([\d.]+)rem;", TOKENS.read_text())
    assert len(values) >= 5
    return {float(value) for value in values}


def declarations(pattern: re.Pattern[str], css: str) -> list[tuple[str, str]]:
    """Return property and value of the declarations that match, without comments."""
    return pattern.findall(re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL))


def test_the_chat_takes_sizes_and_distances_from_the_tokens() -> None:
    """Lengths are tokens, or relative to the text around them (``em``); a pixel only hides what is for readers."""
    found = []
    for file in sorted(CHAT.rglob("*.css")):
        for pattern in (_DISTANCE, _SIZE) if file != TOKENS else ():
            for name, value in declarations(pattern, file.read_text()):
                if set(_ABSOLUTE.findall(value)) - {"1px", "-1px"}:
                    found.append(f"{file.relative_to(CHAT)}: {name}: {value}")
    assert found == []


def test_tokens_are_defined() -> None:
    """A name that no file defines would be no size at all."""
    defined = {name for file in CHAT.rglob("*.css") for name in re.findall(r"(--[\w-]+):", file.read_text())}
    scripts = "".join(file.read_text() for kind in ("*.ts", "*.tsx") for file in CHAT.rglob(kind))
    used = {name for file in CHAT.rglob("*.css") for name in re.findall(r"var\((--[\w-]+)\)", file.read_text())}
    assert {name for name in used - defined if f'"{name}"' not in scripts} == set()


def test_the_pages_beside_the_chat_have_values_of_the_same_scales() -> None:
    """They look like one app."""
    sizes, distances = scale("text"), scale("space")
    found = []
    for file in OTHERS:
        css = file.read_text()
        found += [f"{file.name}: {value}" for _, value in declarations(_SIZE, css) if not _fits(value, sizes)]
        found += [f"{file.name}: {value}" for _, value in declarations(_DISTANCE, css) if not _fits(value, distances)]
    assert found == []


def _fits(value: str, values: set[float]) -> bool:
    return all(float(length) in values for length in re.findall(r"([\d.]+)rem", value))
