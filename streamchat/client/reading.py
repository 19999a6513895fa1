"""A run as a reader has it: bytes in, numbered events out, folded into the message so far.

Knows nothing of HTTP, time or retries. Rules:

* Any number of connections may feed one reading; each event comes out once, in order. What was read before is dropped.
* A number that is missing is not passed over: ``Gap`` says so, and the reader connects anew from ``seq``.
* An event of a kind that this version does not know counts, and says nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from streamchat.chat.events import ENDINGS, Event
from streamchat.chat.fold import Folding
from streamchat.chat.messages import Message
from streamchat.chat.sse import EventTooLarge, ServerSentEvent, SSEDecoder
from streamchat.chat.wire import EVENT_TYPES, event_from_wire, message_from_wire
from streamchat.errors import OutOfOrder, StreamchatError

MAX_SEQ = 2**53


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole message so far: what a reader gets where single events are not kept, or were not asked for."""

    message: Message


Told: TypeAlias = Event | Snapshot


class Entry(NamedTuple):
    """What happened, and its place in the log: ``follow(run_id, after=seq)`` goes on behind it."""

    seq: int
    event: Told


class Gap(StreamchatError):
    """The stream cannot be used from here on: a number is missing, or an event is not what the API promises."""

    kind = "gap"


class Reading:
    """``seq``: the last number told. ``whole``: the message has its beginning, so that the fold is the whole answer.
    ``done``: the server has nothing more to say on this connection."""

    def __init__(self, run_id: str, *, after: int = 0, model: str = "", whole: bool = True) -> None:
        self.seq = after
        self.whole = whole
        self.ended = False
        self.done = False
        self._folding = Folding(Message(run_id, "assistant", status="streaming", model=model))
        self._decoder = SSEDecoder()

    @property
    def message(self) -> Message:
        """What is known of the answer so far."""
        return self._folding.message

    @property
    def retry_seconds(self) -> float | None:
        """What the server asked to wait before a reconnect."""
        return None if self._decoder.retry is None else self._decoder.retry / 1000

    def connect(self) -> None:
        """The next bytes are those of a new connection, opened after ``seq``."""
        self.done = False
        retry, self._decoder = self._decoder.retry, SSEDecoder()
        self._decoder.retry = retry

    def feed(self, data: bytes) -> Iterator[Entry]:
        """What these bytes complete, up to the ending. Raises ``Gap``; ``seq`` is that of the last one told."""
        try:
            events, broken = self._decoder.feed(data), None
        except EventTooLarge as error:
            events, broken = error.events, error
        for sent in events:
            if self.ended:
                return
            entry = self._take(sent)
            if entry is not None:
                yield entry
        if broken is not None:
            raise Gap(broken.user_message)

    def replace(self, seq: int, message: Message) -> Entry:
        """The server told the message as a whole."""
        self.seq, self.whole, self.ended = seq, True, message.ended
        self._folding = Folding(message)
        return Entry(seq, Snapshot(message))

    def _take(self, sent: ServerSentEvent) -> Entry | None:
        if sent.event == "message":
            self.done = sent.raw == b"[DONE]"
            return None
        try:
            number = _number(sent.id)
            if sent.event == "snapshot":
                return self.replace(number, message_from_wire(json.loads(sent.raw)["message"]))
            if number <= self.seq:
                return None
            if number > self.seq + 1:
                raise Gap(f"The server went from event {self.seq} to {number}.")
            if sent.event not in EVENT_TYPES:
                self.seq = number
                return None
            event = event_from_wire({**json.loads(sent.raw), "type": sent.event})
            self._add(event)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise Gap(f"The server sent an event that cannot be read ({type(error).__name__}).") from None
        self.seq, self.ended = number, isinstance(event, ENDINGS)
        return Entry(number, event)

    def _add(self, event: Event) -> None:
        try:
            self._folding.add(event)
        except OutOfOrder:
            # Read from the middle, the beginning of a call may not be here.
            if self.whole:
                raise Gap("The server sent events in an order that cannot be.") from None


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 16 and int(text) <= MAX_SEQ):
        raise Gap("The server sent an event without a number.")
    return int(text)
