"""What a page is told of an answer that grows, as small frames.

Knows entries of the log; knows nothing of tabs, conversations or Reflex. Rules:

* A frame carries what is new, never what the page has: its size grows neither with the answer nor with the history.
* Offsets count UTF-16 code units within a part, as the browser does.
* What waits is joined: a slow tab gets fewer and larger pieces, and slows nobody.
* Now and then, and at the end, a frame carries the CRC-32 of the answer's text so far (as UTF-8), which the page
  compares with what it has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count
from typing import Any, TypeAlias
from zlib import crc32

from streamchat.chat import events as e
from streamchat.chat.fold import Folding
from streamchat.chat.messages import Message, ReasoningPart, TextPart, whole
from streamchat.chat.outcome import explain, offers
from streamchat.chat.wire import message_to_wire, part_to_wire
from streamchat.runs.log import Entry, Snapshot

Frame: TypeAlias = dict[str, Any]
# Entries between two checksums.
CHECK_EVERY = 100
# A frame equal to the one before it would not reach the page.
_numbers = count(1)


def number() -> int:
    """A number that no other frame of this process has."""
    return next(_numbers)


def say(text: str, client_id: str | None = None) -> Frame:
    """A sentence beside the composer; with a client id, that message was refused."""
    frame = {"k": "say", "text": whole(text), "n": number()}
    return frame | {"client_id": whole(client_id)} if client_id else frame


def sent(client_id: str) -> Frame:
    """This message was accepted."""
    return {"k": "sent", "client_id": client_id, "n": number()}


def utf16(text: str) -> int:
    """Length in UTF-16 code units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def view(message: Message, seq: int) -> Frame:
    """A whole message for the page."""
    return message_to_wire(message) | {"seq": seq} | _outcome(message)


def _outcome(message: Message) -> Frame:
    """What the page says and offers under an answer that is not simply complete."""
    why = explain(message)
    return {"why": why, "offers": list(offers(message))} if why else {}


class LiveAnswer:
    """An answer that grows: what the page has of it, and the frames that bring it further."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.seq = snapshot.seq
        self._folding = Folding(snapshot.message)
        self._lengths = {
            i: utf16(p.text) for i, p in enumerate(snapshot.message.parts) if isinstance(p, TextPart | ReasoningPart)
        }
        self._id = snapshot.message.id
        self._checksum = crc32(whole(snapshot.message.text).encode())
        self._checked = 0

    def frames(self, entries: Iterable[Entry]) -> Iterator[Frame]:
        piece: Frame | None = None
        for entry in entries:
            self.seq, event = entry.seq, entry.event
            index = self._folding.add(event)
            if index is not None and isinstance(event, e.TextDelta | e.ReasoningDelta):
                if piece is not None and piece["p"] == index:
                    piece |= {"s": entry.seq, "t": piece["t"] + event.text}
                else:
                    if piece is not None:
                        yield piece
                    piece = self._piece(index, event, entry.seq)
                self._lengths[index] = self._lengths.get(index, 0) + utf16(event.text)
                self._check(piece, event)
                continue
            if piece is not None:
                yield piece
                piece = None
            yield from self._other(index, event)
        if piece is not None:
            yield piece

    def _piece(self, index: int, event: e.TextDelta | e.ReasoningDelta, seq: int) -> Frame:
        piece = {"m": self._id, "s": seq, "p": index, "o": self._lengths.get(index, 0), "t": event.text}
        return piece if isinstance(event, e.TextDelta) else piece | {"y": "reasoning"}

    def _check(self, piece: Frame, event: e.TextDelta | e.ReasoningDelta) -> None:
        """Keep the running checksum, and let the piece carry it from time to time."""
        if isinstance(event, e.TextDelta):
            self._checksum = crc32(whole(event.text).encode(), self._checksum)
            if "c" in piece or self.seq - self._checked >= CHECK_EVERY:
                self._checked, piece["c"] = self.seq, self._checksum

    def _other(self, index: int | None, event: e.Event) -> Iterator[Frame]:
        if isinstance(event, e.ToolCallArguments | e.UsageReported):
            return  # Fragments of JSON are nobody's reading; usage comes with the end.
        if isinstance(event, e.Ending):
            yield self._end()
        elif index is None:
            yield {"k": "message", "message": view(self._folding.message, self.seq)}
        else:
            part = part_to_wire(self._folding.part(index))
            yield {"k": "part", "m": self._id, "s": self.seq, "p": index, "part": part}

    def _end(self) -> Frame:
        whole = view(self._folding.message, self.seq)
        length = utf16(whole["text"])
        kept = {k: whole[k] for k in ("status", "stop_reason", "error", "usage", "why", "offers") if k in whole}
        return {"k": "end", "m": self._id, "s": self.seq, "length": length, "c": self._checksum, **kept}
