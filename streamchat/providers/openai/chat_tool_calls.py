"""Tool calls in chat chunks, told apart as servers really send them. No I/O.

By the standard, a call has an ``index``, and its first delta an id and a name. Rules for the rest:

* A new id at an occupied index is a new call (a server that numbers every call 0), unless the old one is
  in the middle of its arguments and the delta brings no other name (a server that renames per chunk).
* A name again without an id, after complete arguments, is a new call; if it brings the same arguments or
  none, it is the same call again.
* No index: an id is a call of its own; without an id the last call continues, unless that is complete and a
  name comes again.
* A name may come in pieces: the call starts once it cannot grow any more. Equal repeats of id and name are
  ignored. Arguments may be an object.
* A call that never gets a name belongs to the only call that waits for arguments; if that is ambiguous, none runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from streamchat.providers.event_builder import Call, EventBuilder
from streamchat.providers.tolerant_json import JSONDepth


class _Slot:
    """A call that is being received. It starts once its name is known; arguments wait for that.

    ``echo_of``: the call that this may be a repetition of, until its arguments differ.
    """

    def __init__(self, provider_id: str, index: Any = None) -> None:
        self.provider_id = provider_id
        self.index = index
        self.echo_of: _Slot | None = None
        self.name = ""
        self.call: Call | None = None
        self.pieces: list[str] = []
        self._depth = JSONDepth()

    @property
    def closed(self) -> bool:
        return self._depth.is_closed(self.pieces)

    @property
    def complete(self) -> bool:
        """Whether the arguments are closed; ``{}`` may be a placeholder."""
        return self.closed and "".join(self.pieces).strip() != "{}"

    def check_echo(self) -> None:
        """Clear ``echo_of`` if the arguments differ from those of the call before."""
        if self.echo_of is not None and not "".join(self.echo_of.pieces).startswith("".join(self.pieces)):
            self.echo_of = None

    @property
    def is_waiting(self) -> bool:
        return self.call is None and bool(self.name) and self.echo_of is None


# The names of a call's arguments, the usual one first.
_ARGUMENTS = ("arguments", "input", "parameters", "args")


class ToolCalls:
    """Feeds the deltas of ``tool_calls`` to an event builder."""

    def __init__(self, builder: EventBuilder) -> None:
        self._builder = builder
        self._by_index: dict[Any, _Slot] = {}
        self._by_id: dict[str, _Slot] = {}
        self._slots: list[_Slot] = []

    def feed(self, deltas: Iterable[dict[str, Any]]) -> None:
        """Process the deltas of one chunk."""
        for delta in deltas:
            # Some servers leave out the function around name and arguments, or call the arguments otherwise.
            function = delta.get("function") or delta.get("custom") or delta
            name = function.get("name") or ""
            arguments = next((value for key in _ARGUMENTS if (value := function.get(key))), function.get("arguments"))
            if arguments is not None and not isinstance(arguments, str):
                arguments = json.dumps(arguments)
            slot = self._slot(delta.get("index"), str(delta.get("id") or ""), name)
            self._grow(slot, name, arguments or "")

    @property
    def has_waiting(self) -> bool:
        """Whether there is a call whose name may still grow."""
        return bool(self._slots) and self._slots[-1].is_waiting

    def start_waiting(self) -> None:
        """Start waiting calls: something other than calls follows, so names do not grow any more."""
        for slot in self._slots:
            if slot.is_waiting:
                self._start(slot)

    def close(self) -> None:
        """Process the end of the stream: a call without a name is a fragment of another call, or an invalid call."""
        for slot in self._slots:
            if slot.pieces and not slot.closed:
                slot.echo_of = None
        self.start_waiting()
        nameless = [slot for slot in self._slots if slot.call is None and slot.pieces and not slot.name]
        if not nameless:
            return
        if any(slot.call is not None and not slot.call.complete for slot in self._slots):
            for slot in nameless:
                self._builder.stray(id(slot), "".join(slot.pieces))
        else:
            for slot in nameless:
                self._start(slot)

    def _slot(self, index: Any, provider_id: str, name: str) -> _Slot:
        if index is None:
            return self._without_index(provider_id, name)
        old = self._by_index.get(index)
        if old is None or self._is_new(old, provider_id, name):
            slot = self._new(provider_id, index)
            if old is not None and not provider_id and name == old.name:
                slot.echo_of = old
            self._by_index[index] = old = slot
        elif provider_id and not old.provider_id:
            old.provider_id = provider_id
        return old

    def _is_new(self, old: _Slot, provider_id: str, name: str) -> bool:
        if provider_id and provider_id == old.provider_id:
            return False
        if not provider_id or not old.provider_id:
            return bool(name and old.name) and (old.complete if name == old.name else old.closed)
        if name and name != old.name:
            return True
        return bool(name) if not old.pieces else old.closed

    def _without_index(self, provider_id: str, name: str) -> _Slot:
        if provider_id:
            return self._by_id.get(provider_id) or self._new(provider_id)
        last = self._slots[-1] if self._slots else None
        if last is None or (name and last.name and (last.complete if name == last.name else last.closed)):
            slot = self._new("")
            if last is not None and name == last.name:
                slot.echo_of = last
            return slot
        if name or last.pieces or not last.name:
            return last
        # The owner of these arguments is not named. If another call waits for some too, it cannot be known.
        waiting = [slot for slot in self._slots if slot.name and not slot.complete]
        return last if len(waiting) == 1 else self._new("")

    def _new(self, provider_id: str, index: Any = None) -> _Slot:
        self._builder.check_calls(len(self._slots))
        self.start_waiting()
        slot = _Slot(provider_id, index)
        self._slots.append(slot)
        if provider_id:
            self._by_id[provider_id] = slot
        return slot

    def _grow(self, slot: _Slot, name: str, arguments: str) -> None:
        if slot.call is not None:
            if arguments:
                slot.pieces.append(arguments)
                self._builder.arguments(slot.call, arguments)
            return
        had_name = bool(slot.name)
        if name and name != slot.name:
            slot.name = name if name.startswith(slot.name) else slot.name + name
        if arguments:
            slot.pieces.append(arguments)
            slot.check_echo()
        if slot.is_waiting and (slot.complete or (had_name and (arguments or name) and name in ("", slot.name))):
            self._start(slot)

    def _start(self, slot: _Slot) -> None:
        slot.call = self._builder.call(slot.provider_id, slot.name)
        for piece in slot.pieces:
            self._builder.arguments(slot.call, piece)
