"""A growing answer as small frames for the page.

Knows entries of the log; knows nothing of tabs, conversations or Reflex. Rules:

* A frame carries only new content: its size grows neither with the answer nor with the history.
* The position of a piece (part, offset in UTF-16 code units) is in its entry. Anything else about the answer is looked
  up in the log's own fold, which is at least as far as the entries: a frame may show a little more than its number.
* A piece that continues the one before says nothing but its text: the socket brings each frame once, in its order. Each
  ``CHECK_EVERY`` entries, and where it does not continue, it has its number and its place.
* Waiting entries are joined: a slow tab gets fewer and larger pieces, and slows nobody.
* Of a known tool call only changes are sent (``tool_views``), in a frame ``patch``: part -> changed fields.
* With the place, and at the end, a frame carries the CRC-32 of the answer's text so far (as UTF-8), which the page
  compares with its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import count
from typing import Any, TypeAlias
from zlib import crc32

from streamchat.chat import events as e
from streamchat.chat.conversation_settings import ConversationSettings, options_to_fields
from streamchat.chat.messages import FilePart, Message, Part, ToolCallPart, repair_surrogates, utf16_length
from streamchat.chat.outcome import explain, offers
from streamchat.chat.wire import message_to_wire, part_to_wire
from streamchat.protocols.page.tool_views import Describe, ToolViews, tool_view, unknown
from streamchat.runs.log import AnswerView, Entry, Snapshot
from streamchat.runs.reader import Encoder

Frame: TypeAlias = dict[str, Any]
# Entries between two pieces with a place and a checksum.
CHECK_EVERY = 25
# A frame equal to the one before it would not reach the page.
_numbers = count(1)


def number() -> int:
    """Return a number that no other frame of this process has."""
    return next(_numbers)


def say(text: str, client_id: str | None = None, *, sign_in: bool = False) -> Frame:
    """Return the frame of a message beside the composer; with a client id, that message was refused.

    ``sign_in``: the session has ended, and the page leads to the sign-in.
    """
    frame = {"k": "say", "text": repair_surrogates(text), "n": number()} | ({"sign_in": True} if sign_in else {})
    return frame | {"client_id": repair_surrogates(client_id)} if client_id else frame


def sent(client_id: str) -> Frame:
    """Return the frame that acknowledges a message."""
    return {"k": "sent", "client_id": client_id, "n": number()}


def undecided(run_id: str, call_id: str, text: str, paths: Sequence[Sequence[str]] = ()) -> Frame:
    """Return the frame that rejects a decision about a tool call, with the reason. ``paths``: the bad arguments."""
    frame: Frame = {"k": "undecided", "m": run_id, "call": call_id, "text": repair_surrogates(text), "n": number()}
    return frame | {"paths": [list(path) for path in paths]} if paths else frame


def about(title: str, settings: ConversationSettings, compared: Sequence[str] = ()) -> Frame:
    """Return title, model and settings of a conversation for the page, and the answers that stand side by side."""
    frame: Frame = {"title": title, "model": settings.model, "settings": options_to_fields(settings.options)}
    return frame | {"compared": list(compared)} if compared else frame


def view(message: Message, seq: int, describe: Describe = unknown) -> Frame:
    """Return a whole message for the page. ``describe``: looks up the information about a tool."""
    parts = [_part(part, describe) for part in message.parts]
    timing = {} if message.timing is None else {"timing": dict(message.timing)}
    return message_to_wire(message) | {"parts": parts, "seq": seq} | timing | _outcome(message)


def _part(part: Part, describe: Describe) -> Frame:
    if isinstance(part, FilePart):
        part = replace(part, text="")  # the page shows its name
    return tool_view(part, describe) if isinstance(part, ToolCallPart) else part_to_wire(part)


def _outcome(message: Message) -> Frame:
    """Return the explanation and the offers under an answer that is not simply complete."""
    why = explain(message)
    return {"why": why, "offers": list(offers(message))} if why else {}


class PageEncoder(Encoder[Frame]):
    """Encodes a growing answer as frames, relative to what the page has of it.

    It starts with a snapshot: from ``view``, or from a reader with ``FROM_SNAPSHOT``.
    """

    def __init__(self, describe: Describe = unknown) -> None:
        self._describe = describe

    def view(self, snapshot: Snapshot) -> Frame:
        """Return the whole message, which the page has from here on."""
        self.seq = snapshot.seq
        self._id = snapshot.message.id
        self._status = snapshot.message.status
        self._tools = ToolViews(snapshot.message, self._describe)
        self._checksum = crc32(repair_surrogates(snapshot.message.text).encode())
        self._checked = snapshot.seq
        self._next: tuple[int | None, int] | None = None  # where the page's next piece belongs, if it says no place
        return view(snapshot.message, snapshot.seq, self._describe)

    def snapshot(self, snapshot: Snapshot) -> list[Frame]:
        """See ``Encoder``."""
        return [{"k": "messages", "messages": [self.view(snapshot)]}]

    def entries(self, entries: Sequence[Entry], answer: AnswerView) -> list[Frame]:
        """See ``Encoder``."""
        frames: list[Frame] = []
        joinable: Frame | None = None  # the last frame, if the next entry may join it
        for entry in entries:
            self.seq, event = entry.seq, entry.event
            if isinstance(event, e.TextDelta | e.ReasoningDelta):
                place = entry.part, entry.offset
                if joinable is None or "t" not in joinable or place != self._next:
                    frames.append(joinable := self._piece(entry, event))
                else:
                    joinable["t"] += event.text
                    if "s" in joinable:
                        joinable["s"] = entry.seq
                self._next = entry.part, entry.offset + utf16_length(event.text)
                self._check(joinable, event)
            elif isinstance(event, e.ToolCallArguments) and entry.part is not None:
                change = self._tools.grown(entry.part, event.fragment, entry.offset)
                if change or self._status_changed(answer):
                    if joinable is None or joinable.get("k") != "patch":
                        frames.append(joinable := {"k": "patch", "m": self._id, "set": {}})
                    self._patch(joinable, {entry.part: change}, answer)
            else:
                joinable = None
                if (frame := self._other(entry, answer)) is not None:
                    frames.append(frame)
        return frames

    def _piece(self, entry: Entry, event: e.TextDelta | e.ReasoningDelta) -> Frame:
        """Return the piece; with its place, if it does not continue the one before, or if a checksum is due."""
        piece: Frame = {"m": self._id, "t": event.text}
        due = self.seq - self._checked >= CHECK_EVERY
        if due or (entry.part, entry.offset) != self._next:
            piece |= {"s": entry.seq, "p": entry.part, "o": entry.offset}
            if isinstance(event, e.ReasoningDelta):
                piece["y"] = "reasoning"
        if due:
            self._checked, piece["c"] = self.seq, self._checksum
        return piece

    def _check(self, piece: Frame, event: e.TextDelta | e.ReasoningDelta) -> None:
        """Update the running checksum, and that of the piece if it has one."""
        if isinstance(event, e.TextDelta):
            self._checksum = crc32(repair_surrogates(event.text).encode(), self._checksum)
        if "c" in piece:
            piece["c"] = self._checksum

    def _other(self, entry: Entry, answer: AnswerView) -> Frame | None:
        event = entry.event
        if isinstance(event, e.Ending):
            return self._end(answer)
        if isinstance(event, e.Waiting):
            return self._changed(self._tools.calls(event.call_ids), answer)
        if entry.part is None:
            return None  # Usage comes with the end.
        part = answer.part(entry.part)
        if not isinstance(part, ToolCallPart):
            shown = part_to_wire(part)
        elif self._tools.knows(entry.part):
            return self._changed([entry.part], answer)
        else:
            shown = self._tools.whole(entry.part, part)
        return {"k": "part", "m": self._id, "s": self.seq, "p": entry.part, "part": shown} | self._status_change(answer)

    def _changed(self, indices: Iterable[int], answer: AnswerView) -> Frame | None:
        """Return the changes of these calls and of the status; ``None`` if the page has them already."""
        changes = self._changes(indices, answer)
        if not changes and not self._status_changed(answer):
            return None
        return self._patch({"k": "patch", "m": self._id, "set": {}}, changes, answer)

    def _changes(self, indices: Iterable[int], answer: AnswerView) -> dict[int, Frame]:
        parts = {index: answer.part(index) for index in indices}
        calls = {index: part for index, part in parts.items() if isinstance(part, ToolCallPart)}
        return {index: change for index, part in calls.items() if (change := self._tools.changed(index, part))}

    def _patch(self, patch: Frame, changes: dict[int, Frame], answer: AnswerView) -> Frame:
        patch["s"] = self.seq
        for index, change in changes.items():
            patch["set"][str(index)] = patch["set"].get(str(index), {}) | change
        patch |= self._status_change(answer)
        return patch

    def _status_changed(self, answer: AnswerView) -> bool:
        """Return whether the page has another status. The final status comes with the end."""
        return answer.status != self._status and answer.status in ("streaming", "waiting")

    def _status_change(self, answer: AnswerView) -> Frame:
        if not self._status_changed(answer):
            return {}
        self._status = answer.status
        return {"status": self._status}

    def _end(self, answer: AnswerView) -> Frame:
        whole = view(answer.message, self.seq, self._describe)
        length = utf16_length(whole["text"])
        names = ("status", "stop_reason", "error", "usage", "timing", "why", "offers")
        fields = {name: whole[name] for name in names if name in whole}
        # Calls that were not completed.
        if changes := self._changes(self._tools.calls(), answer):
            fields["set"] = {str(index): change for index, change in changes.items()}
        return {"k": "end", "m": self._id, "s": self.seq, "length": length, "c": self._checksum, **fields}
