"""Decoder of server-sent events, shared by the providers' streams and our own client.

Knows nothing of HTTP, JSON or time: bytes in, events out. Rules (WHATWG HTML 9.2, as browsers implement it):

* The events do not depend on how the bytes are split, and the work is linear in the bytes.
* A line ends in LF, CR or CRLF, nothing else. One leading byte order mark is dropped. Bytes that are
  not UTF-8 become U+FFFD in ``data``; ``raw`` has them as received.
* A block without ``data`` is no event, but its ``id`` counts. A last block without its blank line is no event.
* An incomplete event is buffered, up to ``max_event_bytes``; one byte more raises ``EventTooLarge``.
"""

from __future__ import annotations

from typing import NamedTuple

from streamchat.errors import StreamchatError

MAX_EVENT_BYTES = 16 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"
_MAX_RETRY_DIGITS = 15


class ServerSentEvent(NamedTuple):
    """One event. ``id``: the last id so far, ``""`` without one. ``retry``: milliseconds, if this event sets it."""

    event: str
    raw: bytes
    id: str = ""
    retry: int | None = None

    @property
    def data(self) -> str:
        """Return the data as text."""
        return self.raw.decode("utf-8", "replace")


class EventTooLarge(StreamchatError):
    """Raised if one event is larger than allowed. ``events``: the events before it in the same bytes."""

    kind = "event-too-large"

    def __init__(self, limit: int, events: list[ServerSentEvent]) -> None:
        super().__init__(f"The stream sent a single event of more than {limit:,} bytes.")
        self.events = events


class SSEDecoder:
    """Decoder of one stream. ``last_event_id`` and ``retry`` (milliseconds) hold the last value of the stream.

    ``data_fields``: non-standard field names. Without a ``data`` field, they are the data of an event of that name.
    """

    def __init__(self, *, max_event_bytes: int = MAX_EVENT_BYTES, data_fields: frozenset[bytes] = frozenset()) -> None:
        self.last_event_id = ""
        self.retry: int | None = None
        self._max = max_event_bytes
        self._data_fields = data_fields
        self._started = False
        self._after_cr = False
        self._held = bytearray()

    @property
    def held(self) -> int:
        """Return the number of buffered bytes of an incomplete event (lost at the end of the stream)."""
        return len(self._held)

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """Return the events that these bytes complete. Raises ``EventTooLarge``."""
        if not self._started:
            data = self._start(data)
        if self._after_cr or b"\r" in data:
            data = self._only_lf(data)
        held = self._held
        if held:
            seen = len(held) - 1
            held += data
            end = held.rfind(b"\n\n", seen)
            if end < 0:
                return self._check([])
            data = bytes(held[: end + 2])
            del held[: end + 2]
        blocks = data.split(b"\n\n")
        held[:0] = blocks.pop()
        limit = self._max
        events = []
        for block in blocks:
            if len(block) > limit:
                raise self._too_large(events)
            if block[:6] == b"data: " and b"\n" not in block:
                events.append(ServerSentEvent("message", block[6:], self.last_event_id))
            elif block[:7] == b"event: " and block.count(b"\n") == 1 and (at := block.find(b"\ndata: ")) > 7:
                name = block[7:at].decode("utf-8", "replace")
                events.append(ServerSentEvent(name, block[at + 7 :], self.last_event_id))
            elif (event := self._block(block)) is not None:
                events.append(event)
        return self._check(events)

    def rest(self) -> list[ServerSentEvent]:
        """Return the last event if its blank line is missing at the end of the stream.

        The standard drops it, and so does ``feed``: the caller must know by other means that it is complete.
        """
        block, self._held = bytes(self._held).rstrip(b"\n"), bytearray()
        event = self._block(block) if self._started and block else None
        return [] if event is None else [event]

    def _check(self, events: list[ServerSentEvent]) -> list[ServerSentEvent]:
        if len(self._held) > self._max + 1:  # the first half of the blank line may be buffered too
            raise self._too_large(events)
        return events

    def _too_large(self, events: list[ServerSentEvent]) -> EventTooLarge:
        self._held = bytearray()
        return EventTooLarge(self._max, events)

    def _start(self, data: bytes) -> bytes:
        """Drop one leading byte order mark, which may be split over several calls."""
        self._held += data
        if len(self._held) < len(_BOM) and _BOM.startswith(self._held):
            return b""
        self._started = True
        data, self._held = bytes(self._held), bytearray()
        return data.removeprefix(_BOM)

    def _only_lf(self, data: bytes) -> bytes:
        """Normalise line ends to LF; a CR at the end of these bytes may be the first half of a CRLF."""
        if self._after_cr and data:
            data = data.removeprefix(b"\n")
            self._after_cr = False
        if data.endswith(b"\r"):
            self._after_cr = True
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _block(self, block: bytes) -> ServerSentEvent | None:
        name, values, event_id, retry, other = b"", [], None, None, []
        for line in block.split(b"\n"):
            field, _, value = line.partition(b":")
            if value[:1] == b" ":
                value = value[1:]
            if field == b"data":
                values.append(value)
            elif field == b"event":
                name = value
            elif field == b"id" and b"\0" not in value:
                event_id = value
            elif field == b"retry" and value.isdigit() and len(value) <= _MAX_RETRY_DIGITS:
                self.retry = retry = int(value)
            elif field in self._data_fields:
                other.append((field, value))
        if event_id is not None:
            self.last_event_id = event_id.decode("utf-8", "replace")
        if not values and other:
            name, values = other[0][0], [value for _, value in other]
        if not values:
            return None
        kind = name.decode("utf-8", "replace") if name else "message"
        raw = values[0] if len(values) == 1 else b"\n".join(values)
        return ServerSentEvent(kind, raw, self.last_event_id, retry)
