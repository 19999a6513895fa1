"""The log of a run: numbered entries, one writer, any number of readers.

Knows nothing of providers, storage or pages. Rules:

* ``seq`` is contiguous from 1; an entry that has a number never changes; the last one is an ending.
* An entry has its position and its time, both computed once when it is appended: no reader folds or counts.
* Within a run time never goes back. Differences are those of the monotonic clock: the wall clock is read once, when
  the run is opened.
* ``append`` never waits.
* A reader that asks for entries that are not kept gets a ``Snapshot`` first and continues from it.
* An ended run is kept for ``RUN_KEEP_SECONDS``, then dropped: the stored message replaces it. The oldest that have no
  reader are dropped earlier if all together weigh more than ``RUN_KEEP_BYTES``.
* A run that waits for an approval has no writer. The process that continues it calls ``resume``.

``MemoryLog`` is the log of one process, ``redis.log.RedisLog`` that of several;
``tests/integration/runs/test_log_contract.py`` tests both.
"""

from __future__ import annotations

import asyncio
import time
from array import array
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, NamedTuple, Protocol

from streamchat.chat.events import ENDINGS, Event, Waiting
from streamchat.chat.fold import Folding
from streamchat.chat.messages import Message, Part, Status
from streamchat.defaults import RUN_KEEP_BYTES, RUN_KEEP_SECONDS
from streamchat.errors import NotFound
from streamchat.runs.wakeup import Wakeup

# Bytes of a run and of an entry beside their text.
_RUN_BYTES, _ENTRY_BYTES = 2500, 140


class Entry(NamedTuple):
    """One event of a run, its position and its time.

    ``at``: its arrival from the provider, in Unix seconds. ``part``: the index of the part that it changes, ``None``
    if none. ``offset``: the start of its text in that part, in UTF-16 code units.
    """

    seq: int
    at: float
    part: int | None
    offset: int
    event: Event

    @property
    def last(self) -> bool:
        """Whether it is the ending."""
        return isinstance(self.event, ENDINGS)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The folded message after entry ``seq``."""

    seq: int
    message: Message


class AnswerView(Protocol):
    """The answer as the log has it now. It changes with the next entry: read it before you await anything."""

    @property
    def message(self) -> Message:
        """The whole answer; joins the text that arrived since the last call."""
        ...

    @property
    def status(self) -> Status:
        """The state of the answer."""
        ...

    def part(self, index: int) -> Part:
        """Return one part of the answer. Raises ``IndexError``."""
        ...


class Log(Protocol):
    """The interface of a log, for producers and readers."""

    def open(self, message: Message, events: Iterable[Event] = ()) -> None:
        """Begin the log of the run whose answer is ``message``; its id is the run's."""
        ...

    def resume(self, start: Snapshot, epoch: int = 0) -> None:
        """Continue here a run that had no writer, from its stored state. Its readers stay subscribed.

        ``epoch``: the fencing token of its new owner.
        """
        ...

    def append(self, run_id: str, event: Event, arrived: float | None = None) -> None:
        """Number and keep an event, and wake the readers. Raises ``NotFound``, ``OutOfOrder``.

        ``arrived``: its time by ``time.monotonic()``; default: now.
        """
        ...

    async def attach(self, run_id: str) -> None:
        """Make a run readable here, up to date, whichever process writes it. Raises ``NotFound``.

        The calls below are for runs that were opened here or attached; they never wait.
        """
        ...

    def snapshot(self, run_id: str) -> Snapshot:
        """The answer so far. Raises ``NotFound``."""
        ...

    def start(self, run_id: str) -> Snapshot:
        """The answer before the entries that are kept here. Raises ``NotFound``."""
        ...

    def view(self, run_id: str) -> AnswerView:
        """The answer so far, without joining its text. Raises ``NotFound``."""
        ...

    def opened_at(self, run_id: str) -> float | None:
        """When the run was opened, in Unix seconds; ``None`` if that was elsewhere. Raises ``NotFound``."""
        ...

    def entries_after(self, run_id: str, after: int) -> list[Entry] | Snapshot:
        """Return the entries after ``after``; a snapshot if they are not kept or not there yet. Raises ``NotFound``."""
        ...

    async def take_over(self, stored: Snapshot, epoch: int) -> Snapshot | None:
        """Return the answer of a run whose owner is gone, as a log has it; ``None`` if no log has it all.

        ``stored``: the answer as its row has it. ``epoch``: of the new owner; the former one cannot write from now on.
        """
        ...

    async def flush(self, patience: float) -> None:
        """Wait until other workers can read all entries, for at most ``patience`` seconds."""
        ...

    def drop(self, run_id: str) -> None:
        """Drop a run that this process does not own any more. Its readers look elsewhere, from a snapshot on."""
        ...

    async def erase(self, run_ids: Collection[str]) -> None:
        """Forget these runs, here and in what is shared with other workers. Nobody writes them."""
        ...

    @property
    def readers(self) -> int:
        """The number of readers that are subscribed here. May be read in any thread."""
        ...

    def subscribe(self, run_id: str, wakeup: Wakeup) -> None:
        """Set this wakeup at every entry. Raises ``NotFound``."""
        ...

    def unsubscribe(self, run_id: str, wakeup: Wakeup) -> None:
        """Stop setting it. No effect if it is not subscribed."""
        ...


