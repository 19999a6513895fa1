"""Journal of the simulator: one record per request, with the times and the text of what was sent.

Knows no sockets. Rules: times are seconds since the epoch (``time.time()``), so that another process on the machine
can compare them; the number of records, and the token times and text per record, are bounded.
"""

from __future__ import annotations

import hashlib
import time
from array import array
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

from streamchat.simulator.steps import TOKENS, Step, Text, joined

_REQUESTS = 200
_TIMES = 20_000
_TEXT = 2_000_000
_KEYS = 5_000


@dataclass
class Record:
    """One request and its response. ``emits``: the time of each token; ``pieces``: its text. Times in epoch seconds.

    ``asked``: the parameters of the request, without its conversation. ``pictures``: how many that has.
    """

    id: int
    scene: str
    format: str
    message: str
    stream: bool
    attempt: int
    started: float
    status: int | None = None
    fault: str | None = None
    first_token_at: float | None = None
    last_token_at: float | None = None
    tokens_sent: int = 0
    closed_by: str | None = None
    closed_at: float | None = None
    asked: dict[str, Any] = field(default_factory=dict)
    pictures: int = 0
    emits: array[float] = field(default_factory=lambda: array("d"))
    pieces: list[str] = field(default_factory=list)
    length: int = 0

    def sent(self, step: Step, at: float) -> None:
        """Record that a step was sent at the time ``at``. Counts tokens only."""
        if not isinstance(step, TOKENS):
            return
        self.tokens_sent += 1
        self.first_token_at = self.first_token_at or at
        self.last_token_at = at
        if len(self.emits) < _TIMES:
            self.emits.append(at)
        if isinstance(step, Text):
            self.length += len(step.text)
            if self.length <= _TEXT:
                self.pieces.append(step.text)

    def closed(self, by: str) -> None:
        """Record that ``client`` or ``server`` ended the response. Only the first call counts."""
        if self.closed_by is None:
            self.closed_by, self.closed_at = by, time.time()

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON. ``text`` is the text as sent, or ``None`` if it was too long to keep."""
        text = joined("".join(self.pieces)) if self.length <= _TEXT else None
        data = {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in ("emits", "pieces")}
        data["text"] = text
        data["text_sha"] = hashlib.sha256(text.encode()).hexdigest() if text is not None else None
        data["emits"] = self.emits.tolist()
        return data


class Journal:
    """The most recent records, and a counter of attempts per message."""

    def __init__(self) -> None:
        self._records: deque[Record] = deque(maxlen=_REQUESTS)
        self._counts: Counter[tuple[str, str]] = Counter()
        self._number = 0

    def open(self, key: tuple[str, str], format: str, message: str, stream: bool) -> Record:
        """Add and return a record. Its ``attempt`` is the number of earlier requests with the same key."""
        if len(self._counts) >= _KEYS:
            self._counts.clear()
        self._number += 1
        record = Record(self._number, key[0], format, message[:200], stream, self._counts[key], time.time())
        self._counts[key] += 1
        self._records.append(record)
        return record

    def to_json(self, after: int = 0, limit: int = 50) -> dict[str, Any]:
        """Return at most ``limit`` of the newest records with an id above ``after``, oldest first, and the time now."""
        records = [record for record in self._records if record.id > after][-limit:]
        return {"now": time.time(), "requests": [record.to_json() for record in records]}
