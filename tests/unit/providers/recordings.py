"""Recorded provider streams, read from a folder beside the checkout where it is there."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import ROOT

FOLDER = ROOT.parent / "shared" / "recordings"


@dataclass(frozen=True, slots=True)
class Recording:
    """A stream as it came, and what the official SDKs make of it."""

    name: str
    kind: str
    body: bytes
    expected: dict[str, Any]

    @property
    def events(self) -> list[Any]:
        """The JSON of its events, as far as it is JSON."""
        found = []
        for line in self.body.replace(b"\r\n", b"\n").split(b"\n"):
            if line.startswith(b"data:") and line[5:].strip() != b"[DONE]":
                try:
                    found.append(json.loads(line[5:]))
                except ValueError:
                    continue
        return found


def recordings() -> list[Recording]:
    index = FOLDER / "expected-by-official-sdks.json"
    if not index.exists():
        return []
    fixtures = json.loads(index.read_text())["fixtures"]
    return [
        Recording(name, entry["kind"], _body(FOLDER / name, entry["kind"]), entry) for name, entry in fixtures.items()
    ]


def digest(text: str) -> str:
    return hashlib.sha1(text.encode()).hexdigest()[:12]


def _body(path: Path, kind: str) -> bytes:
    if not path.name.endswith(".chunks.txt"):
        return path.read_bytes()
    frames = []
    for line in path.read_text().split("\n"):
        if line.strip():
            name = "" if kind == "chat" else f"event: {_type(line)}\n"
            frames.append(f"{name}data: {line}\n\n")
    return ("".join(frames) + ("data: [DONE]\n\n" if kind == "chat" else "")).encode()


def _type(line: str) -> str:
    try:
        return json.loads(line).get("type", "message")
    except ValueError:
        return "message"
