"""One answer up to any entry of its log: what recordings, forks and branches of an answer begin with.

Knows the log and the store. Rule: the entries are in the log only, for a while after the end (``log``). Later an answer
can be had as a whole, and at no entry before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from streamchat.chat.fold import fold
from streamchat.chat.messages import Message
from streamchat.errors import InvalidInput, NotFound
from streamchat.runs.log import Entry
from streamchat.runs.reader import Runs

NOT_KEPT = "The events of this answer are not kept any more, only its text."


@dataclass(frozen=True, slots=True)
class Cut:
    """An answer after entry ``seq``, with the entries that are kept up to there.

    ``began``: the answer before the first of them. ``opened_at``: when its run was opened, in Unix seconds;
    ``None``: not known.
    """

    seq: int
    message: Message
    began: Message
    entries: Sequence[Entry]
    opened_at: float | None


async def cut_at(runs: Runs, owner: str, run_id: str, seq: float = inf) -> Cut:
    """Return an answer of this owner up to entry ``seq``, or up to where it is now.

    Raises ``NotFound`` if the log does not have the entries any more, ``InvalidInput`` if the answer has none with this
    number.
    """
    await runs.get(owner, run_id)  # it is theirs, and in this log if it is in any
    log = runs.log
    try:
        start, now = log.start(run_id), log.snapshot(run_id)
        entries = log.entries_after(run_id, start.seq)
        opened_at = log.opened_at(run_id)
    except NotFound:
        raise NotFound(NOT_KEPT) from None
    if seq < start.seq or not isinstance(entries, list):
        raise NotFound(NOT_KEPT)
    if now.seq < seq < inf:
        raise InvalidInput(f"This answer has no event {seq:.0f}; the last one is {now.seq}.")
    kept = [entry for entry in entries if entry.seq <= seq]
    message = fold(start.message, (entry.event for entry in kept))
    return Cut(kept[-1].seq if kept else start.seq, message, start.message, kept, opened_at)
