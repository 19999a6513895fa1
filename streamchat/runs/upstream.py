"""Reading a response on that the provider stores: after a broken connection, or in another process.

Knows providers by ``providers.base.Resumable``; sends nothing itself. Rules:

* A checkpoint names the response and the answer as it was when the response began. It is stored with the run.
* The response is read again from its beginning, and what the answer has of it already is left out. So the checkpoint
  may be older than the log, and the log may come from Redis or from the database.
* What is left out is found by the one fold: each event of the response has the position that it had at first.
* A response that differs from the answer is not this answer's: ``Diverged``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from streamchat.chat import events as e
from streamchat.chat.fold import Folding
from streamchat.chat.messages import (
    UNSETTLED,
    Message,
    NoticePart,
    Part,
    ReasoningPart,
    SourcePart,
    TextPart,
    ToolCallPart,
)
from streamchat.errors import OutOfOrder

NONE: Mapping[str, Any] = {}
"""The stored form of no checkpoint."""


class Diverged(Exception):
    """The response is not the one that the answer has a part of."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A response of the provider that has not ended, and where it begins in the answer.

    ``sequence``: the number of its first event, ``None`` if it has none. ``parts``: the number of parts before it.
    ``length``: characters of text in the last of them. ``closed``: whether that part has its opaque data. ``usage``:
    the token counts before it.
    """

    response_id: str
    sequence: int | None = None
    parts: int = 0
    length: int = 0
    closed: bool = False
    usage: e.UsageReported | None = None

    @classmethod
    def of(cls, response_id: str, sequence: int | None, answer: Message) -> Checkpoint:
        """Return the checkpoint of a response that begins now. ``answer``: what the log has."""
        last = answer.parts[-1] if answer.parts else None
        closed = getattr(last, "opaque", None) is not None
        return cls(response_id, sequence, len(answer.parts), len(_text(last)), closed, answer.usage)

    def start(self, answer: Message) -> Message:
        """Return the answer as it was when the response began. Raises ``Diverged`` if it has less now."""
        parts = list(answer.parts[: self.parts])
        if len(parts) < self.parts or len(_text(parts[-1] if parts else None)) < self.length:
            raise Diverged
        if parts and isinstance(last := parts[-1], TextPart | ReasoningPart):
            cut = replace(last, text=last.text[: self.length])
            if isinstance(cut, ReasoningPart) and not self.closed:
                cut = replace(cut, opaque=None)
            parts[-1] = cut
        return replace(answer, parts=tuple(parts), usage=self.usage)

    def to_json(self) -> dict[str, Any]:
        """Return the stored form."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any] | None) -> Checkpoint | None:
        """Return the checkpoint from ``to_json``; ``None`` for none, and for one that cannot be read."""
        try:
            fields = dict(data or {})
            usage = fields.pop("usage", None)
            return cls(**fields, usage=e.UsageReported(**usage) if usage else None)
        except TypeError:
            return None


class Upstream:
    """The response that the provider generates for a run now: told by the provider, stored by the run.

    ``note`` stores a checkpoint, or that there is none. ``abandon`` has the provider end a response that nobody reads.
    """

    def __init__(
        self,
        answer: Callable[[], Message],
        note: Callable[[Mapping[str, Any]], None],
        abandon: Callable[[str], None],
        checkpoint: Checkpoint | None = None,
    ) -> None:
        self.checkpoint = checkpoint
        self._answer = answer
        self._note = note
        self._abandon = abandon

    @property
    def is_running(self) -> bool:
        """Whether there is a response that has not ended. Implements ``ResponseTracker``."""
        return self.checkpoint is not None

    def started(self, response_id: str, sequence: int | None) -> None:
        """Take note of a response before any of its events is in the log. Implements ``ResponseTracker``."""
        self.checkpoint = Checkpoint.of(response_id, sequence, self._answer())
        self._note(self.checkpoint.to_json())

    def ended(self) -> None:
        """Take note that the response has ended: it is not read again."""
        if self.checkpoint is not None:
            self.checkpoint = None
            self._note(NONE)

    def abandon(self) -> None:
        """Give the response up, and have the provider end it."""
        if self.checkpoint is not None:
            self._abandon(self.checkpoint.response_id)
            self.ended()


class Replay:
    """Takes the events of a response from its beginning, and returns those that the answer does not have.

    ``start``: the answer when the response began. ``answer``: the answer now.
    """

    def __init__(self, start: Message, answer: Message) -> None:
        self._folding = Folding(replace(start, status="streaming"))
        self._parts = answer.parts
        self._read = {len(start.parts) - 1: len(_text(start.parts[-1]))} if start.parts else {}

    def new(self, event: e.Event) -> e.Event | None:
        """Return the new part of an event, or ``None``. Raises ``Diverged``."""
        if isinstance(event, e.Finished | e.UsageReported):
            return event
        try:
            index, _ = self._folding.add(event)
        except OutOfOrder:
            raise Diverged from None
        if index is None or index >= len(self._parts):
            return event
        part = self._parts[index]
        match event, part:
            case (e.TextDelta(text), TextPart()):
                rest = self._rest(index, part.text, text)
                return e.TextDelta(rest) if rest else None
            case (e.ReasoningDelta(text, opaque), ReasoningPart()):
                rest, opaque = self._rest(index, part.text, text), None if part.opaque is not None else opaque
                return e.ReasoningDelta(rest, opaque) if rest or opaque is not None else None
            case (e.ToolCallStarted(call_id, name), ToolCallPart()) if (call_id, name) == (part.id, part.name):
                return None
            case (e.ToolCallArguments(call_id, fragment), ToolCallPart()):
                rest = self._rest(index, part.raw, fragment, last=False)
                return e.ToolCallArguments(call_id, rest) if rest else None
            case (e.ToolCallReady(), ToolCallPart()):
                return event if part.arguments is None and part.state in UNSETTLED else None
            case (e.ToolProgress(_, text), ToolCallPart()):
                return event if part.state in UNSETTLED and text not in part.progress else None
            case (e.ToolResult(), ToolCallPart()):
                return event if part.state in UNSETTLED else None
            case (e.SourceAdded(), SourcePart()) | (e.Notice(), NoticePart()):
                return None
        raise Diverged

    def _rest(self, index: int, present: str, text: str, *, last: bool = True) -> str:
        """Return what ``text`` adds to a part. ``last``: text can be added to the last part only."""
        at = self._read.get(index, 0)
        self._read[index] = at + len(text)
        known = present[at : at + len(text)]
        rest = text[len(known) :]
        if text[: len(known)] != known or (rest and last and index < len(self._parts) - 1):
            raise Diverged
        return rest


def _text(part: Part | None) -> str:
    return part.text if isinstance(part, TextPart | ReasoningPart) else ""
