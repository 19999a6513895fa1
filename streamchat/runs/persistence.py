"""Write-behind persistence: what is new of all answers, and their endings, in one transaction per pass.

Knows the log and the store. Rules:

* A run that changed is stored at least once a second (``HEARTBEAT_SECONDS``); a pass stores only its new entries.
* An ending wakes the writer at once. Endings that come meanwhile leave together (group commit), with the partial
  answers that are due, so neither delays the other.
* Only an ending, and a tool that is about to run, wait for the store, for ``END_SECONDS`` at most. If the store fails,
  the answer continues, and every pass tries again.
* Every write names the owner's epoch. A row that does not take a write belongs to another process, has ended or is
  gone: the run is given up (``on_lost``), and nothing more of it is written.
* A process that stood still (``LEASE_SECONDS``) may have lost its runs: each is confirmed before it continues.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from math import inf
from time import monotonic
from typing import Any

from streamchat.chat.events import Ending, Timing, Waiting
from streamchat.chat.fold import fold
from streamchat.chat.messages import NoticePart
from streamchat.chat.writes import Change, End, Timed
from streamchat.errors import NotFound, StorageError
from streamchat.liveness import HEARTBEAT_SECONDS, LEASE_SECONDS
from streamchat.runs.log import Log, Snapshot
from streamchat.runs.ports import Store

END_TRIES = 4
# Readers have the whole text by then: the ending must not wait for as long as a database may be locked.
END_SECONDS = 5.0
# Endings of one pass: a transaction of more would keep the next partial answers waiting.
AT_ONCE = 50
# An answer of so many pieces, or with so many new entries, is stored as a whole, which bounds the cost of reading it.
MAX_PIECES, MAX_ENTRIES = 200, 2000
# Of a pass, and so many are kept while the database is away.
MAX_TIMINGS = 500
TOO_LONG = "The database takes too long; another program may have locked it."
NOT_SAVED = "not-saved"
logger = logging.getLogger(__name__)


class Superseded(Exception):
    """Another process owns the run, or it has ended or is gone: nothing more of it may be written or run here."""


@dataclass(slots=True)
class _Owned:
    """A run of this process. ``seq``: that of its row. ``pieces``: how many the row has.

    ``upstream``: the checkpoint that the row does not have yet, ``None`` if there is nothing to store.
    """

    epoch: int
    seq: int
    pieces: int = 0
    upstream: Mapping[str, Any] | None = None


@dataclass(slots=True)
class _Request:
    """What somebody waits for: an ending, or without one that the answer is stored as it is now."""

    run_id: str
    done: asyncio.Future[None]
    end: End | None = None


class Writer:
    """Stores the runs of this process. ``interval``: seconds between two passes.

    ``on_lost`` is called with a run that this process does not own any more.
    """

    def __init__(
        self,
        log: Log,
        store: Store,
        interval: float = HEARTBEAT_SECONDS,
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.on_lost: Callable[[str], None] = lambda run_id: None
        self._log = log
        self._store = store
        self._interval = interval
        self._clock = clock
        self._owned: dict[str, _Owned] = {}
        self._unsaved: dict[str, tuple[_Owned, Snapshot | None]] = {}
        """Endings that are not stored yet, with the snapshot of the log once they are in it."""
        self._timings: list[Timed] = []
        self._requests: list[_Request] = []
        self._wake = asyncio.Event()
        self._passing = asyncio.Lock()
        self._due = 0.0
        self._ticked = inf
        self._doubtful = False
        self._ticker: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin the passes."""
        self._ticked = self._clock()
        self._tick()
        self._task = asyncio.create_task(self._loop(), name="writer")

    async def close(self) -> None:
        """Stop, after one last pass."""
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        if self._ticker:
            self._ticker.cancel()
        with suppress(StorageError):
            await self.flush()

    def watch(self, run_id: str, epoch: int = 0, seq: int = 0) -> None:
        """Store this run's partial answer from now on. ``seq``: that of its row."""
        self._owned[run_id] = _Owned(epoch, seq)

    def forget(self, run_id: str) -> None:
        """Store nothing more of this run."""
        self._owned.pop(run_id, None)
        self._unsaved.pop(run_id, None)

    def note_upstream(self, run_id: str, checkpoint: Mapping[str, Any]) -> None:
        """Store the checkpoint of a run now, without waiting for it. Empty: it has none any more."""
        if (owned := self._owned.get(run_id)) is not None:
            owned.upstream = checkpoint
            if checkpoint and self._task is not None:
                self._requests.append(_Request(run_id, asyncio.get_running_loop().create_future()))
                self._wake.set()

    def unsaved_ids(self) -> list[str]:
        """Return the runs whose ending is not stored yet: no other process may end them."""
        return list(self._unsaved)

    @property
    def pending(self) -> int:
        """How many callers wait for the database, and endings that it did not take yet."""
        return len(self._requests) + len(self._unsaved)

    @property
    def doubtful(self) -> bool:
        """Whether this process stood still, so that its runs must be confirmed before they continue."""
        return self._doubtful or self._clock() - self._ticked > LEASE_SECONDS

    async def end(self, run_id: str, ending: Ending | Waiting) -> None:
        """Store the answer with an ending (or ``Waiting``) that is not in the log yet.

        Raises ``Superseded``, and ``StorageError`` after a few attempts, or if they take too long; the next passes try
        again.
        """
        owned = self._owned.pop(run_id, None)
        if owned is None:
            raise Superseded(run_id)
        self._unsaved[run_id] = owned, None
        snapshot = self._log.snapshot(run_id)
        end = End(fold(snapshot.message, ending), snapshot.seq + 1, owned.epoch)
        try:
            async with asyncio.timeout(END_SECONDS):
                await self._end(end)
        except TimeoutError:
            raise StorageError(TOO_LONG, reason="slow", transient=True) from None
        except Superseded:
            self._unsaved.pop(run_id, None)
            raise
        self._unsaved.pop(run_id, None)

    async def _end(self, end: End) -> None:
        for pause in (*(0.1 * 3**n for n in range(END_TRIES - 1)), None):
            try:
                await self._request(end.message.id, end)
                return
            except StorageError as error:
                if pause is None:
                    raise
                logger.warning("run %s: its end is not stored yet: %s", end.message.id, error)
                await asyncio.sleep(pause)

    def ended(self, run_id: str) -> None:
        """Keep the ended answer until it is stored: the log, which has the ending now, drops it after a while."""
        if run_id in self._unsaved:
            self._unsaved[run_id] = self._unsaved[run_id][0], self._log.snapshot(run_id)

    def note_timing(self, run_id: str, epoch: int, timing: Timing) -> None:
        """Store the times of an answer that has ended, with one of the next passes."""
        self._timings.append(Timed(run_id, epoch, timing))

    async def keep(self, run_id: str) -> None:
        """Store the answer now, before something that must be known after a crash; so its row is confirmed.

        Raises ``Superseded``, and ``StorageError``, also if it takes too long.
        """
        try:
            async with asyncio.timeout(END_SECONDS):
                await self._request(run_id)
        except TimeoutError:
            raise StorageError(TOO_LONG, reason="slow", transient=True) from None

    async def confirm(self, run_id: str) -> None:
        """Wait until the row of this run is known to be ours, if that is doubtful. Raises ``Superseded``."""
        while self.doubtful:
            try:
                await self.keep(run_id)
                return
            except StorageError as error:
                logger.warning("run %s waits for the database: %s", run_id, error)
                await asyncio.sleep(self._interval)

    async def flush(self) -> None:
        """Store everything that is new, and endings that could not be stored. Raises ``StorageError``.

        After a pass that was stored although it failed, the row is ahead of what we know, and takes the rest only then.
        """
        if not await self._pass(everything=True) and not await self._pass(everything=True):
            raise StorageError("Not all of the answers is stored.", transient=True)

    async def _request(self, run_id: str, end: End | None = None) -> None:
        """Have the next pass store this, and wait for it. Raises ``Superseded``, ``StorageError``."""
        request = _Request(run_id, asyncio.get_running_loop().create_future(), end)
        self._requests.append(request)
        self._wake.set()
        if self._task is None:
            await self._pass()
        await request.done

    async def _loop(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._due):
                    await self._wake.wait()
            self._wake.clear()
            try:
                await self._pass()
            except StorageError as error:
                logger.warning("answers are not stored: %s", error)
            except Exception:
                logger.exception("the writer failed and continues")

    async def _pass(self, *, everything: bool = False) -> bool:
        """One transaction: what is waited for, and everything else if that is due. Raises ``StorageError``.

        Returns whether the rows that are ours have all of it.

        One at a time: a change begins where the row's last one ended, which only that one's answer says.
        """
        async with self._passing:
            now = asyncio.get_running_loop().time()
            return await self._write(now, everything=everything or now >= self._due)

    async def _write(self, now: float, *, everything: bool) -> bool:
        if everything:
            self._due = now + self._interval
        requests, self._requests = self._requests[:AT_ONCE], self._requests[AT_ONCE:]
        if self._requests:
            self._wake.set()
        wanted = self._owned if everything else {request.run_id for request in requests if request.end is None}
        owned = {run_id: self._owned[run_id] for run_id in wanted if run_id in self._owned}
        changes = [change for run_id, one in owned.items() if (change := self._change(run_id, one))]
        ends = [request.end for request in requests if request.end]
        if everything:
            ends += [_saved(snapshot, one.epoch) for one, snapshot in self._unsaved.values() if snapshot]
            changes += [
                Change(run_id, one.epoch, one.seq, one.seq)  # a heartbeat
                for run_id, (one, snapshot) in self._unsaved.items()
                if snapshot is None
            ]
        timings = self._timings[:MAX_TIMINGS] if everything else []
        try:
            written = await self._store.write(changes, ends, timings)
        except BaseException as error:
            failure = (
                error if isinstance(error, StorageError) else StorageError(TOO_LONG, reason="slow", transient=True)
            )
            for request in requests:
                _resolve(request, failure)
            del self._timings[:-MAX_TIMINGS]
            raise
        for request in requests:
            stored = request.run_id in (written.ended if request.end else written.seqs)
            _resolve(request, None if stored else Superseded(request.run_id))
        del self._timings[: len(timings)]
        self._apply(changes, owned, written.seqs)
        if everything:
            self._doubtful = False
            self._drop_saved(ends, written.ended)
        return all(written.seqs.get(c.run_id, c.seq) == c.seq for c in changes if c.run_id in owned)

    def _change(self, run_id: str, owned: _Owned) -> Change | None:
        """Return what the row of this run does not have yet, or its heartbeat."""
        try:
            entries = self._log.entries_after(run_id, owned.seq)
            if isinstance(entries, Snapshot) or owned.pieces >= MAX_PIECES or len(entries) > MAX_ENTRIES:
                whole = self._log.snapshot(run_id)
                return Change(run_id, owned.epoch, owned.seq, whole.seq, message=whole.message, upstream=owned.upstream)
        except NotFound:
            return None
        events = tuple(entry.event for entry in entries)
        return Change(run_id, owned.epoch, owned.seq, owned.seq + len(events), events, upstream=owned.upstream)

    def _apply(self, changes: Iterable[Change], owned: Mapping[str, _Owned], seqs: Mapping[str, int]) -> None:
        """Record what the rows have now, and give up the runs whose rows did not take it."""
        for change in changes:
            one = owned.get(change.run_id)
            if one is None:  # its ending waits
                continue
            if change.run_id in seqs:
                one.seq = seqs[change.run_id]
                if one.upstream is change.upstream:
                    one.upstream = None
                one.pieces = 0 if change.message else one.pieces + bool(change.events)
            elif self._owned.get(change.run_id) is one:
                self._lose(change.run_id)

    def _drop_saved(self, ends: Iterable[End], ended: frozenset[str]) -> None:
        for end in ends:
            if self._unsaved.pop(end.message.id, None) and end.message.id not in ended:
                self._lose(end.message.id)

    def _lose(self, run_id: str) -> None:
        logger.warning("run %s belongs to another process, or is gone", run_id)
        self.forget(run_id)
        self.on_lost(run_id)

    def _tick(self) -> None:
        """Notice that the process stood still: a timer that comes far too late."""
        now = self._clock()
        self._doubtful = self._doubtful or now - self._ticked > LEASE_SECONDS
        self._ticked = now
        self._ticker = asyncio.get_running_loop().call_later(HEARTBEAT_SECONDS, self._tick)


def _resolve(request: _Request, error: Exception | None) -> None:
    if request.done.done():  # its caller has gone
        return
    if error is None:
        request.done.set_result(None)
    else:
        request.done.set_exception(error)
        request.done.exception()  # retrieved, so that asyncio does not log it if the caller was cancelled


def _saved(snapshot: Snapshot, epoch: int) -> End:
    """Return the end without the notice that it could not be saved, which is obsolete once it is stored."""
    message = snapshot.message
    parts = tuple(part for part in message.parts if not (isinstance(part, NoticePart) and part.kind == NOT_SAVED))
    return End(replace(message, parts=parts), snapshot.seq, epoch)
