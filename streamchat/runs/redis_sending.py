"""How far Redis has one run that is written here, and the commands that bring it further.

Knows the local log; sends nothing itself. Rules:

* Only a stream that is there is added to; one that Redis lost is begun anew.
* A stream of more than ``max_entries`` is cut: it begins with the message as it was half as many entries ago, so
  that a reader who keeps up misses nothing. One that is begun anew that late begins with the message as it is.
* An ended run expires after ``keep_seconds``; one under way is refreshed now and then, should its worker vanish.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from streamchat.runs.log import MemoryLog, Snapshot
from streamchat.runs.redis_link import Command, Reply
from streamchat.runs.redis_stream import EVENT, MESSAGE, event_json, message_json, place

LIVE_SECONDS = 2 * 3600
REFRESH_SECONDS = 600
_AT_ONCE = 200


class Limits(NamedTuple):
    """Of what Redis keeps of a run."""

    keep_seconds: float = 600.0
    max_entries: int = 10_000

    @property
    def keep(self) -> int:
        """Whole seconds, as Redis wants them."""
        return max(1, round(self.keep_seconds))


class Item(NamedTuple):
    """A command; once it is done, Redis has ``run`` up to entry ``seq``."""

    command: Command
    run: Sending | None = None
    seq: int = 0


class Sending:
    """``seq``: the last entry that Redis has, -1 where it has nothing."""

    def __init__(self, local: MemoryLog, opening: Snapshot, key: str, limits: Limits) -> None:
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
        """Whether the local log still has the run. What follows needs that."""
        return self._local.has(self.id)

    @property
    def complete(self) -> bool:
        """Whether nothing more is to come from here, and Redis has all of it."""
        seq, ended = self._local.reached(self.id)
        return seq == self.seq and (ended or self._local.waits(self.id))

    def next(self) -> tuple[list[Item], bool]:
        """The next commands, and whether they bring Redis up to now."""
        items: list[Item] = []
        (now, ended), seq = self._local.reached(self.id), self.seq
        if seq < 0:
            late = now - self._opening.seq > self._limits.max_entries
            start = self._local.snapshot(self.id) if late else self._opening
            items.append(self._put(start, "XADD", self.key))
            seq = self._start = start.seq
        entries = self._local.take(self.id, seq)
        assert not isinstance(entries, Snapshot)
        for entry in entries[:_AT_ONCE]:
            seq = entry.seq
            command = ("XADD", self.key, "NOMKSTREAM", f"{seq}-0", EVENT, event_json(entry.event))
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
        """Redis does not have the stream any more."""
        self.seq = -1
        self._refreshed = float("-inf")

    def compare(self, newest: Reply) -> bool:
        """Take note of the newest entry that Redis has (an answer to ``XREVRANGE``); false where it is not ours."""
        if not newest:
            self.lost()
            return True
        ((entry_id, (_, value)),) = newest
        number, whole = place(entry_id)
        mine = self._local.take(self.id, number - 1) if number and not whole else []
        if isinstance(mine, Snapshot) or (number and not whole and not mine):
            return False
        if mine and event_json(mine[0].event).encode() != value:
            return False
        self.seq = number
        return True

    def _cut(self) -> list[Item]:
        before = self._whole
        items = [self._put(self._local.snapshot(self.id), "XADD", self.key, "NOMKSTREAM")]
        if before > self._start:
            items.append(Item(("XTRIM", self.key, "MINID", f"{before}-1")))
            self._start = before
        return items

    def _put(self, whole: Snapshot, *command: str) -> Item:
        self._whole = whole.seq
        return Item((*command, f"{whole.seq}-1", MESSAGE, message_json(whole.message)), self, whole.seq)