class _Entries:
    """The entries after ``base``, stored by column: one takes a third of the memory of an ``Entry``."""

    def __init__(self, base: int) -> None:
        self.base = self.seq = base
        self._last: Entry | None = None
        self._events: list[Event] = []
        self._times = array("d")
        self._parts = array("i")
        self._offsets = array("I")

    def add(self, at: float, part: int | None, offset: int, event: Event) -> None:
        self._events.append(event)
        self._times.append(at)
        self._parts.append(-1 if part is None else part)
        self._offsets.append(offset)
        self.seq += 1
        self._last = None

    def after(self, seq: int) -> list[Entry]:
        """Return the entries after ``seq``. Readers that keep up share one entry."""
        start = seq - self.base
        if seq == self.seq - 1:
            if self._last is None:
                part = self._parts[start]
                index = None if part < 0 else part
                self._last = Entry(self.seq, self._times[start], index, self._offsets[start], self._events[start])
            return [self._last]
        numbers, parts = range(seq + 1, self.seq + 1), (None if part < 0 else part for part in self._parts[start:])
        return list(map(Entry, numbers, self._times[start:], parts, self._offsets[start:], self._events[start:]))


class _Run:
    """``epoch``: monotonic seconds plus this are Unix seconds. ``at``: the time of the last entry."""

    def __init__(self, start: Snapshot, epoch: float, now: float) -> None:
        self.epoch = epoch
        self.opened_at: float | None = epoch + now
        self.at = 0.0
        self.begin(start)
        self.wakeups: set[Wakeup] = set()
        self.timer: asyncio.TimerHandle | None = None

    def begin(self, start: Snapshot) -> None:
        self.start = start
        self.entries = _Entries(start.seq)
        self.folding = Folding(start.message)
        self.ended = start.message.ended

    @property
    def seq(self) -> int:
        return self.entries.seq

    def set(self) -> None:
        for wakeup in self.wakeups:
            wakeup.set()

    def weigh(self) -> int:
        """Estimate its memory in bytes: the text counts twice, in its entries and as a whole."""
        count = self.entries.seq - self.entries.base
        return _RUN_BYTES + _ENTRY_BYTES * count + 2 * _text_bytes(self.folding.message)


