"""What a page is told of an answer that grows, as small frames.

Knows entries of the log; knows nothing of tabs, conversations or Reflex. Rules:

* A frame carries what is new, never what the page has: its size grows neither with the answer nor with the history.
* Offsets count UTF-16 code units within a part, as the browser does.
* What waits is joined: a slow tab gets fewer and larger pieces, and slows nobody.
* Of a tool call that is there only what changed is told (``toolviews``), in a frame ``patch``: part -> changed fields.
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
from streamchat.chat.messages import Message, Part, ReasoningPart, TextPart, ToolCallPart, whole
from streamchat.chat.outcome import explain, offers
from streamchat.chat.wire import message_to_wire, part_to_wire
from streamchat.runs.log import Entry, Snapshot
from streamchat.ui.toolviews import Describe, ToolViews, tool_view, unknown

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


def undecided(run_id: str, call_id: str, text: str) -> Frame:
    """A decision about a tool call was not taken: why."""
    return {"k": "undecided", "m": run_id, "call": call_id, "text": whole(text), "n": number()}


def utf16(text: str) -> int:
    """Length in UTF-16 code units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def view(message: Message, seq: int, describe: Describe = unknown) -> Frame:
    """A whole message for the page; ``describe`` says what is known of a tool."""
    parts = [_part(part, describe) for part in message.parts]
    return message_to_wire(message) | {"parts": parts, "seq": seq} | _outcome(message)


def _part(part: Part, describe: Describe) -> Frame:
    return tool_view(part, describe) if isinstance(part, ToolCallPart) else part_to_wire(part)


def _outcome(message: Message) -> Frame:
    """What the page says and offers under an answer that is not simply complete."""
    why = explain(message)
    return {"why": why, "offers": list(offers(message))} if why else {}


class LiveAnswer:
    """An answer that grows: what the page has of it, and the frames that bring it further."""

    def __init__(self, snapshot: Snapshot, describe: Describe = unknown) -> None:
        self.seq = snapshot.seq
        self._folding = Folding(snapshot.message)
        self._lengths = {
            i: utf16(p.text) for i, p in enumerate(snapshot.message.parts) if isinstance(p, TextPart | ReasoningPart)
        }
        self._id = snapshot.message.id
        self._describe = describe
        self._status = snapshot.message.status
        self._tools = ToolViews(snapshot.message, describe)
        self._checksum = crc32(whole(snapshot.message.text).encode())
        self._checked = 0

    def frames(self, entries: Iterable[Entry]) -> Iterator[Frame]:
        waiting: Frame | None = None  # what the next entry may join
        for entry in entries:
            self.seq, event = entry.seq, entry.event
            index = self._folding.add(event)
            if index is not None and isinstance(event, e.TextDelta | e.ReasoningDelta):
                if waiting is not None and waiting.get("p") == index:
                    waiting |= {"s": entry.seq, "t": waiting["t"] + event.text}
                else:
                    if waiting is not None:
                        yield waiting
                    waiting = self._piece(index, event, entry.seq)
                self._lengths[index] = self._lengths.get(index, 0) + utf16(event.text)
                self._check(waiting, event)
            elif index is not None and isinstance(event, e.ToolCallArguments):
                change = self._tools.grown(index, event.fragment)
                if change or self._folding.status != self._status:
                    if waiting is not None and waiting.get("k") != "patch":
                        yield waiting
                        waiting = None
                    waiting = self._patch({index: change}, waiting)
            else:
                if waiting is not None:
                    yield waiting
                    waiting = None
                yield from self._other(index, event)
        if waiting is not None:
            yield waiting

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
        if isinstance(event, e.UsageReported):
            return  # It comes with the end.
        if isinstance(event, e.Ending):
            yield self._end()
        elif isinstance(event, e.Waiting):
            yield self._patch(self._changed(self._tools.calls(event.call_ids)))
        elif index is None:
            yield {"k": "message", "message": view(self._folding.message, self.seq, self._describe)}
        else:
            yield self._placed(index)

    def _placed(self, index: int) -> Frame:
        """A part that is new to the page, or what changed of a tool call that it has."""
        part = self._folding.part(index)
        if not isinstance(part, ToolCallPart):
            told = part_to_wire(part)
        elif self._tools.knows(index):
            return self._patch(self._changed([index]))
        else:
            told = self._tools.whole(index, part)
        return {"k": "part", "m": self._id, "s": self.seq, "p": index, "part": told} | self._moved()

    def _changed(self, indices: Iterable[int]) -> dict[int, Frame]:
        parts = {index: self._folding.part(index) for index in indices}
        calls = {index: part for index, part in parts.items() if isinstance(part, ToolCallPart)}
        return {index: change for index, part in calls.items() if (change := self._tools.changed(index, part))}

    def _patch(self, changes: dict[int, Frame], joined: Frame | None = None) -> Frame:
        patch = joined or {"k": "patch", "m": self._id, "set": {}}
        patch["s"] = self.seq
        for index, change in changes.items():
            patch["set"][str(index)] = patch["set"].get(str(index), {}) | change
        return patch | self._moved()

    def _moved(self) -> Frame:
        """The status, where the page has another."""
        if self._folding.status == self._status:
            return {}
        self._status = self._folding.status
        return {"status": self._status}

    def _end(self) -> Frame:
        whole = view(self._folding.message, self.seq, self._describe)
        length = utf16(whole["text"])
        kept = {k: whole[k] for k in ("status", "stop_reason", "error", "usage", "why", "offers") if k in whole}
        # Calls that did not come to their end.
        if changes := self._changed(self._tools.calls()):
            kept["set"] = {str(index): change for index, change in changes.items()}
        return {"k": "end", "m": self._id, "s": self.seq, "length": length, "c": self._checksum, **kept}
