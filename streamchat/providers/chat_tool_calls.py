"""Tool calls in chat chunks, told apart as servers really send them. No I/O.

The dialect says: a call has an ``index``, its first delta an id and a name. Rules for the rest:

* A new id at an occupied index is a new call (a server that calls everything 0), unless the old one is
  in the middle of its arguments and the delta brings no other name (a server that renames per chunk).
* No index: an id is a call of its own; no id goes on with the last one, unless that is complete and a
  name comes again.
* Equal repeats of id and name are ignored; the first ones hold. Arguments may be an object.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from streamchat.providers.speech import Call, Speaker

_MARK = re.compile(r'["\\{}\[\]]')


class _Depth:
    """Whether pieces of JSON text, seen once each, are a closed object by now."""

    def __init__(self) -> None:
        self._seen = self._depth = 0
        self._in_string = self._escaped = False
        self.closed = False

    def look(self, pieces: list[str]) -> bool:
        for piece in pieces[self._seen :]:
            self._scan(piece)
        self._seen = len(pieces)
        return self.closed

    def _scan(self, piece: str) -> None:
        at = 0
        while at < len(piece):
            if self._escaped:
                self._escaped, at = False, at + 1
                continue
            mark = _MARK.search(piece, at)
            if mark is None:
                return
            at, char = mark.end(), mark.group()
            if char == '"':
                self._in_string = not self._in_string
            elif char == "\\":
                self._escaped = self._in_string
            elif not self._in_string:
                self._depth += 1 if char in "{[" else -1
                self.closed = self._depth <= 0 and char == "}"


class _Slot:
    """A call that is being received. It starts once its name is known; arguments wait for that."""

    def __init__(self, theirs: str) -> None:
        self.theirs = theirs
        self.name = ""
        self.call: Call | None = None
        self.pieces: list[str] = []
        self._depth = _Depth()

    @property
    def complete(self) -> bool:
        return self._depth.look(self.pieces)


class ToolCalls:
    """Feeds the deltas of ``tool_calls`` to a speaker."""

    def __init__(self, speaker: Speaker) -> None:
        self._speaker = speaker
        self._by_index: dict[Any, _Slot] = {}
        self._by_id: dict[str, _Slot] = {}
        self._slots: list[_Slot] = []

    def feed(self, deltas: Iterable[dict[str, Any]]) -> None:
        for delta in deltas:
            function = delta.get("function") or delta.get("custom") or {}
            name = function.get("name") or ""
            arguments = function.get("arguments", function.get("input"))
            if arguments is not None and not isinstance(arguments, str):
                arguments = json.dumps(arguments)
            slot = self._slot(delta.get("index"), str(delta.get("id") or ""), name)
            self._grow(slot, name, arguments or "")

    def close(self) -> None:
        """The stream is over: a call whose name never came starts without one."""
        for slot in self._slots:
            if slot.call is None and slot.pieces:
                self._start(slot)

    def _slot(self, index: Any, theirs: str, name: str) -> _Slot:
        if index is None:
            return self._without_index(theirs, name)
        old = self._by_index.get(index)
        if old is None or self._is_new(old, theirs, name):
            self._by_index[index] = old = self._new(theirs)
        elif theirs and not old.theirs:
            old.theirs = theirs
        return old

    def _is_new(self, old: _Slot, theirs: str, name: str) -> bool:
        if not theirs or not old.theirs or theirs == old.theirs:
            return False
        if name and name != old.name:
            return True
        return bool(name) if not old.pieces else old.complete

    def _without_index(self, theirs: str, name: str) -> _Slot:
        if theirs:
            return self._by_id.get(theirs) or self._new(theirs)
        last = self._slots[-1] if self._slots else None
        if last is None or (name and last.name and (name != last.name or last.complete)):
            return self._new("")
        return last

    def _new(self, theirs: str) -> _Slot:
        self._speaker.check_calls(len(self._slots))
        slot = _Slot(theirs)
        self._slots.append(slot)
        self._by_id[theirs] = slot
        return slot

    def _grow(self, slot: _Slot, name: str, arguments: str) -> None:
        slot.name = slot.name or name
        if arguments:
            slot.pieces.append(arguments)
        if slot.call is not None:
            self._speaker.arguments(slot.call, arguments)
        elif slot.name:
            self._start(slot)

    def _start(self, slot: _Slot) -> None:
        slot.call = self._speaker.call(slot.theirs, slot.name)
        for piece in slot.pieces:
            self._speaker.arguments(slot.call, piece)
