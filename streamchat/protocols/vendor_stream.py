"""A run in a vendor's format: events, replayed if the log has only a snapshot, through the writer of one format. Pure.

Knows the ``Dialect``, no vendor.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from streamchat.chat import events as e
from streamchat.chat.messages import Message
from streamchat.errors import NotFound, StreamchatError
from streamchat.protocols.replay import Replay
from streamchat.protocols.vendor_errors import Failure
from streamchat.runs.log import AnswerView, Entry, Snapshot
from streamchat.runs.reader import Encoder


class Writer(Protocol):
    """How one format streams an answer. ``heartbeat``: the bytes that fill a silence."""

    heartbeat: bytes

    def open(self) -> bytes:
        """Return the start of a stream."""
        ...

    def add(self, event: e.Event) -> bytes:
        """Return the bytes for this event; for an ending, the whole rest of the stream."""
        ...


class Dialect(Writer, Protocol):
    """How one vendor's API answers. Created for one request."""

    def begin(self, run_id: str, created: int, reasoning_count: int = 0) -> None:
        """Set the run. ``created``: Unix seconds. ``reasoning_count``: the number of reasoning parts in the answer's
        prefix.
        """
        ...

    def whole(self, message: Message) -> Mapping[str, Any]:
        """Return the response body of an answer that ended well."""
        ...

    def failure(self, error: StreamchatError) -> Failure:
        """Return the error response."""
        ...


class VendorEncoder(Encoder[bytes]):
    """Encodes a run with a writer.

    ``ends_waiting``: the stream ends if the answer waits for approval; the client's next request continues it.
    ``has_content``: there was content of the answer itself. ``had_heartbeat``: there was a heartbeat.
    ``headers_sent``: to be
    set once no error status can be sent any more.
    """

    def __init__(self, writer: Writer, replay: Replay, *, ends_waiting: bool = False) -> None:
        self.has_content = False
        self.had_heartbeat = False
        self.ending: e.Ending | None = None
        self.headers_sent = False
        self._writer = writer
        self._replay = replay
        self._ends_waiting = ends_waiting

    def open(self) -> Iterable[bytes]:
        """See ``Encoder``."""
        return (self._writer.open(),)

    def heartbeat(self) -> Iterable[bytes]:
        """See ``Encoder``."""
        self.had_heartbeat = True
        return (self._writer.heartbeat,)

    def snapshot(self, snapshot: Snapshot) -> Iterable[bytes]:
        """See ``Encoder``."""
        return self._add(self._replay.snapshot(snapshot))

    def entries(self, entries: Sequence[Entry], answer: AnswerView) -> Iterable[bytes]:
        """See ``Encoder``."""
        return self._add(self._replay.entries(entries))

    def deleted(self, error: NotFound) -> Iterable[bytes]:
        """See ``Encoder``. Raises the error if a status can still be sent."""
        if not self.headers_sent:
            raise error
        return (self._writer.add(e.Failed(error.user_message, error.kind, retryable=False)),)

    def _add(self, events: Sequence[e.Event]) -> Iterable[bytes]:
        for event in events:
            if isinstance(event, e.ENDINGS):
                self.ending = event
            elif isinstance(event, e.Waiting):
                self.done = self.done or self._ends_waiting
            self.has_content = self.has_content or is_content(event)
        chunk = b"".join(map(self._writer.add, events))
        return (chunk,) if chunk else ()


def is_content(event: e.Event) -> bool:
    """Return whether this event is content of the answer itself."""
    if isinstance(event, e.Notice):
        return event.kind == "refusal"
    return not isinstance(event, (e.UsageReported, *e.ENDINGS))
