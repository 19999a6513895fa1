"""Options in a message that control the answer: ``n=500 rate=50 fault=reset at=100``.

Knows nothing of scenes or texts. Rules:

* If an option is repeated, the last one counts.
* An invalid number is taken for prose and ignored.
* An unknown ``fault``, ``kind``, ``chunk``, ``args`` or ``wire`` raises ``UnknownWord``, because a test that misspells
  its fault must not pass.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass

BEFORE = frozenset(
    "rate-limited overloaded bad-key context-too-long html empty hang endless-header slow-headers quota".split()
)
"""Faults that replace the stream (``slow-headers`` only delays it)."""
DURING = frozenset(
    "overloaded-after error-event stall reset cut bad-json bad-utf8 huge-chunk "
    "refusal content-filter max-tokens pause".split()
)
"""Faults after ``at`` tokens."""
AFTER = frozenset(("no-done", "stay-open"))
"""Faults at the end of the stream."""
FAULTS = BEFORE | DURING | AFTER
KINDS = ("numbered", "markdown", "echo")
CHUNKS = ("token", "byte", "burst", "split")
ARGS = ("valid", "invalid", "truncated", "mismatch", "list", "big")
WIRES = ("chat", "responses", "anthropic")

_CHOICES: Mapping[str, frozenset[str] | tuple[str, ...]] = {
    "fault": FAULTS,
    "kind": KINDS,
    "chunk": CHUNKS,
    "args": ARGS,
    "wire": WIRES,
}
_LIMITS: Mapping[str, float] = {
    "n": 1_000_000,
    "rate": 1_000_000,
    "ttft": 3_600_000,
    "jitter": 3_600_000,
    "speed": 1_000_000,
    "seed": 1 << 31,
    "at": 1_000_000,
    "ok_after": 1000,
    "retry_after": 10_000_000,
    "size": 1 << 30,
    "calls": 100,
}
_WORD = re.compile(rf"(?<!\S)({'|'.join((*_CHOICES, *_LIMITS))}|tools)=([^\s,;]+)")


class UnknownWord(ValueError):
    """An option has an unknown value. The text is the error message."""


@dataclass(frozen=True, slots=True)
class Words:
    """The options of one message. ``None``: not set, so the scene's default applies.

    ``n``, ``at``, ``ok_after`` and ``calls`` are counts. ``rate``: tokens per second, 0 for no delay. ``ttft``:
    milliseconds. ``jitter``: milliseconds by which a token is late at most. ``speed``: of a replay, as a factor; 0 for
    no delay. ``retry_after``: seconds. ``size``: bytes of a huge chunk. ``tools``: names of the tools to call in turn
    (``tools=one+two``).
    """

    n: int | None = None
    rate: float | None = None
    ttft: float | None = None
    jitter: float = 0
    kind: str | None = None
    speed: float = 1
    chunk: str | None = None
    seed: int = 1
    fault: str | None = None
    at: int | None = None
    ok_after: int | None = None
    retry_after: float = 2
    size: int = 100_000_000
    calls: int | None = None
    args: str = "valid"
    tools: tuple[str, ...] = ()
    wire: str | None = None


def find(text: str) -> dict[str, str]:
    """Return the options in a text as names and raw values. Invalid numbers are left out."""
    options = {}
    for name, value in _WORD.findall(text):
        value = value if name in _CHOICES else value.rstrip(".?!)")
        if name in (*_CHOICES, "tools") or _number(value) is not None:
            options[name] = value
    return options


def parse(text: str) -> Words:
    """Parse the options in a message. Raises ``UnknownWord``."""
    values: dict[str, object] = {}
    for name, value in find(text).items():
        if name == "tools":
            values[name] = tuple(part for part in value.split("+") if part)
        elif (choices := _CHOICES.get(name)) is None:
            number = min(_number(value) or 0, _LIMITS[name])
            values[name] = number if name in ("rate", "ttft", "jitter", "speed", "retry_after") else int(number)
        elif value in choices:
            values[name] = value
        else:
            near = difflib.get_close_matches(value, choices, 1, 0.5)
            hint = f" Did you mean {name}={near[0]}?" if near else ""
            raise UnknownWord(f"The simulator does not know {name}={value[:40]}.{hint}")
    return Words(**values)  # pyrefly: ignore[bad-argument-type] names and types are those above


def _number(value: str) -> float | None:
    return float(value) if re.fullmatch(r"\d{1,12}(\.\d{1,6})?", value) else None
