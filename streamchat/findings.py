"""Findings: the result of one check, and how a list of them is printed. Used by ``doctor`` and ``deploy check``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

State = Literal["ok", "off", "failed"]
MARKS = {"ok": "ok    ", "off": "-     ", "failed": "FAILED"}


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of a check. State *off*: not installed or not set up, which is not a failure."""

    topic: str
    state: State
    text: str


def print_findings(findings: Sequence[Finding], *, as_json: bool) -> int:
    """Print the findings, one per line or as JSON. Returns the exit code: 1 if one of them is *failed*."""
    failed = any(finding.state == "failed" for finding in findings)
    if as_json:
        _say(json.dumps({"ok": not failed, "findings": [asdict(finding) for finding in findings]}, indent=2))
    else:
        width = max((len(finding.topic) for finding in findings), default=0)
        for finding in findings:
            _say(f"{MARKS[finding.state]}  {finding.topic:{width}}  {finding.text}")
    return int(failed)


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 the terminal is this module's page
