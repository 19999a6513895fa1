"""What the owner of a run has stored of its answer, and the result: values between ``runs/`` and ``storage/``.

Rule: every write names the fencing token (``epoch``) of its owner. The store says which rows took a write; a row that
did not has another owner, has ended or is gone, and the run must be given up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from streamchat.chat.events import Event, Timing
from streamchat.chat.messages import Message


@dataclass(frozen=True, slots=True)
class Change:
    """The new part of an answer in progress. Without ``events`` and ``message`` it is a heartbeat.

    ``after``: the seq that the row should have. ``events``: the entries after it, up to ``seq``. ``message``: the whole
    answer instead of the events, stored unless the row has a higher seq. ``upstream``: the checkpoint of the response
    that the provider generates (``runs.upstream``), empty for none; ``None`` leaves the stored one.
    """

    run_id: str
    epoch: int
    after: int
    seq: int
    events: tuple[Event, ...] = ()
    message: Message | None = None
    upstream: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class End:
    """The terminal or suspended state of an answer, with the seq of its last entry."""

    message: Message
    seq: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Timed:
    """The times of an answer that has ended: known only after its end is stored. ``timing``: ``Timing.to_json()``."""

    run_id: str
    epoch: int
    timing: Timing


@dataclass(frozen=True, slots=True)
class Written:
    """The rows that took a write.

    ``seqs``: for each changed answer that has the same owner and has not ended, the seq of its row now. ``ended``: the
    answers whose rows have the state that was to be stored.
    """

    seqs: Mapping[str, int] = field(default_factory=dict)
    ended: frozenset[str] = frozenset()
