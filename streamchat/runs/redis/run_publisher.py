"""Replication state of one run: the last entry that Redis has, and the commands that send the next ones.

Knows the local log; sends nothing itself. Rules:

* Entries are added only to an existing stream; one that Redis lost is created again.
* A stream of more than ``max_entries`` is trimmed: it begins with the message as it was half as many entries ago, so
  that a reader that keeps up misses nothing. One that is created again so late begins with the current message.
* An ended run expires after ``keep_seconds``. One in progress expires too, if its worker stops refreshing it.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from streamchat.defaults import RUN_ENTRIES, RUN_KEEP_BYTES, RUN_KEEP_SECONDS
from streamchat.runs.log import MemoryLog, Snapshot
from streamchat.runs.redis.connection import Command, Reply
from streamchat.runs.redis.stream import (
    EVENT,
    MESSAGE,
    entry_id,
    entry_json,
    event_json,
    message_json,
    parse_id,
    split_time,
)

LIVE_SECONDS = 2 * 3600
REFRESH_SECONDS = 600
_AT_ONCE = 200


class Limits(NamedTuple):
    """Limits of what is kept of runs.

    ``keep_seconds`` after the end, in Redis and here; ``max_entries`` of each in Redis; ``keep_bytes`` of all
    ended ones, here.
    """

    keep_seconds: float = RUN_KEEP_SECONDS
    max_entries: int = RUN_ENTRIES
    keep_bytes: int = RUN_KEEP_BYTES

    @property
    def keep(self) -> int:
        """``keep_seconds`` as the integer that Redis needs."""
        return max(1, round(self.keep_seconds))


class Item(NamedTuple):
    """A command, after which Redis has ``run`` up to entry ``seq``."""

    command: Command
    run: RunPublisher | None = None
    seq: int = 0


class RunPublisher:
    """One run. ``epoch``: our fencing token. ``seq``: the last entry that Redis has, -1 if it has none."""

    def __init__(self, local: MemoryLog, opening: Snapshot, key: str, limits: Limits, epoch: int = 0) -> None:
        self.epoch = epoch
        self.id = opening.message.id
        self.key = key
        self.seq = -1
        self._local = local
        self._opening = opening
        self._limits = limits
        # After which entries the whole message is in the stream: at its beginning, and last.
        self._start = self._whole = 0
        self._refreshed = float("-inf")

    @property
    def here(self) -> bool:
        """Whether the local log still has the run. The other methods need that."""
        return self._local.has(self.id)

    @property
    def complete(self) -> bool:
        """Whether no more entries come from here, and Redis has all of them."""
        seq, ended = self._local.reached(self.id)
        return seq == self.seq and (ended or self._local.waits(self.id))

    def next(self) -> tuple[list[Item], bool]:
        """Return the next commands, and whether they send everything that there is."""
        items: list[Item] = []
        (now, ended), seq = self._local.reached(self.id), self.seq
        if seq < 0:
            late = now - self._opening.seq > self._limits.max_entries
            start = self._local.snapshot(self.id) if late else self._opening
            items.append(self._put(start, "XADD", self.key))
            seq = self._start = start.seq
        entries = self._local.entries_after(self.id, seq)
        assert not isinstance(entries, Snapshot)
        for entry in entries[:_AT_ONCE]:
            seq = entry.seq
            number = entry_id(self.epoch, seq)
            command = ("XADD", self.key, "NOMKSTREAM", number, EVENT, entry_json(entry.event, entry.at))
            items.append(Item(command, self, seq))
        if seq == now and not ended and seq - self._whole > self._limits.max_entries // 2:
            items += self._cut()
        if seq == now and ended:
            items.append(Item(("EXPIRE", self.key, self._limits.keep)))
        elif (time := asyncio.get_running_loop().time()) - self._refreshed > REFRESH_SECONDS:
            self._refreshed = time
            items.append(Item(("EXPIRE", self.key, LIVE_SECONDS)))
        return items, seq == now

    def lost(self) -> None:
        """Record that Redis does not have the stream any more."""
        self.seq = -1
        self._refreshed = float("-inf")

    def compare(self, newest: Reply) -> bool:
        """Record the last entry that Redis has (a reply to ``XREVRANGE``). Returns ``False`` if it is not ours."""
        if not newest:
            self.lost()
            return True
        ((last_id, (_, value)),) = newest
        epoch, number, whole = parse_id(last_id)
        if epoch != self.epoch:  # that of another owner: the former one, or one that took the run from us
            self.lost()
            return epoch < self.epoch
        mine = self._local.entries_after(self.id, number - 1) if number and not whole else []
        if isinstance(mine, Snapshot) or (number and not whole and not mine):
            return False
        if mine and event_json(mine[0].event).encode() != split_time(value)[0]:
            return False
        self.seq = number
        return True

    def _cut(self) -> list[Item]:
        before = self._whole
        items = [self._put(self._local.snapshot(self.id), "XADD", self.key, "NOMKSTREAM")]
        if before > self._start:
            items.append(Item(("XTRIM", self.key, "MINID", entry_id(self.epoch, before, whole=True))))
            self._start = before
        return items

    def _put(self, whole: Snapshot, *command: str) -> Item:
        self._whole = whole.seq
        number = entry_id(self.epoch, whole.seq, whole=True)
        return Item((*command, number, MESSAGE, message_json(whole.message)), self, whole.seq)