class MemoryLog:
    """The log of one process: lists, and wakeups to set. ``in_use``: whether an ended run is needed although it has
    no reader. ``wall`` and ``monotonic``: the clocks, in seconds."""

    def __init__(
        self,
        keep_seconds: float = RUN_KEEP_SECONDS,
        keep_bytes: int = RUN_KEEP_BYTES,
        *,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._runs: dict[str, _Run] = {}
        self._keep_seconds = keep_seconds
        self._keep_bytes = keep_bytes
        self._wall = wall
        self._monotonic = monotonic
        self._ended: dict[str, int] = {}
        """The weight of each ended run, in the order in which they ended."""
        self.kept_bytes = 0
        self.in_use: Callable[[str], bool] = lambda run_id: False

    def open(self, message: Message, events: Iterable[Event] = ()) -> None:
        """See ``Log``."""
        self._runs[message.id] = self._new(Snapshot(0, message))
        for event in events:
            self.append(message.id, event)

    def resume(self, start: Snapshot, epoch: int = 0) -> None:
        """See ``Log``."""
        if not self.has(start.message.id) or self.reached(start.message.id)[0] != start.seq:
            self.restore(start)

    def restore(self, start: Snapshot) -> None:
        """Set the state of a run to this snapshot. Readers that are behind get a snapshot."""
        if run := self._runs.get(start.message.id):
            self.kept_bytes -= self._ended.pop(start.message.id, 0)
            run.begin(start)
            run.set()
        else:
            run = self._runs[start.message.id] = self._new(start)
            run.opened_at = None  # it was opened in another process, which does not tell when
        if run.ended:
            self._keep_ended(run)

    def append(self, run_id: str, event: Event, arrived: float | None = None) -> None:
        """See ``Log``."""
        run = self._run(run_id)
        self._add(run, event, run.epoch + (self._monotonic() if arrived is None else arrived))

    def copy(self, run_id: str, event: Event, at: float | None) -> None:
        """Append an entry of another process. ``at``: its time in Unix seconds; ``None``: now."""
        run = self._run(run_id)
        self._add(run, event, run.epoch + self._monotonic() if at is None else at)

    def _add(self, run: _Run, event: Event, at: float) -> None:
        part, offset = run.folding.add(event)
        if at > run.at:
            run.at = at
        run.entries.add(run.at, part, offset, event)
        run.set()
        if part is None:
            if isinstance(event, ENDINGS):
                run.ended = True
                self._keep_ended(run)
            elif isinstance(event, Waiting):
                self._forget_later(run)

    async def attach(self, run_id: str) -> None:
        """See ``Log``."""
        self._run(run_id)

    def snapshot(self, run_id: str) -> Snapshot:
        """See ``Log``."""
        run = self._run(run_id)
        return Snapshot(run.seq, run.folding.message)

    def start(self, run_id: str) -> Snapshot:
        """See ``Log``."""
        return self._run(run_id).start

    def view(self, run_id: str) -> AnswerView:
        """See ``Log``."""
        return self._run(run_id).folding

    def opened_at(self, run_id: str) -> float | None:
        """See ``Log``."""
        return self._run(run_id).opened_at

    def entries_after(self, run_id: str, after: int) -> list[Entry] | Snapshot:
        """See ``Log``."""
        run = self._run(run_id)
        entries = run.entries
        if after == entries.seq:
            return []
        return entries.after(after) if entries.base <= after < entries.seq else self.snapshot(run_id)

    @property
    def readers(self) -> int:
        """See ``Log``."""
        return sum(len(run.wakeups) for run in list(self._runs.values()))

    def subscribe(self, run_id: str, wakeup: Wakeup) -> None:
        """See ``Log``."""
        self._run(run_id).wakeups.add(wakeup)

    def unsubscribe(self, run_id: str, wakeup: Wakeup) -> None:
        """See ``Log``."""
        if run := self._runs.get(run_id):
            run.wakeups.discard(wakeup)
            self._trim()

    def has(self, run_id: str) -> bool:
        """Return whether the log has this run."""
        return run_id in self._runs

    def reached(self, run_id: str) -> tuple[int, bool]:
        """Return the last seq, and whether it is the ending: as a snapshot, without joining its text."""
        run = self._run(run_id)
        return run.seq, run.ended

    def waits(self, run_id: str) -> bool:
        """Return whether it is suspended until a person decides."""
        return self._run(run_id).folding.status == "waiting"

    def listened(self, run_id: str) -> bool:
        """Return whether it has a reader."""
        run = self._runs.get(run_id)
        return run is not None and bool(run.wakeups)

    async def take_over(self, stored: Snapshot, epoch: int) -> Snapshot | None:
        """See ``Log``. The log of a process that is gone is gone as well."""
        return None

    async def flush(self, patience: float) -> None:
        """See ``Log``. There are no other workers."""

    def drop(self, run_id: str) -> None:
        """See ``Log``."""
        run = self._runs.get(run_id)
        self.forget(run_id)
        if run:
            run.set()

    async def erase(self, run_ids: Collection[str]) -> None:
        """See ``Log``."""
        for run_id in run_ids:
            self.drop(run_id)

    def forget(self, run_id: str) -> None:
        """Drop this run, whatever its state."""
        if (run := self._runs.pop(run_id, None)) and run.timer:
            run.timer.cancel()  # it holds the run
        self.kept_bytes -= self._ended.pop(run_id, 0)

    def _keep_ended(self, run: _Run) -> None:
        run_id = run.folding.message.id
        self._ended[run_id] = weight = run.weigh()
        self.kept_bytes += weight
        self._forget_later(run)
        self._trim()

    def _trim(self) -> None:
        """Drop the oldest until the rest is within the budget; never the newest, whose readers need its ending."""
        if self.kept_bytes <= self._keep_bytes:
            return
        for run_id in [*self._ended][:-1]:
            if not self._runs[run_id].wakeups and not self.in_use(run_id):
                self.forget(run_id)
                if self.kept_bytes <= self._keep_bytes:
                    return

    def _forget_later(self, run: _Run) -> None:
        run_id = run.folding.message.id

        def forget() -> None:
            if self._runs.get(run_id) is not run:
                return
            if run.ended or (self.waits(run_id) and not run.wakeups):
                self.forget(run_id)
            elif self.waits(run_id):
                self._forget_later(run)

        if run.timer:
            run.timer.cancel()
        run.timer = asyncio.get_running_loop().call_later(self._keep_seconds, forget)

    def _new(self, start: Snapshot) -> _Run:
        now = self._monotonic()
        return _Run(start, self._wall() - now, now)

    def _run(self, run_id: str) -> _Run:
        try:
            return self._runs[run_id]
        except KeyError:
            raise NotFound("There is no such answer.") from None


def _text_bytes(value: Any) -> int:
    """Return the number of characters in a message, in whatever field."""
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, Mapping):
        return sum(len(str(key)) + _text_bytes(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return sum(map(_text_bytes, value))
    if is_dataclass(value):
        return sum(_text_bytes(getattr(value, field.name)) for field in fields(value))
    return 8
