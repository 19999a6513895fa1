"""The log of a run: numbered entries, one writer, any number of readers.

Knows nothing of providers, storage or pages. Rules:

* ``seq`` is contiguous from 1; an entry that has a number never changes; the last one is an ending.
* ``append`` never waits.
* A reader that asks beyond what is kept gets a ``Snapshot`` first and goes on from there.
* An ended run is kept for ``KEEP_SECONDS``, then forgotten: the stored message answers for it.
* A run that waits for an approval has no writer. Whoever goes on with it says so (``go_on``), here or elsewhere.

``MemoryLog`` is the log of one process, ``redis_log.RedisLog`` that of several; ``tests/runs/test_log_contract.py``
is what both keep.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass
from typing import Protocol

from streamchat.chat.events import ENDINGS, Event, Waiting
from streamchat.chat.fold import Folding
from streamchat.chat.messages import Message
from streamchat.errors import NotFound
from streamchat.runs.bell import Bell

KEEP_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of a run and its place in the log."""

    seq: int
    event: Event

    @property
    def last(self) -> bool:
        return isinstance(self.event, ENDINGS)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The folded message after entry ``seq``."""

    seq: int
    message: Message


class Log(Protocol):
    """What producers and readers need of a log."""

    def open(self, message: Message, events: Iterable[Event] = ()) -> None:
        """Begin the log of the run whose answer is ``message``; its id is the run's."""
        ...

    def go_on(self, start: Snapshot) -> None:
        """Go on here with a run that waited, as it was stored. Its readers stay."""
        ...

    def append(self, run_id: str, event: Event) -> Entry:
        """Number and keep an event, and wake the readers. Raises ``NotFound``, ``OutOfOrder``."""
        ...

    async def attach(self, run_id: str) -> None:
        """Make a run readable here, caught up, wherever it is written. Raises ``NotFound``.

        The calls below are for runs that were opened here or attached; they look at what is here and never wait.
        """
        ...

    def snapshot(self, run_id: str) -> Snapshot:
        """The answer so far. Raises ``NotFound``."""
        ...

    def take(self, run_id: str, after: int) -> list[Entry] | Snapshot:
        """What came after ``after``; a snapshot where that is not kept or not yet there. Raises ``NotFound``."""
        ...

    def listen(self, run_id: str, bell: Bell) -> None:
        """Ring this bell at every entry. Raises ``NotFound``."""
        ...

    def ignore(self, run_id: str, bell: Bell) -> None:
        """Stop ringing it. Nothing happens where it does not ring."""
        ...


async def follow(log: Log, run_id: str, after: int = 0) -> AsyncGenerator[list[Entry] | Snapshot, None]:
    """Entries after ``after`` as they come, in batches of what is there, up to and with the ending.

    A snapshot comes first where ``after`` lies beyond the end. Raises ``NotFound``.
    """
    bell = Bell()
    await log.attach(run_id)
    log.listen(run_id, bell)
    try:
        while True:
            batch = log.take(run_id, after)
            if isinstance(batch, Snapshot):
                yield batch
                after = batch.seq
                if batch.message.ended:
                    return
            elif batch:
                yield batch
                after = batch[-1].seq
                if batch[-1].last:
                    return
            else:
                await bell.wait()
    finally:
        log.ignore(run_id, bell)


class _Run:
    def __init__(self, start: Snapshot) -> None:
        self.begin(start)
        self.bells: set[Bell] = set()

    def begin(self, start: Snapshot) -> None:
        self.base = start.seq
        self.entries: list[Entry] = []
        self.folding = Folding(start.message)
        self.ended = start.message.ended

    @property
    def seq(self) -> int:
        return self.base + len(self.entries)

    def ring(self) -> None:
        for bell in self.bells:
            bell.ring()


class MemoryLog:
    """The log of one process: lists, and bells to ring."""

    def __init__(self, keep_seconds: float = KEEP_SECONDS) -> None:
        self._runs: dict[str, _Run] = {}
        self._keep_seconds = keep_seconds

    def open(self, message: Message, events: Iterable[Event] = ()) -> None:
        self._runs[message.id] = _Run(Snapshot(0, message))
        for event in events:
            self.append(message.id, event)

    def go_on(self, start: Snapshot) -> None:
        if not self.has(start.message.id) or self.reached(start.message.id)[0] != start.seq:
            self.restore(start)

    def restore(self, start: Snapshot) -> None:
        """Begin, or begin anew, with an answer as it was after some entry. Readers that are behind get a snapshot."""
        if run := self._runs.get(start.message.id):
            run.begin(start)
            run.ring()
        else:
            run = self._runs[start.message.id] = _Run(start)
        if run.ended:
            self._forget_later(run)

    def append(self, run_id: str, event: Event) -> Entry:
        run = self._run(run_id)
        run.folding.add(event)
        entry = Entry(run.seq + 1, event)
        run.entries.append(entry)
        run.ring()
        if entry.last:
            run.ended = True
            self._forget_later(run)
        elif isinstance(event, Waiting):
            self._forget_later(run)
        return entry

    async def attach(self, run_id: str) -> None:
        self._run(run_id)

    def snapshot(self, run_id: str) -> Snapshot:
        run = self._run(run_id)
        return Snapshot(run.seq, run.folding.message)

    def take(self, run_id: str, after: int) -> list[Entry] | Snapshot:
        run = self._run(run_id)
        if not run.base <= after <= run.seq:
            return self.snapshot(run_id)
        return run.entries[after - run.base :]

    def listen(self, run_id: str, bell: Bell) -> None:
        self._run(run_id).bells.add(bell)

    def ignore(self, run_id: str, bell: Bell) -> None:
        if run := self._runs.get(run_id):
            run.bells.discard(bell)

    def has(self, run_id: str) -> bool:
        return run_id in self._runs

    def reached(self, run_id: str) -> tuple[int, bool]:
        """The last number, and whether it is the end: what a snapshot says, without joining its text."""
        run = self._run(run_id)
        return run.seq, run.ended

    def waits(self, run_id: str) -> bool:
        """Whether it is parked until a person decides."""
        return self._run(run_id).folding.status == "waiting"

    def listened(self, run_id: str) -> bool:
        """Whether a reader is there."""
        run = self._runs.get(run_id)
        return run is not None and bool(run.bells)

    def forget(self, run_id: str) -> None:
        self._runs.pop(run_id, None)

    def _forget_later(self, run: _Run) -> None:
        run_id = run.folding.message.id

        def forget() -> None:
            if self._runs.get(run_id) is not run:
                return
            if run.ended or (self.waits(run_id) and not run.bells):
                del self._runs[run_id]
            elif self.waits(run_id):
                self._forget_later(run)

        asyncio.get_running_loop().call_later(self._keep_seconds, forget)

    def _run(self, run_id: str) -> _Run:
        try:
            return self._runs[run_id]
        except KeyError:
            raise NotFound("There is no such answer.") from None
