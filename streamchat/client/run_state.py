"""A client's copy of a run: bytes in, numbered events out, folded into the message so far.

Knows nothing of HTTP, time or retries. Rules:

* Several connections in turn may feed one state. Each event comes out once, in order; repeats are dropped.
* A missing number raises ``Gap``, and the client reconnects from ``seq``.
* An event of an unknown kind counts, and is not returned.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from streamchat.chat.events import ENDINGS, Event
from streamchat.chat.fold import Folding
from streamchat.chat.messages import Message
from streamchat.chat.sse import EventTooLarge, ServerSentEvent, SSEDecoder
from streamchat.chat.wire import EVENT_TYPES, event_from_wire, message_from_wire
from streamchat.errors import OutOfOrder, StreamchatError

MAX_SEQ = 2**53


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole message so far: stands for events that the server no longer has, or that were not asked for."""

    message: Message


ClientEvent: TypeAlias = Event | Snapshot


class Entry(NamedTuple):
    """An event and its number in the log: ``follow(run_id, after=seq)`` continues after it."""

    seq: int
    event: ClientEvent


class ConversationEvent(NamedTuple):
    """An event of a conversation: a message, or an event of one of its runs.

    ``cursor``: the next reader resumes after it. ``data``: the event as JSON, with its ``type`` and its ``run_id``.
    """

    cursor: str
    data: dict[str, Any]


def conversation_events_from(decoder: SSEDecoder, data: bytes) -> Iterator[ConversationEvent]:
    """Yield the events that these bytes complete. Raises ``Gap`` for what cannot be read."""
    try:
        for event in decoder.feed(data):
            if event.raw != b"[DONE]":
                yield ConversationEvent(event.id, {**json.loads(event.raw), "type": event.event})
    except (EventTooLarge, ValueError, TypeError, RecursionError) as error:
        raise Gap(f"The server sent an event that cannot be read ({type(error).__name__}).") from None


class Gap(StreamchatError):
    """A number is missing, or an event does not follow the API: the stream cannot be used from here on."""

    kind = "gap"


class RunState:
    """The state of one run on the client's side.

    ``seq``: the last number returned. ``whole``: the message has its beginning, so the fold is the whole answer.
    ``done``: the server sends nothing more on this connection.
    """

    def __init__(self, run_id: str, *, after: int = 0, model: str = "", whole: bool = True) -> None:
        self.seq = after
        self.whole = whole
        self.ended = False
        self.done = False
        self._folding = Folding(Message(run_id, "assistant", status="streaming", model=model))
        self._decoder = SSEDecoder()

    @property
    def message(self) -> Message:
        """The answer as far as it was read."""
        return self._folding.message

    @property
    def retry_seconds(self) -> float | None:
        """Seconds to wait before a reconnect, if the server named them."""
        return None if self._decoder.retry is None else self._decoder.retry / 1000

    def connect(self) -> None:
        """Expect the bytes of a new connection, opened after ``seq``."""
        self.done = False
        retry, self._decoder = self._decoder.retry, SSEDecoder()
        self._decoder.retry = retry

    def feed(self, data: bytes) -> Iterator[Entry]:
        """Yield the events that these bytes complete, up to the ending. Raises ``Gap``."""
        try:
            events, too_large = self._decoder.feed(data), None
        except EventTooLarge as error:
            events, too_large = error.events, error
        for event in events:
            if self.ended:
                return
            entry = self._read(event)
            if entry is not None:
                yield entry
        if too_large is not None:
            raise Gap(too_large.user_message)

    def replace(self, seq: int, message: Message) -> Entry:
        """Take the message as the server has it after entry ``seq``."""
        self.seq, self.whole, self.ended = seq, True, message.ended
        self._folding = Folding(message)
        return Entry(seq, Snapshot(message))

    def _read(self, sse: ServerSentEvent) -> Entry | None:
        if sse.event == "message":
            self.done = sse.raw == b"[DONE]"
            return None
        try:
            number = _number(sse.id)
            if sse.event == "snapshot":
                return self.replace(number, message_from_wire(json.loads(sse.raw)["message"]))
            if number <= self.seq:
                return None
            if number > self.seq + 1:
                raise Gap(f"The server went from event {self.seq} to {number}.")
            if sse.event not in EVENT_TYPES:
                self.seq = number
                return None
            event = event_from_wire({**json.loads(sse.raw), "type": sse.event})
            self._add(event)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise Gap(f"The server sent an event that cannot be read ({type(error).__name__}).") from None
        self.seq, self.ended = number, isinstance(event, ENDINGS)
        return Entry(number, event)

    def _add(self, event: Event) -> None:
        try:
            self._folding.add(event)
        except OutOfOrder:
            # Read from the middle, the start of a call may be missing.
            if self.whole:
                raise Gap("The server sent events in an impossible order.") from None


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 16 and int(text) <= MAX_SEQ):
        raise Gap("The server sent an event without a number.")
    return int(text)
