"""Log reader with fallback to the store, and the loop that encodes what it reads.

Knows the log, the store and the notifications; knows nothing of bytes, sockets or pages. Rules:

* A reader takes entries from the log when it is ready. Nothing is queued for it, so a slow one costs nothing.
* It ends after the ending. If the log does not have the answer, the store is read. If it has not ended there either
  (its process died, or it waits for an approval), the reader waits and reads again at every notification of it.
* A snapshot replaces all entries up to its number. That of an ended answer is the last batch.
* Every protocol is an ``Encoder``: pure, and called in order. It never folds: an entry has its position, and the log's
  folded message comes with it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing, suppress
from time import monotonic
from typing import Generic, Protocol, TypeAlias, TypeVar

from streamchat.chat.fold import Folding
from streamchat.chat.messages import Message
from streamchat.errors import NotFound, StorageError
from streamchat.runs.log import AnswerView, Entry, Log, Snapshot
from streamchat.runs.notifications import Feed, Subscription
from streamchat.runs.wakeup import Wakeup

HEARTBEAT_SECONDS = 10.0
# Before the first entry: a reader from here on gets a snapshot first.
FROM_SNAPSHOT = -1
Batch: TypeAlias = list[Entry] | Snapshot
Piece = TypeVar("Piece")


class Runs(Protocol):
    """What a reader needs of ``RunService``."""

    @property
    def log(self) -> Log:
        """The log of this process."""
        ...

    @property
    def feed(self) -> Feed:
        """The notifications."""
        ...

    async def get(self, owner: str, run_id: str) -> tuple[str, Snapshot]:
        """See ``RunService``."""
        ...


class RunReader:
    """Reads a run, beginning with the entry after ``after``.

    ``heartbeat``: seconds of silence after which ``batches`` yields ``None``. ``wakeup``: set if there may be more, for
    a reader of several runs that calls ``take``; close such a reader when it is no longer needed.
    """

    def __init__(
        self,
        runs: Runs,
        owner: str,
        run_id: str,
        after: int = 0,
        *,
        heartbeat: float | None = None,
        wakeup: Wakeup | None = None,
    ) -> None:
        self.closed = self.ended = False
        self.seq = after
        self._answer: AnswerView = Folding(Message(run_id, "assistant", status="streaming"))
        self._runs = runs
        self._owner = owner
        self._run_id = run_id
        self._heartbeat = HEARTBEAT_SECONDS if heartbeat is None else heartbeat
        self._wakeup = Wakeup() if wakeup is None else wakeup
        self._in_log = False
        self._subscription: Subscription | None = None
        self._due = True

    @property
    def answer(self) -> AnswerView:
        """The answer after the last batch, or later: see ``AnswerView``."""
        if self._in_log:
            with suppress(NotFound):
                self._answer = self._runs.log.view(self._run_id)
        return self._answer

    def close(self) -> None:
        """End it, from any task."""
        self.closed = True
        self._release()
        self._wakeup.set()

    async def batches(self) -> AsyncGenerator[Batch | None, None]:
        """Yield batches of new entries; ``None`` after each ``heartbeat`` of silence.

        Close the generator. Raises ``NotFound`` if the answer is gone for good.
        """
        silent_at = monotonic() + self._heartbeat
        try:
            while not (self.ended or self.closed):
                batch = self._from_log() if self._in_log else await self.take()
                if batch:
                    yield batch
                    silent_at = monotonic() + self._heartbeat
                # A batch was everything; whatever came since has set the wakeup.
                if (self._in_log or not self._due) and not (self.ended or self.closed):
                    await self._wakeup.wait(silent_at - monotonic())
                    if monotonic() >= silent_at:
                        self._due = True
                        yield None
                        silent_at = monotonic() + self._heartbeat
        finally:
            self._release()
            self._wakeup.close()

    async def take(self) -> Batch | None:
        """Return what is new now, or ``None``. Waits for the store if it must be read, never for new entries.

        Raises ``NotFound`` if the answer is gone for good.
        """
        while not (self.ended or self.closed):
            if self._in_log and ((batch := self._from_log()) or self._in_log):
                return batch or None
            if self._subscription is None:
                self._subscription = self._runs.feed.subscribe(self._owner, self._wakeup)
            if any(note.run_id in (self._run_id, "") for note in self._subscription.take()):
                self._due = True
            if not self._due:
                return None
            self._due = False
            if not await self._attach():
                return await self._from_store()
        return None

    def _from_log(self) -> Batch | None:
        try:
            batch = self._runs.log.entries_after(self._run_id, self.seq)
        except NotFound:  # dropped, while this reader was behind or because another process owns the run
            self.seq = FROM_SNAPSHOT  # what was read last may not be in the log of the new owner
            self._release()
            self._due = True
            return None
        if isinstance(batch, Snapshot):
            self.seq, self.ended = batch.seq, batch.message.ended
        elif batch:
            last = batch[-1]
            self.seq, self.ended = last.seq, last.last
        else:  # a reader that begins after the ending
            self.ended = self.answer.status not in ("streaming", "waiting")
        return batch

    async def _attach(self) -> bool:
        log = self._runs.log
        try:
            await log.attach(self._run_id)
            log.subscribe(self._run_id, self._wakeup)
        except NotFound:
            return False
        self._release()
        self._in_log = not self.closed
        if self.closed:
            log.unsubscribe(self._run_id, self._wakeup)
        return True

    async def _from_store(self) -> Snapshot | None:
        try:
            _, snapshot = await self._runs.get(self._owner, self._run_id)
        except StorageError:  # it may be there again in a moment
            return None
        if self.closed or not (snapshot.message.ended or snapshot.seq != self.seq):
            return None
        self.seq, self.ended = snapshot.seq, snapshot.message.ended
        self._answer = Folding(snapshot.message)
        return snapshot

    def _release(self) -> None:
        """End both subscriptions."""
        if self._in_log:
            self._answer, self._in_log = self.answer, False
            self._runs.log.unsubscribe(self._run_id, self._wakeup)
        if self._subscription is not None:
            self._runs.feed.unsubscribe(self._owner, self._subscription)
            self._subscription = None


class Encoder(Generic[Piece]):
    """Encodes one answer in one protocol for one reader, as pieces in order. Pure.

    The returned pieces are consumed before the next call. An encoder overrides the methods that its protocol needs.
    """

    done = False
    """Whether the protocol has nothing more to send, though the answer goes on."""

    def open(self) -> Iterable[Piece]:
        """Return the pieces before everything else."""
        return ()

    def heartbeat(self) -> Iterable[Piece]:
        """Return the pieces for a heartbeat after silence."""
        return ()

    def snapshot(self, snapshot: Snapshot) -> Iterable[Piece]:
        """Return the pieces for a snapshot, with the ending if it has ended."""
        raise NotImplementedError

    def entries(self, entries: Sequence[Entry], answer: AnswerView) -> Iterable[Piece]:
        """Return the pieces for the next entries. ``answer``: the answer after them, or later."""
        raise NotImplementedError

    def deleted(self, error: NotFound) -> Iterable[Piece]:
        """Return the pieces for an answer that was deleted while it was read. Raises ``error`` if there are none."""
        raise error

    def close(self) -> Iterable[Piece]:
        """Return the pieces after everything else, if the reader is still connected."""
        return ()


def pieces_of(batch: Batch | None, reader: RunReader, encoder: Encoder[Piece]) -> Iterable[Piece]:
    """Return the pieces of one batch of this reader."""
    if batch is None:
        return encoder.heartbeat()
    if isinstance(batch, Snapshot):
        return encoder.snapshot(batch)
    return encoder.entries(batch, reader.answer)


async def encode(reader: RunReader, encoder: Encoder[Piece]) -> AsyncGenerator[Iterable[Piece], None]:
    """Yield the pieces of a run batch by batch, to its end. Close the generator.

    Take the pieces of a batch one by one, each after the previous one was sent: they are encoded lazily.
    """
    yield encoder.open()
    try:
        async with aclosing(reader.batches()) as batches:
            async for batch in batches:
                yield pieces_of(batch, reader, encoder)
                if encoder.done:
                    break
    except NotFound as error:
        yield encoder.deleted(error)
    if not reader.closed:
        yield encoder.close()
