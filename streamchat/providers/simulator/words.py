"""The words in a message that set how it is answered: ``n=500 rate=50 fault=reset at=100``.

Knows nothing of scenes or texts. Rules: the last of two equal words holds; a number that is none is prose and
ignored; a ``fault``, ``kind``, ``chunk``, ``args`` or ``wire`` that does not exist raises ``UnknownWord``,
because a test that misspells its fault must not pass.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass

BEFORE = frozenset(
    "rate-limited overloaded bad-key context-too-long html empty hang endless-header slow-headers quota".split()
)
"""Faults that come instead of a stream (``slow-headers`` only delays it)."""
DURING = frozenset(
    "overloaded-after error-event stall reset cut bad-json bad-utf8 huge-chunk "
    "refusal content-filter max-tokens pause".split()
)
"""Faults that come after ``at`` tokens."""
AFTER = frozenset(("no-done", "stay-open"))
"""Faults of the very end."""
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
    "seed": 1 << 31,
    "at": 1_000_000,
    "ok_after": 1000,
    "retry_after": 10_000_000,
    "size": 1 << 30,
    "calls": 100,
}
_WORD = re.compile(rf"(?<!\S)({'|'.join((*_CHOICES, *_LIMITS))}|tools)=([^\s,;]+)")


class UnknownWord(ValueError):
    """A choice that does not exist; the text is a sentence."""


@dataclass(frozen=True, slots=True)
class Words:
    """``None``: not said, the scene decides. ``n``, ``at``, ``ok_after``, ``calls``: counts; ``rate``: tokens/s,
    0 for as fast as possible; ``ttft``: ms; ``retry_after``: seconds; ``size``: bytes of a huge chunk; ``tools``: names
    of the tools to call, in turn (``tools=one+two``)."""

    n: int | None = None
    rate: float | None = None
    ttft: float | None = None
    kind: str | None = None
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
    """Every word in the text that has a meaning here and a value that can have one."""
    found = {}
    for name, value in _WORD.findall(text):
        value = value if name in _CHOICES else value.rstrip(".?!)")
        if name in (*_CHOICES, "tools") or _number(value) is not None:
            found[name] = value
    return found


def parse(text: str) -> Words:
    """The words of a message. Raises ``UnknownWord``."""
    values: dict[str, object] = {}
    for name, value in find(text).items():
        if name == "tools":
            values[name] = tuple(part for part in value.split("+") if part)
        elif (choices := _CHOICES.get(name)) is None:
            number = min(_number(value) or 0, _LIMITS[name])
            values[name] = number if name in ("rate", "ttft", "retry_after") else int(number)
        elif value in choices:
            values[name] = value
        else:
            near = difflib.get_close_matches(value, choices, 1, 0.5)
            hint = f" Did you mean {name}={near[0]}?" if near else ""
            raise UnknownWord(f"The simulator does not know {name}={value[:40]}.{hint}")
    return Words(**values)  # pyright: ignore[reportArgumentType] names and types are those above


def _number(value: str) -> float | None:
    return float(value) if re.fullmatch(r"\d{1,12}(\.\d{1,6})?", value) else None
