"""Reader of a conversation: its messages in the order in which they were stored, and all events of its answers.

Knows the store, the notifications and a reader for each answer that has not ended; knows nothing of bytes. Rules:

* One cursor for all: how far the messages were read, and how far each answer among them that had not ended.
* Messages of all branches come, as they are stored; those that were deleted before they were read do not.
* While the store is away, the answers that are being written go on.
* It never ends by itself, except with the conversation (``NotFound``).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from time import monotonic
from typing import Protocol, TypeAlias

from streamchat.chat.events import Event
from streamchat.chat.messages import Message
from streamchat.chat.outcome import ending_of
from streamchat.errors import InvalidInput, NotFound, StorageError
from streamchat.runs.log import Entry, Snapshot
from streamchat.runs.reader import FROM_SNAPSHOT, HEARTBEAT_SECONDS, RunReader, Runs
from streamchat.runs.wakeup import Wakeup

PAGE = 50
MAX_OPEN = 100
PAUSE_SECONDS = 1.0
_CURSOR = re.compile(r"\d{1,9}(?:,\d{1,9}:\d{1,16})*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a conversation was read: every message up to ``position``, and of the answers in ``open`` the events up
    to a number. Written as ``8,7:120``."""

    position: int = 0
    open: Mapping[int, int] = field(default_factory=dict)

    def __str__(self) -> str:
        return ",".join([str(self.position), *(f"{position}:{seq}" for position, seq in sorted(self.open.items()))])

    def around(self, position: int) -> tuple[str, str]:
        """Return the text before and behind the number of the answer at ``position``, which is one of ``open``."""
        before = [f"{at}:{seq}" for at, seq in sorted(self.open.items()) if at < position]
        behind = [f",{at}:{seq}" for at, seq in sorted(self.open.items()) if at > position]
        return ",".join([str(self.position), *before, f"{position}:"]), "".join(behind)

    @classmethod
    def parse(cls, text: str | None) -> Cursor:
        """Parse what ``str`` returned; none is the beginning. Raises ``InvalidInput``."""
        if not text:
            return cls()
        if not _CURSOR.fullmatch(text) or text.count(",") > MAX_OPEN:
            raise InvalidInput("This is no position in a conversation.")
        position, *pairs = text.split(",")
        return cls(int(position), {int(at): int(seq) for at, seq in (pair.split(":") for pair in pairs)})


class Placed(Protocol):
    """A message as stored."""

    @property
    def position(self) -> int:
        """Its number in the conversation, from 1."""
        ...

    @property
    def parent_id(self) -> str | None:
        """The message that it follows, ``None`` at the beginning."""
        ...

    @property
    def seq(self) -> int:
        """The number of the last event in it."""
        ...

    @property
    def message(self) -> Message:
        """The message; that of an answer in progress as far as it is stored."""
        ...


