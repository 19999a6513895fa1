"""The matrix of docs/clients.md: each mark leads to a test that exists, with the parameters that it names."""

from __future__ import annotations

import re

import pytest

from tests import ROOT

PAGE = (ROOT / "docs" / "clients.md").read_text()
ROWS = re.findall(r"^\| (?!client|---)([^|]+?) \| (.+\[(?:✓|key)\].+) \|$", PAGE, re.MULTILINE)
CELL = re.compile(r'\[(?:✓|key)\]\(\.\./(tests/[^ )]+) "([^"]+)"\)')
FEATURES = 6


def test_there_is_a_matrix() -> None:
    """With every client that is tested by its own package."""
    source = (ROOT / "tests" / "system" / "clients" / "test_python_clients.py").read_text()
    tested = re.findall(r'^    "([\w.-]+)": \("(?:today|a year ago)"', source, re.MULTILINE)
    assert len(tested) >= 9
    assert len(ROWS) > len(tested)
    for client in tested:
        assert f"[{client}]" in PAGE


@pytest.mark.parametrize(("client", "row"), ROWS, ids=[row[0] for row in ROWS])
def test_a_mark_is_a_test(client: str, row: str) -> None:
    """Six cells, each a mark or a dash."""
    cells = row.split(" | ")
    assert len(cells) == FEATURES
    for cell in cells:
        if cell == "–":
            continue
        match = CELL.fullmatch(cell)
        assert match, cell
        source = (ROOT / match[1]).read_text()
        name, _, parameter = match[2].partition("[")
        if match[1].endswith(".py"):
            assert re.search(rf"^ *(async )?def {re.escape(name)}\(", source, re.MULTILINE), match[2]
            assert not parameter or f'"{parameter.removesuffix("]")}"' in source, match[2]
        else:
            assert f'"{name}"' in source, match[2]
