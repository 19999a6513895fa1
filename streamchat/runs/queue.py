"""Answers that are written at the same time in one process, and the queue of those that wait for one of them to end.

Knows owners and places; no run, no log. Rules:

* The queue is fair between owners: they take turns, so that many answers of one wait behind each other, not before
  those of another.
* A place is what a reader is told: 1 is next. It is told when an answer joins the queue, and later once a second at
  most, if it has changed.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque

from streamchat.runs.wakeup import Wakeup

# Pause between two looks at the places in line.
TELL_SECONDS = 1.0
ITS_TURN = 0


class Ticket:
    """The place of one answer. ``place``: in line, from 1; ``ITS_TURN`` once it may be written."""

    __slots__ = ("owner", "place", "_told", "_wakeup")

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.place = ITS_TURN
        self._told: int | None = None
        self._wakeup = Wakeup()

    def move(self, place: int) -> None:
        """Change the place, and wake whoever waits for it."""
        if place != self.place:
            self.place = place
            self._wakeup.set()

    async def next_place(self) -> int:
        """Wait until the place differs from the one that was returned last, and return it."""
        while self.place == self._told:
            await self._wakeup.wait()
        self._told = self.place
        return self.place


class AnswerQueue:
    """Who may write, and in which order the others follow. ``slots``: answers at once; ``None`` for any number."""

    def __init__(self, slots: int | None = None) -> None:
        self._slots = slots
        self._writing: set[Ticket] = set()
        # The owner whose turn is next comes first.
        self._waiting: OrderedDict[str, deque[Ticket]] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def writing(self) -> int:
        """How many answers are written now."""
        return len(self._writing)

    @property
    def waiting(self) -> int:
        """How many answers wait. May be read in any thread."""
        return sum(map(len, list(self._waiting.values())))

    def enter(self, owner: str) -> Ticket:
        """Return a ticket, with its place if it has to wait. Give it back with ``leave``."""
        ticket = Ticket(owner)
        if self._slots is None or len(self._writing) < self._slots:
            self._writing.add(ticket)
            return ticket
        line = self._waiting.setdefault(owner, deque())
        line.append(ticket)
        ticket.place = self._place(owner, len(line) - 1)
        self._tell_later()  # those behind it in other lines
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """Give a ticket back, whether it was its turn or not; the next answer follows. Again: no effect."""
        if ticket in self._writing:
            self._writing.discard(ticket)
        elif ticket in (line := self._waiting.get(ticket.owner, deque())):
            line.remove(ticket)
            if not line:
                del self._waiting[ticket.owner]
        while self._waiting and self._slots is not None and len(self._writing) < self._slots:
            owner, line = next(iter(self._waiting.items()))
            following = line.popleft()
            if line:
                self._waiting.move_to_end(owner)
            else:
                del self._waiting[owner]
            self._writing.add(following)
            following.move(ITS_TURN)
        self._tell_later()

    def _place(self, owner: str, before: int) -> int:
        """Return the place of the answer that has so many of its owner before it."""
        place, is_before = 1, True
        for other, line in self._waiting.items():
            if other == owner:
                place += before
                is_before = False
            else:
                place += min(len(line), before + 1 if is_before else before)
        return place

    def _tell_later(self) -> None:
        if self._waiting and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TELL_SECONDS, self._tell)

    def _tell(self) -> None:
        """Bring every place up to date: owners take turns, in the order in which ``leave`` takes them."""
        self._timer = None
        place = 1
        lines = [deque(line) for line in self._waiting.values()]
        while lines:
            for line in lines:
                line.popleft().move(place)
                place += 1
            lines = [line for line in lines if line]