class Messages(Protocol):
    """What the reader needs of the store."""

    async def messages_after(
        self, owner: str, conversation_id: str, position: int, also: Sequence[int], limit: int
    ) -> Sequence[Placed]:
        """Return messages behind a position, and those at the positions ``also``. Raises ``NotFound``."""
        ...


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened, and the cursor after it.

    ``placed``: a message that came, if ``event`` is ``None``; else the answer to which the event or snapshot belongs.
    ``seq``: the number of the event in the log of its answer. ``entry``: the entry of that log, if it comes from it.
    """

    cursor: str
    placed: Placed
    event: Event | Snapshot | None = None
    seq: int = 0
    entry: Entry | None = None


Steps: TypeAlias = Iterable[Step]


@dataclass(frozen=True, slots=True)
class Page:
    """``more``: whether others may follow these."""

    messages: Sequence[Placed]
    more: bool


class ConversationReader:
    """Reads one conversation from a cursor on, for ``seconds`` at most. ``close`` ends it, from any task.

    ``watch``: registers ``close`` with whoever revokes what the reader may read, and returns what ends that.
    """

    def __init__(
        self,
        runs: Runs,
        messages: Messages,
        owner: str,
        conversation_id: str,
        cursor: Cursor,
        *,
        seconds: float = inf,
        watch: Callable[[Callable[[], None]], Callable[[], None]] | None = None,
        heartbeat: float = HEARTBEAT_SECONDS,
    ) -> None:
        self.closed = False
        self._runs, self._messages = runs, messages
        self._owner, self._conversation_id = owner, conversation_id
        self._position = cursor.position
        self._resumed = dict(cursor.open)
        self._seconds, self._watch, self._heartbeat = seconds, watch, heartbeat
        self._wakeup = Wakeup()
        self._live: dict[int, tuple[Placed, RunReader]] = {}

    @property
    def cursor(self) -> Cursor:
        """How far it is."""
        live = {position: max(0, reader.seq) for position, (_, reader) in self._live.items()}
        return Cursor(self._position, self._resumed | live)

    def close(self) -> None:
        """End it."""
        self.closed = True
        self._wakeup.set()

    async def batches(self) -> AsyncGenerator[Steps | None, None]:
        """Yield what is new, and ``None`` after each heartbeat of silence. Raises ``NotFound``. Close the generator."""
        subscription = self._runs.feed.subscribe(self._owner, self._wakeup)
        unwatch = self._watch(self.close) if self._watch else None
        # The messages are read beside the answers, which go on however long it takes.
        reading: asyncio.Task[Page | StorageError | NotFound] | None = None
        due, retry_at, until = True, 0.0, monotonic() + self._seconds
        silent_at = monotonic() + self._heartbeat
        try:
            while not self.closed:
                if reading is not None and reading.done():
                    page, reading = reading.result(), None
                    if isinstance(page, NotFound):
                        raise page
                    if isinstance(page, StorageError):  # it may be there again in a moment
                        due, retry_at = True, monotonic() + PAUSE_SECONDS
                    else:
                        due |= page.more
                        for steps in self._arrived(page):
                            yield steps
                            silent_at = monotonic() + self._heartbeat
                if due and reading is None and monotonic() >= retry_at:
                    due, reading = False, self._wakeup.task(self._page(), "messages")
                for position, (placed, reader) in list(self._live.items()):
                    if steps := await self._grown(position, placed, reader):
                        yield steps
                        silent_at = monotonic() + self._heartbeat
                now = monotonic()
                if now >= until and reading is None:
                    break
                due |= now < until and any([self._concerns(note.conversation_id) for note in subscription.take()])
                wakes = [silent_at] if reading else [silent_at, until, retry_at if due else inf]
                if min(wakes) > now and not self.closed:
                    await self._wakeup.wait(min(wakes) - now)
                if monotonic() >= silent_at:
                    yield None
                    silent_at = monotonic() + self._heartbeat
        finally:
            if reading is not None:
                reading.cancel()
            if unwatch is not None:
                unwatch()
            self._runs.feed.unsubscribe(self._owner, subscription)
            for _, reader in self._live.values():
                reader.close()
            self._wakeup.close()

    async def _page(self) -> Page | StorageError | NotFound:
        """Return the next messages, or why there are none."""
        also = sorted(self._resumed)  # they come first, and all of them
        limit = PAGE + len(also)
        try:
            found = await self._messages.messages_after(self._owner, self._conversation_id, self._position, also, limit)
        except (StorageError, NotFound) as error:
            return error
        return Page(found, len(found) == limit)

    def _arrived(self, page: Page) -> Iterator[list[Step]]:
        for placed in page.messages:
            if steps := self._begin(placed):
                yield steps
        self._resumed = {}  # what is not there any more was deleted

    def _concerns(self, conversation_id: str) -> bool:
        return conversation_id in ("", self._conversation_id)

    def _begin(self, placed: Placed) -> list[Step]:
        """Return the steps for a message that is read for the first time; follow it if it is an answer in progress."""
        position, message = placed.position, placed.message
        resumed = self._resumed.pop(position, None)
        self._position = max(self._position, position)
        just_ended = message.ended and self._times_follow(message)
        if resumed is None and message.ended and not just_ended:
            if message.role != "assistant":
                return [Step(str(self.cursor), placed)]
            return [Step(str(self._cursor_with(position, 0)), placed), *self._whole(placed, message, placed.seq)]
        start = FROM_SNAPSHOT if just_ended else 0
        reader = RunReader(
            self._runs, self._owner, message.id, start if resumed is None else resumed, wakeup=self._wakeup
        )
        self._live[position] = placed, reader
        self._wakeup.set()
        return [] if resumed is not None else [Step(str(self.cursor), placed)]

    def _times_follow(self, message: Message) -> bool:
        """Return whether the answer's ending is stored, but not its times yet, which its log is about to have."""
        if message.role != "assistant" or message.timing is not None:
            return False
        try:
            self._runs.log.view(message.id)
        except NotFound:
            return False
        return True

    def _whole(self, placed: Placed, message: Message, seq: int) -> list[Step]:
        """Return the steps for a snapshot. Between it and the ending it is as if the ending had not been read."""
        snapshot = Snapshot(seq, message)
        if not message.ended:
            return [Step(str(self.cursor), placed, snapshot)]
        before = str(self._cursor_with(placed.position, max(0, seq - 1)))
        return [Step(before, placed, snapshot), Step(str(self.cursor), placed, ending_of(message), seq)]

    def _cursor_with(self, position: int, seq: int) -> Cursor:
        return Cursor(self._position, {**self.cursor.open, position: seq})

    async def _grown(self, position: int, placed: Placed, reader: RunReader) -> list[Step]:
        try:
            batch = await reader.take()
        except NotFound:  # the answer was deleted
            batch = None
            reader.ended = True
        if reader.ended:
            del self._live[position]
            reader.close()
        if batch is None:
            return []
        if isinstance(batch, Snapshot):
            return self._whole(placed, batch.message, batch.seq)
        after = self.cursor
        before, behind = after.around(position)
        return [
            Step(
                str(after) if entry.last else f"{before}{entry.seq}{behind}",
                placed,
                entry.event,
                entry.seq,
                entry,
            )
            for entry in batch
        ]
