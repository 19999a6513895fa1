"""The event builder that every adapter's ``Normaliser`` uses: ordered events, tool calls with their arguments, limits.

Knows no vendor. Rules:

* Text, reasoning and arguments are emitted as they arrive; only half a surrogate pair waits for its other half.
* A call's id is unique in its run: a missing or repeated one is replaced, deterministically.
* Whether a call may run is known only at the end: ``ToolCallReady`` for arguments that parse strictly,
  ``ToolResult`` with state ``invalid`` for others, and never a ready call if the answer was cut off.
* Arguments are never invented: those without a call go to the only call that waits for some, or no such call runs.
* A hostile provider meets a limit on characters and calls, and the answer is aborted there. A value that is not
  text where text belongs is a ``TypeError``, which means the same to the caller.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from streamchat.chat import events as e
from streamchat.errors import StreamBroken
from streamchat.providers.tolerant_json import JSONDepth, mend, mend_all, opens_half, read_arguments

Json = Any


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one answer. Bytes are counted after decompression. ``arguments``: characters of one call."""

    event_bytes: int = 16 * 1024 * 1024
    total_bytes: int = 128 * 1024 * 1024
    events: int = 2_000_000
    characters: int = 16 * 1024 * 1024
    arguments: int = 2 * 1024 * 1024
    calls: int = 512


LIMITS = Limits()
MAX_NAME, MAX_URL = 256, 4096


@dataclass(slots=True)
class Call:
    """A tool call under way.

    ``provider_id``: the id from the provider. ``closed``: its arguments are final. ``lost``: some of them may belong to
    another call. ``repeats``: fragments after a closed object. ``placeholder``: the ``{}`` so far may be followed by
    the
    real arguments. ``text_after``: characters of text between it and the next call, for rebuilding the history.
    """

    id: str
    provider_id: str
    name: str
    by_provider: bool
    opaque: dict[str, Json] | None = None
    pieces: list[str] = field(default_factory=list)
    text_after: int = 0
    size: int = 0
    closed: bool = False
    answered: bool = False
    lost: bool = False
    repeats: list[str] = field(default_factory=list)
    placeholder: bool = False
    _depth: JSONDepth = field(default_factory=JSONDepth)

    @property
    def raw(self) -> str:
        """The arguments so far, as JSON text."""
        return "".join(self.pieces)

    @property
    def complete(self) -> bool:
        """Whether the arguments are a closed object, so that no fragment is missing. ``{}`` may be a placeholder."""
        return self._depth.is_closed(self.pieces) and self.raw.strip() != "{}"

    def drop(self) -> None:
        """Discard a placeholder: the real arguments follow."""
        self.pieces, self.placeholder, self._depth = [], False, JSONDepth()


