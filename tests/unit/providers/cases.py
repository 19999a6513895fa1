"""Streams rebuilt from public bug reports, read from a folder beside the checkout if it is there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests import ROOT

FOLDER = ROOT.parent / "shared" / "cases" / "provider"


@dataclass(frozen=True, slots=True)
class Case:
    """The body of a provider's answer, and what it must give."""

    name: str
    body: bytes
    about: dict[str, Any]

    @property
    def dialect(self) -> str:
        return self.about["dialect"]

    @property
    def expected(self) -> list[dict[str, Any]]:
        """Every outcome that is right."""
        expect = self.about["expect"]
        also = expect.get("also_ok") or {}
        return [{**expect, **fields} for fields in ({}, also, *({name: value} for name, value in also.items()))]


def cases() -> list[Case]:
    """All cases, none if the folder is not there."""
    return [
        Case(path.stem, path.with_suffix(".sse").read_bytes(), json.loads(path.read_text()))
        for path in sorted(FOLDER.glob("*.json"))
    ]
