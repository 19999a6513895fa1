"""One reader of one run: what is new, as it comes, wherever the answer is.

Knows the log, the store and the feed; knows nothing of bytes or connections. Rules:

* The reader takes from the log when it is ready for more. Nothing is queued for it, so a slow one costs nothing.
* It ends after the ending. An answer whose log is gone is read from the store; where it has not ended there either
  (its process died, or it waits for an approval), the reader waits with it.
* A snapshot of an answer that has ended is the last that comes; ``ending_of`` is its ending.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from streamchat.chat.events import Ending, Failed, Finished, Interrupted, Stopped
from streamchat.chat.messages import Message
from streamchat.errors import NotFound, StorageError
from streamchat.runs.bell import Bell
from streamchat.runs.log import Entry, Snapshot
from streamchat.runs.runs import Runs

BEAT_SECONDS = 10.0


def ending_of(message: Message) -> Ending:
    """The ending of a message that has ended, as the event that it was."""
    error = message.error
    match message.status:
        case "finished":
            return Finished(message.stop_reason or "stop")
        case "stopped":
            return Stopped()
        case "failed" if error is not None:
            return Failed(error.message, error.kind, error.retryable, error.retry_after)
        case "interrupted" if error is not None:
            return Interrupted(error.message, error.kind)
        case "failed":
            return Failed("The answer failed.")
        case "interrupted":
            return Interrupted()
    raise ValueError(f"a message that is {message.status} has not ended")


async def look(runs: Runs, owner: str, run_id: str) -> tuple[str, Snapshot]:
    """The conversation of a run and its answer so far. Raises ``NotFound``, ``StorageError``."""
    for run in runs.running(owner):
        if run.run_id == run_id:  # written here, for this owner: no need to ask the database
            return run.conversation_id, runs.log.snapshot(run_id)
    return await runs.get(owner, run_id)


class Reader:
    """Reads a run from behind entry ``after``. ``close`` it from wherever the reader is seen to have gone."""

    def __init__(self, runs: Runs, owner: str, run_id: str, after: int = 0, beat: float | None = None) -> None:
        self.closed = False
        self._runs = runs
        self._owner = owner
        self._run_id = run_id
        self._after = after
        self._beat = BEAT_SECONDS if beat is None else beat
        self._bell = Bell()
        self._ended = False
        self._timer: asyncio.TimerHandle | None = None
        self._told = 0.0

    def close(self) -> None:
        self.closed = True
        self._bell.ring()

    async def batches(self) -> AsyncGenerator[list[Entry] | Snapshot | None, None]:
        """What came, in batches of what is there; ``None`` after ``beat`` seconds of silence.

        Close the generator. Raises ``NotFound`` where the answer is gone for good.
        """
        self._touch()
        self._watch()
        try:
            while not (self.closed or self._ended):
                async for batch in self._from_log():
                    yield batch
                if not (self.closed or self._ended):
                    async for batch in self._from_store():
                        yield batch
        finally:
            if self._timer:
                self._timer.cancel()

    async def _from_log(self) -> AsyncGenerator[list[Entry] | Snapshot | None, None]:
        log, bell, run_id = self._runs.log, self._bell, self._run_id
        try:
            await log.attach(run_id)
            log.listen(run_id, bell)
        except NotFound:
            return
        try:
            here = log.snapshot(run_id)
            self._ended = here.message.ended and here.seq == self._after
            while not (self.closed or self._ended):
                batch = log.take(run_id, self._after)
                if batch:
                    self._move(batch)
                    yield batch
                    self._touch()
                else:
                    await bell.wait()
                    if self._silent():
                        yield None
        except NotFound:  # forgotten while this reader was behind: the store has it
            return
        finally:
            log.ignore(run_id, bell)

    async def _from_store(self) -> AsyncGenerator[Snapshot | None, None]:
        """Until it has ended there, or may be in the log again."""
        subscription = self._runs.feed.subscribe(self._owner, self._bell)
        try:
            _, snapshot = await look(self._runs, self._owner, self._run_id)
            if snapshot.message.ended or not snapshot.seq == self._after:
                self._move(snapshot)
                yield snapshot
                self._touch()
            while not (self.closed or self._ended):
                await self._bell.wait()
                if any(note.run_id in (self._run_id, "") for note in subscription.take()):
                    return
                if self._silent():
                    yield None
                    return
        except StorageError:  # it may be there again in a moment
            await self._bell.wait()
            if self._silent():
                yield None
        finally:
            self._runs.feed.unsubscribe(self._owner, subscription)

    def _move(self, batch: list[Entry] | Snapshot) -> None:
        if isinstance(batch, Snapshot):
            self._after, self._ended = batch.seq, batch.message.ended
        else:
            self._after, self._ended = batch[-1].seq, batch[-1].last

    # One timer that looks now and then costs nothing per entry, as a deadline around every wait would.

    def _touch(self) -> None:
        self._told = asyncio.get_running_loop().time()

    def _silent(self) -> bool:
        if asyncio.get_running_loop().time() - self._told < self._beat:
            return False
        self._touch()
        return True

    def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        due = self._told + self._beat
        if loop.time() >= due:
            self._bell.ring()
            due = loop.time() + self._beat
        self._timer = loop.call_at(due, self._watch)
