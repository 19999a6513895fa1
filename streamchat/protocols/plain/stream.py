"""An answer as nothing but its text, piece by piece. Pure.

Rules:

* ``id: <run>:<seq>`` is the position of the reader, so that an ``EventSource`` that reconnects continues its answer.
* Line breaks in a piece are sent as several ``data`` lines. A piece that reads ``[DONE]`` is split: the end is ours.
* Errors come in an event of their own, so that text is only ever the model's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias

from streamchat.chat.events import ENDINGS, Event, Failed, Finished, Interrupted, TextDelta
from streamchat.chat.messages import Part, TextPart, utf16_length
from streamchat.chat.outcome import ending_of
from streamchat.errors import NotFound
from streamchat.protocols import encoding
from streamchat.runs.log import AnswerView, Entry, Snapshot
from streamchat.runs.reader import Encoder

NOT_KEPT = "The rest of this answer is no longer available piece by piece. The whole answer is at /api/runs/{}."
_LINE = re.compile("\r\n|\r|\n")
# Encodes a piece from its ``id`` line, its text, and its number in this stream (from 1).
Form: TypeAlias = Callable[[bytes, str, int], bytes]


class PlainEncoder(Encoder[bytes]):
    """Encodes the text. ``resumed``: the reader has a part of the answer already, so a snapshot is of no use."""

    def __init__(self, run_id: str, form: Form, *, resumed: bool = False) -> None:
        self._run_id = run_id
        self._form = form
        # The part and the offset in it (UTF-16 code units) up to which the reader has the text; ``None`` if unknown.
        self._position: tuple[int, int] | None = None if resumed else (-1, 0)
        self._number = 0
        self._last_id = b""

    def open(self) -> Iterable[bytes]:
        """See ``Encoder``."""
        return (encoding.RETRY,)

    def heartbeat(self) -> Iterable[bytes]:
        """See ``Encoder``."""
        return (encoding.COMMENT,)

    def snapshot(self, snapshot: Snapshot) -> Iterable[bytes]:
        """See ``Encoder``."""
        if self._position is None:
            self.done = True
            return (self._end(snapshot.seq, Interrupted(NOT_KEPT.format(self._run_id), kind="not-kept")),)
        part, offset = self._position
        rest = [p.text for p in snapshot.message.parts[part + 1 :] if isinstance(p, TextPart)]
        if 0 <= part < len(snapshot.message.parts) and isinstance(p := snapshot.message.parts[part], TextPart):
            rest.insert(0, _from_utf16(p.text, offset))
        self._position = len(snapshot.message.parts) - 1, utf16_length(_text_of(snapshot.message.parts[-1:]))
        events: list[Event] = [TextDelta("".join(rest))]
        if snapshot.message.ended:
            events.append(ending_of(snapshot.message))
        return self._pieces((snapshot.seq, event) for event in events)

    def entries(self, entries: Sequence[Entry], answer: AnswerView) -> Iterable[bytes]:
        """See ``Encoder``."""
        for entry in entries:
            if isinstance(entry.event, TextDelta) and entry.part is not None:
                self._position = entry.part, entry.offset + utf16_length(entry.event.text)
        return self._pieces((entry.seq, entry.event) for entry in entries)

    def deleted(self, error: NotFound) -> Iterable[bytes]:
        """See ``Encoder``."""
        return (encoding.sse_unnumbered(Failed(error.user_message, error.kind, retryable=False)),)

    def close(self) -> Iterable[bytes]:
        """See ``Encoder``."""
        return (self._last_id + encoding.DONE,)

    def _pieces(self, events: Iterable[tuple[int, Event]]) -> Iterator[bytes]:
        for seq, event in events:
            if isinstance(event, TextDelta) and event.text:
                self._number += 1
                yield self._form(self._id(seq), event.text, self._number)
            elif isinstance(event, ENDINGS):
                yield self._end(seq, event)

    def _id(self, seq: int) -> bytes:
        return f"id: {self._run_id}:{seq}\n".encode()

    def _end(self, seq: int, event: Event) -> bytes:
        """Return the error, if there was one. The id of the end, for a reconnect, is that of ``[DONE]``."""
        self._last_id = self._id(seq)
        if isinstance(event, Failed | Interrupted) or (isinstance(event, Finished) and event.reason not in ("stop",)):
            return self._id(seq) + encoding.sse_unnumbered(event)
        return b""


def _text_of(parts: Sequence[Part]) -> str:
    return "".join(part.text for part in parts if isinstance(part, TextPart))


def _from_utf16(text: str, offset: int) -> str:
    if text.isascii():
        return text[offset:]
    return text.encode("utf-16-le", "surrogatepass")[2 * offset :].decode("utf-16-le", "surrogatepass")


def text_form(id_line: bytes, text: str, number: int) -> bytes:
    """Return ``data: <text>``."""
    if text == "[DONE]":
        return _data(b"", "[DO") + _data(id_line, "NE]")
    return _data(id_line, text)


def token_form(id_line: bytes, text: str, number: int) -> bytes:
    """Return ``data: {"type": "token", "content": <text>, "token_num": <number>}``."""
    token = encoding.json_bytes({"type": "token", "content": text, "token_num": number})
    return b"%bdata: %b\n\n" % (id_line, token)


def _data(id_line: bytes, text: str) -> bytes:
    lines = "".join(f"data: {line}\n" for line in _LINE.split(text))
    return id_line + lines.encode("utf-8", "replace") + b"\n"
