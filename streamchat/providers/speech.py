"""What every adapter's ``Normaliser`` says with: events in order, calls with their arguments, caps.

Knows no vendor. Rules:

* Text, reasoning and arguments leave as they come; only half a character waits for its other half.
* A call's id is unique in its run: a missing or repeated one is replaced, the same way every time.
* Whether a call may run is known at the end only: ``ToolCallReady`` for arguments that parse strictly,
  ``ToolResult`` with state ``invalid`` for others, and never a ready one where the answer was cut.
* A hostile provider meets a cap on characters and calls, and the answer breaks off there; what is not
  text where text belongs is a ``TypeError``, which means the same to the caller.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from streamchat.chat import events as e
from streamchat.errors import StreamBroken
from streamchat.providers.payload import decode_object, mend, mend_all, opens_half

Json = Any


@dataclass(frozen=True, slots=True)
class Limits:
    """What one answer may cost. Bytes are those after decompression."""

    event_bytes: int = 16 * 1024 * 1024
    total_bytes: int = 128 * 1024 * 1024
    events: int = 2_000_000
    characters: int = 16 * 1024 * 1024
    calls: int = 512


LIMITS = Limits()
MAX_NAME, MAX_URL = 256, 4096


@dataclass(slots=True)
class Call:
    """A tool call under way. ``theirs``: the id that the provider gave; ``closed``: its arguments are settled.

    ``said_after``: characters of text between it and the next call, for whoever writes the history.
    """

    id: str
    theirs: str
    name: str
    by_provider: bool
    opaque: dict[str, Json] | None = None
    pieces: list[str] = field(default_factory=list)
    said_after: int = 0
    closed: bool = False
    answered: bool = False

    @property
    def raw(self) -> str:
        if len(self.pieces) > 1:
            self.pieces = ["".join(self.pieces)]
        return self.pieces[0] if self.pieces else ""


class Speaker:
    """Collects the events of one provider call; ``take`` hands over what is new.

    ``known``: calls that the run already has, by id, with their opaque data. ``halves``: the provider
    sends characters in halves, so every string is looked at.
    """

    def __init__(self, known: Mapping[str, e.Opaque | None] | None = None, limits: Limits = LIMITS) -> None:
        self.halves = False
        self.calls: list[Call] = []
        self.known = known or {}
        self.spoke = False
        self._limits = limits
        self._out: list[e.Event] = []
        self._ids = set(self.known)
        self._room = limits.characters
        self._held: tuple[str, str] | None = None
        self._sources: set[tuple[str, str]] = set()

    def take(self) -> list[e.Event]:
        """The events since the last time."""
        out, self._out = self._out, []
        if self.halves:
            out = [mend_all(event) for event in out]
        return out

    def say(self, event: e.Event) -> None:
        """An event that needs no care."""
        self.release()
        self._out.append(event)

    def text(self, text: str) -> None:
        if self.halves or self._held:
            text = self._joined("text", text)
        if text:
            self._spend(text)
            if self.calls:
                self.calls[-1].said_after += len(text)
            self._out.append(e.TextDelta(text))

    def reasoning(self, text: str) -> None:
        if self.halves or self._held:
            text = self._joined("reasoning", text)
        if text:
            self._spend(text)
            self._out.append(e.ReasoningDelta(text))

    def close_reasoning(self, opaque: e.Opaque) -> None:
        """End the reasoning part with data that must go back unread."""
        self.say(e.ReasoningDelta("", opaque))

    def source(self, url: str, title: str, opaque: e.Opaque | None = None) -> None:
        """A source, once; an address longer than any real one is none."""
        title = title[:MAX_NAME]
        if len(url) > MAX_URL:
            return
        key = (url, "" if url else title)
        if key not in self._sources and len(self._sources) < self._limits.calls * 8 and (url or title):
            self._sources.add(key)
            self.say(e.SourceAdded(url, title, opaque))

    def call(self, theirs: str, name: str, *, by_provider: bool = False, opaque: dict | None = None) -> Call:
        """A call begins."""
        self.check_calls(len(self.calls))
        theirs, name = theirs[:MAX_NAME], name[:MAX_NAME]
        call = Call(self._unique(theirs), theirs, name, by_provider, opaque)
        self.calls.append(call)
        self.spoke = True
        self.say(e.ToolCallStarted(call.id, name, by_provider))
        return call

    def check_calls(self, count: int) -> None:
        if count >= self._limits.calls:
            raise StreamBroken("The model asked for too many tools at once.", kind="too-many-calls")

    def arguments(self, call: Call, fragment: str) -> None:
        if call.closed:
            return
        if self.halves or self._held:
            fragment = self._joined(call.id, fragment)
        if fragment:
            self._spend(fragment)
            call.pieces.append(fragment)
            self._out.append(e.ToolCallArguments(call.id, fragment))

    def ready(self, call: Call, arguments: Mapping[str, Json] | None = None) -> bool:
        """Settle the arguments now. ``False`` if they do not parse."""
        self.release()
        arguments = decode_object(call.raw) if arguments is None else arguments
        call.closed = True
        if arguments is not None:
            self.say(e.ToolCallReady(call.id, arguments, call.opaque))
        return arguments is not None

    def result(self, call: Call, state: e.ToolOutcome, *, result: Json = None, error: str | None = None) -> None:
        """How a call ended. What the call must send back goes with it."""
        call.closed = call.answered = True
        self.say(e.ToolResult(call.id, state, result, error, call.opaque))

    def release(self) -> None:
        """Half a character whose other half will not come."""
        if self._held:
            kind, held = self._held
            self._held = None
            if kind == "text":
                self._out.append(e.TextDelta(mend(held)))
            elif kind == "reasoning":
                self._out.append(e.ReasoningDelta(mend(held)))
            else:
                self._out.append(e.ToolCallArguments(kind, mend(held)))
                next(call for call in self.calls if call.id == kind).pieces.append(mend(held))

    def settle(self, reason: str) -> None:
        """Decide about every call that is still open, now that the reason of the end is known.

        ``next``: another message of the provider follows in the same stream. A call that the provider runs
        itself may be answered there, or in the next stream after a pause or a tool turn.
        """
        for call in self.calls:
            if call.answered:
                continue
            if call.said_after and not call.by_provider:
                call.opaque = {**(call.opaque or {}), "said_after": call.said_after}
            if call.by_provider:
                if reason not in ("pause", "tool-calls", "next"):
                    self.result(call, "unknown", error="The provider did not report a result.")
            elif reason == "length":
                self.result(call, "invalid", error="The arguments were cut off at the token limit.")
            elif reason in ("refusal", "content-filter"):
                self.result(call, "stopped", error="The answer was refused before this tool could run.")
            elif not call.name:
                self.result(call, "invalid", error="The call has no name.")
            elif not call.closed and not self.ready(call):
                self.result(call, "invalid", error="The arguments are not a JSON object.")
            elif reason not in ("tool-calls", "pause"):
                self.result(call, "stopped", error="The model went on without this tool.")

    def finish(self, reason: str, usage: e.UsageReported | None, opaque: e.Opaque | None = None) -> None:
        """The end, as the provider told it."""
        self.release()
        self.settle(reason)
        if usage is not None:
            self.say(usage)
        self.say(e.Finished(reason, opaque))

    def _joined(self, kind: str, text: str) -> str:
        if not isinstance(text, str):
            raise TypeError("not text")
        if self._held:
            if self._held[0] == kind:
                text, self._held = self._held[1] + text, None
            else:
                self.release()
        if opens_half(text):
            text, self._held = text[:-1], (kind, text[-1])
        return mend(text)

    def _spend(self, text: str) -> None:
        if not isinstance(text, str):
            raise TypeError("not text")
        self.spoke = True
        self._room -= len(text)
        if self._room < 0:
            raise StreamBroken("The answer is longer than allowed.", kind="too-long")

    def _unique(self, theirs: str) -> str:
        wanted, number = theirs or "call_1", 1
        while wanted in self._ids:
            number += 1
            wanted = f"{theirs or 'call'}_{number}"
        self._ids.add(wanted)
        return wanted