class EventBuilder:
    """Collects the events of one provider response; ``drain`` returns the new ones.

    ``known``: calls that the run already has, by id, with their opaque data. ``has_halves``: the provider
    sends surrogate pairs in halves, so every string is checked.
    """

    def __init__(self, known: Mapping[str, e.Opaque | None] | None = None, limits: Limits = LIMITS) -> None:
        self.has_halves = False
        self.calls: list[Call] = []
        self.known = known or {}
        self.has_content = False
        self._limits = limits
        self._out: list[e.Event] = []
        self._ids = set(self.known)
        self._room = limits.characters
        self._half: tuple[str, str] | None = None
        self._strays: dict[Json, list[str]] = {}
        self._sources: set[tuple[str, str]] = set()

    def drain(self) -> list[e.Event]:
        """Return the events since the last call."""
        out, self._out = self._out, []
        if self.has_halves:
            out = [mend_all(event) for event in out]
        return out

    def emit(self, event: e.Event) -> None:
        """Add an event that needs no further checks."""
        self.release()
        self._out.append(event)

    def text(self, text: str) -> None:
        """Add text of the answer. Raises ``TypeError`` if it is not text, ``StreamBroken`` over the limit."""
        if self.has_halves or self._half:
            text = self._joined("text", text)
        if text:
            self._spend(text)
            if self.calls:
                self.calls[-1].text_after += len(text)
            self._out.append(e.TextDelta(text))

    def reasoning(self, text: str) -> None:
        """Add text of the reasoning. Raises as ``text``."""
        if self.has_halves or self._half:
            text = self._joined("reasoning", text)
        if text:
            self._spend(text)
            self._out.append(e.ReasoningDelta(text))

    def close_reasoning(self, opaque: e.Opaque) -> None:
        """End the reasoning part with data that must go back to the provider unchanged."""
        self.emit(e.ReasoningDelta("", opaque))

    def source(self, url: str, title: str, opaque: e.Opaque | None = None) -> None:
        """Add a source, unless it is already there or its URL is longer than ``MAX_URL``."""
        title = title[:MAX_NAME]
        if len(url) > MAX_URL:
            return
        key = (url, "" if url else title)
        if key not in self._sources and len(self._sources) < self._limits.calls * 8 and (url or title):
            self._sources.add(key)
            self.emit(e.SourceAdded(url, title, opaque))

    def call(self, provider_id: str, name: str, *, by_provider: bool = False, opaque: dict | None = None) -> Call:
        """Start a call and return it. Raises ``StreamBroken`` over the limit of calls."""
        self.check_calls(len(self.calls))
        provider_id, name = provider_id[:MAX_NAME], name[:MAX_NAME]
        call = Call(self._unique(provider_id), provider_id, name, by_provider, opaque)
        self.calls.append(call)
        self.has_content = True
        self.emit(e.ToolCallStarted(call.id, name, by_provider))
        return call

    def check_calls(self, count: int) -> None:
        """Raise ``StreamBroken`` if this many calls leave no room for another."""
        if count >= self._limits.calls:
            raise StreamBroken("The model requested too many tool calls at once.", kind="too-many-calls")

    def arguments(self, call: Call, fragment: str) -> None:
        """Add a fragment of a call's arguments. Raises as ``text``."""
        if call.closed:
            return
        if self.has_halves or self._half:
            fragment = self._joined(call.id, fragment)
        if not fragment:
            return
        self._spend(fragment)
        call.size += len(fragment)
        if call.size > self._limits.arguments:
            raise StreamBroken("The arguments of a tool call are longer than allowed.", kind="too-long")
        if call.repeats or (fragment[:1] == "{" and call.pieces and call.complete):
            call.repeats.append(fragment)  # a repetition or a mistake: the end decides
            return
        if call.placeholder:
            if fragment[:1] != "{":
                self._out.append(e.ToolCallArguments(call.id, call.pieces[0]))
                call.placeholder = False
            else:
                call.drop()
        call.pieces.append(fragment)
        if fragment == "{}" and len(call.pieces) == 1:
            call.placeholder = True  # emitted once nothing else follows
            return
        self._out.append(e.ToolCallArguments(call.id, fragment))

    def stray(self, key: Json, fragment: str) -> None:
        """Hold arguments of no known call: ``claim`` may assign them, else the end of the answer decides."""
        self._spend(fragment)
        self._strays.setdefault(key, []).append(fragment)

    def claim(self, key: Json, call: Call) -> None:
        """Assign the arguments held under this key to the call."""
        for fragment in self._strays.pop(key, ()):
            self.arguments(call, fragment)

    def ready(self, call: Call, arguments: Mapping[str, Json] | None = None) -> bool:
        """Finalise the arguments now. Returns ``False`` if they do not parse."""
        self.release()
        if call.placeholder:
            call.placeholder = False
            self._out.append(e.ToolCallArguments(call.id, call.pieces[0]))
        arguments = read_arguments([*call.pieces, *call.repeats]) if arguments is None else arguments
        call.closed = True
        if arguments is not None:
            self.emit(e.ToolCallReady(call.id, arguments, call.opaque))
        return arguments is not None

    def result(self, call: Call, state: e.ToolOutcome, *, result: Json = None, error: str | None = None) -> None:
        """Add the outcome of a call, with the opaque data that must go back with it."""
        call.closed = call.answered = True
        self.emit(e.ToolResult(call.id, state, result, error, call.opaque))

    def release(self) -> None:
        """Emit half a surrogate pair whose other half will not arrive, as U+FFFD."""
        if self._half:
            kind, half = self._half
            self._half = None
            if kind == "text":
                self._out.append(e.TextDelta(mend(half)))
            elif kind == "reasoning":
                self._out.append(e.ReasoningDelta(mend(half)))
            else:
                self._out.append(e.ToolCallArguments(kind, mend(half)))
                next(call for call in self.calls if call.id == kind).pieces.append(mend(half))

    def settle(self, reason: str) -> None:
        """Decide about every call that is still open, now that the finish reason is known.

        ``next``: another message of the provider follows in the same stream. A call that the provider runs
        itself may be answered there, or in the next stream after a pause or a tool turn.
        """
        self._settle_strays()
        for call in self.calls:
            if call.answered:
                continue
            if call.text_after and not call.by_provider:
                call.opaque = {**(call.opaque or {}), "said_after": call.text_after}
            if call.by_provider:
                if reason not in ("pause", "tool-calls", "next", "interrupt"):
                    self.result(call, "unknown", error="The provider did not report a result.")
            elif reason == "length":
                self.result(call, "invalid", error="The arguments were cut off at the token limit.")
            elif reason in ("refusal", "content-filter"):
                self.result(call, "stopped", error="The answer was refused before this tool could run.")
            elif not call.name:
                self.result(call, "invalid", error="The call has no name.")
            elif call.lost and not call.closed and not call.complete:
                self.result(call, "invalid", error="The arguments were lost in transit.")
            elif not call.closed and not self.ready(call):
                self.result(call, "invalid", error="The arguments are not a JSON object.")
            elif reason not in ("tool-calls", "pause"):
                self.result(call, "stopped", error="The model continued without this tool.")

    def _settle_strays(self) -> None:
        """Assign arguments of no call to the only call that waits for some; else no waiting call may run."""
        strays, self._strays = self._strays, {}
        if not any(strays.values()):
            return
        waiting = [c for c in self.calls if not (c.by_provider or c.answered or c.closed or c.complete)]
        if len(waiting) == 1:
            for fragment in (piece for pieces in strays.values() for piece in pieces):
                self.arguments(waiting[0], fragment)
        else:
            for call in waiting:
                call.lost = True

    def all_complete(self) -> bool:
        """Return whether there are calls for us to run, and none of them lacks a part of its arguments."""
        ours = [call for call in self.calls if not call.by_provider and not call.answered]
        return bool(ours) and all(
            call.name and read_arguments([*call.pieces, *call.repeats]) is not None for call in ours
        )

    def finish(self, reason: str, usage: e.UsageReported | None, opaque: e.Opaque | None = None) -> None:
        """Emit the end of the answer: open calls, usage, ``Finished``."""
        self.release()
        self.settle(reason)
        if usage is not None:
            self.emit(usage)
        self.emit(e.Finished(reason, opaque))

    def _joined(self, kind: str, text: str) -> str:
        if not isinstance(text, str):
            raise TypeError("not text")
        if self._half:
            if self._half[0] == kind:
                text, self._half = self._half[1] + text, None
            else:
                self.release()
        if opens_half(text):
            text, self._half = text[:-1], (kind, text[-1])
        return mend(text)

    def _spend(self, text: str) -> None:
        if not isinstance(text, str):
            raise TypeError("not text")
        self.has_content = True
        self._room -= len(text)
        if self._room < 0:
            raise StreamBroken("The answer is longer than allowed.", kind="too-long")

    def _unique(self, provider_id: str) -> str:
        unique, number = provider_id or "call_1", 1
        while unique in self._ids:
            number += 1
            unique = f"{provider_id or 'call'}_{number}"
        self._ids.add(unique)
        return unique
