"""Server-sent events out of bytes: the decoder that the providers' streams and our own client share.

Knows nothing of HTTP, JSON or time: bytes in, events out. Rules (WHATWG HTML 9.2, as browsers do it):

* However the bytes are split, the events are the same, and the work is linear in the bytes.
* A line ends in LF, CR or CRLF, nothing else. One leading byte order mark is dropped. Bytes that are
  not UTF-8 become U+FFFD in ``data``; ``raw`` has them as they came.
* An event without ``data`` is none, but its ``id`` counts. A last event without its blank line is none.
* What is unfinished is held, up to ``max_event_bytes``; one byte more raises ``EventTooLarge``.
"""

from __future__ import annotations

from typing import NamedTuple

from streamchat.errors import StreamchatError

MAX_EVENT_BYTES = 16 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"
_MAX_RETRY_DIGITS = 15


class ServerSentEvent(NamedTuple):
    """One event. ``id``: the last id so far, ``""`` without one; ``retry``: milliseconds, if this event set it."""

    event: str
    raw: bytes
    id: str = ""
    retry: int | None = None

    @property
    def data(self) -> str:
        """The data as text."""
        return self.raw.decode("utf-8", "replace")


class EventTooLarge(StreamchatError):
    """One event is larger than allowed. ``events``: those that came before it in the same bytes."""

    kind = "event-too-large"

    def __init__(self, limit: int, events: list[ServerSentEvent]) -> None:
        super().__init__(f"The stream sent a single event of more than {limit:,} bytes.")
        self.events = events


class SSEDecoder:
    """Decodes one stream. ``feed`` it whatever arrives; ``last_event_id`` and ``retry`` hold what was set last."""

    def __init__(self, *, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self.last_event_id = ""
        self.retry: int | None = None
        self._max = max_event_bytes
        self._started = False
        self._after_cr = False
        self._held = bytearray()

    @property
    def held(self) -> int:
        """Bytes of an event that is not complete yet (at the end of a stream: of one that is lost)."""
        return len(self._held)

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """The events that these bytes complete. Raises ``EventTooLarge``."""
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
            elif (event := self._block(block)) is not None:
                events.append(event)
        return self._check(events)

    def _check(self, events: list[ServerSentEvent]) -> list[ServerSentEvent]:
        if len(self._held) > self._max + 1:  # the first half of its blank line may be held too
            raise self._too_large(events)
        return events

    def _too_large(self, events: list[ServerSentEvent]) -> EventTooLarge:
        self._held = bytearray()
        return EventTooLarge(self._max, events)

    def _start(self, data: bytes) -> bytes:
        """Drop one leading byte order mark, which may come in pieces."""
        self._held += data
        if len(self._held) < len(_BOM) and _BOM.startswith(self._held):
            return b""
        self._started = True
        data, self._held = bytes(self._held), bytearray()
        return data.removeprefix(_BOM)

    def _only_lf(self, data: bytes) -> bytes:
        """Every line end as LF; a CR that ends these bytes may be the first half of a CRLF."""
        if self._after_cr and data:
            data = data.removeprefix(b"\n")
            self._after_cr = False
        if data.endswith(b"\r"):
            self._after_cr = True
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _block(self, block: bytes) -> ServerSentEvent | None:
        name, values, event_id, retry = b"", [], None, None
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
        if event_id is not None:
            self.last_event_id = event_id.decode("utf-8", "replace")
        if not values:
            return None
        kind = name.decode("utf-8", "replace") if name else "message"
        raw = values[0] if len(values) == 1 else b"\n".join(values)
        return ServerSentEvent(kind, raw, self.last_event_id, retry)
