"""An answer on a terminal or in a pipe, as it comes.

Knows how it looks, not where it comes from. Rules:

* What a model or a tool says never moves the cursor, colours or renames anything: control characters are shown as
  pictures, and marks that turn the direction of text are left out.
* In a pipe, ``out`` gets the text of the answer and nothing else; what else there is to say goes to ``err``.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TextIO

from streamchat.chat import events as e
from streamchat.chat.messages import Message
from streamchat.chat.wire import event_to_wire, message_to_wire
from streamchat.client.reading import Entry, Snapshot

_DIM, _PLAIN, _CLEAR = "\x1b[2m", "\x1b[0m", "\r\x1b[K"
_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_FRAME_SECONDS = 0.1
_SHORT = 200
_TURNING = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
_HARMLESS: Mapping[int, int | str | None] = {
    **{code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"},
    0x7F: 0x2421,
    **dict.fromkeys(range(0x80, 0xA0), 0xFFFD),
    **dict.fromkeys(_TURNING),
    **dict.fromkeys((0x2028, 0x2029), "\n"),
}


def harmless(text: str) -> str:
    """The text without power over a terminal."""
    return text.replace("\r\n", "\n").translate(_HARMLESS)


def short(value: object) -> str:
    """A value on one line, cut where it is long."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    text = " ".join(harmless(text).split())
    return text if len(text) <= _SHORT else f"{text[:_SHORT]}…"


class JsonLines:
    """One event a line."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def begin(self, run_id: str, conversation_id: str) -> None:
        self._line({"type": "run", "run_id": run_id, "conversation_id": conversation_id})

    def show(self, entry: Entry, text: str) -> None:
        event = entry.event
        if isinstance(event, Snapshot):
            self._line({"seq": entry.seq, "type": "snapshot", "message": message_to_wire(event.message)})
        else:
            self._line({"seq": entry.seq, **event_to_wire(event)})

    def end(self, message: Message, sentence: str | None) -> None:
        """Nothing: the ending was an event."""

    async def work(self) -> None:
        """Nothing to do meanwhile."""

    def _line(self, value: Mapping[str, Any]) -> None:
        # Not ASCII only would let control characters above 0x7f through to a terminal.
        self._out.write(json.dumps(value) + "\n")
        self._out.flush()


class Screen:
    """Text as it comes. On a terminal also a spinner while there is none, and dim lines for what is not the answer."""

    def __init__(self, out: TextIO, err: TextIO) -> None:
        self._out = out
        self._live = out.isatty()
        self._aside = out if self._live else err
        self._names: dict[str, str] = {}
        self._conversation_id = ""
        self._line_begun = self._spinning = False
        self._doing: str | None = "Waiting"
        self._since = time.monotonic()

    def begin(self, run_id: str, conversation_id: str) -> None:
        """It is under way."""
        self._conversation_id = conversation_id

    def show(self, entry: Entry, text: str) -> None:
        """One event, and what of it is text of the answer."""
        if text:
            self._say(text)
            return
        match entry.event:
            case e.ReasoningDelta():
                self._do("Thinking")
            case e.ToolCallStarted(call_id, name):
                self._names[call_id] = name
                self._do(f"Calling {short(name)}")
            case e.ToolCallReady(call_id, arguments):
                self._tell(f"→ {self._name(call_id)} {short(dict(arguments))}")
            case e.ToolProgress(call_id, told):
                if told:
                    self._tell(f"  {self._name(call_id)}: {short(told)}")
                self._do(f"Running {self._name(call_id)}")
            case e.ToolResult(call_id, state, result, error):
                mark, told = ("✓", result) if state == "done" else ("✗", error or state)
                self._tell(f"{mark} {self._name(call_id)}: {short(told)}")
                self._do("Waiting")
            case e.Notice(_, told):
                self._tell(short(told))
            case e.SourceAdded(url, title):
                self._tell(f"· {short(title)} {short(url)}".replace("  ", " "))

    def waits(self, address: str, *, asked: bool) -> None:
        """A tool call waits for a person, who is ``asked`` here, or has to look at ``address``."""
        if asked:
            self._do(None)
        else:
            self._tell(f"This answer waits for your approval: {short(address)}")
            self._do("Waiting for approval")

    def end(self, message: Message, sentence: str | None) -> None:
        """The answer has ended; ``sentence``: why it is not simply complete."""
        self._do(None)
        if self._line_begun:
            self._out.write("\n")
            self._line_begun = False
        self._out.flush()
        if sentence:
            self._tell(short(sentence))
        if self._live:
            tokens = f"{message.usage.output:,} tokens · " if message.usage and message.usage.output else ""
            self._tell(f"{tokens}to go on: --conversation={short(self._conversation_id)}")

    async def work(self) -> None:
        """Turn the spinner, until cancelled."""
        if not self._live:
            return
        try:
            while True:
                await asyncio.sleep(_FRAME_SECONDS)
                self._spin()
        finally:
            with suppress(OSError, ValueError):
                self._stop_spinning()

    def _spin(self) -> None:
        if self._doing is None or self._line_begun:
            return
        passed = time.monotonic() - self._since
        width = shutil.get_terminal_size().columns - 1
        line = f"{_FRAMES[int(passed / _FRAME_SECONDS) % len(_FRAMES)]} {self._doing} {passed:.0f} s"[:width]
        self._out.write(f"{_CLEAR}{_DIM}{line}{_PLAIN}")
        self._out.flush()
        self._spinning = True

    def _stop_spinning(self) -> None:
        if self._spinning:
            self._out.write(_CLEAR)
            self._spinning = False

    def _do(self, what: str | None) -> None:
        if what != self._doing:
            self._doing, self._since = what, time.monotonic()
        if what is None:
            self._stop_spinning()

    def _say(self, text: str) -> None:
        self._stop_spinning()
        self._out.write(harmless(text))
        self._out.flush()
        self._line_begun = not text.endswith("\n")
        self._do("Waiting")

    def _tell(self, line: str) -> None:
        """A line beside the answer."""
        self._stop_spinning()
        if self._line_begun and self._live:
            self._out.write("\n")
            self._line_begun = False
        self._aside.write(f"{_DIM}{line}{_PLAIN}\n" if self._live else f"{line}\n")
        self._aside.flush()

    def _name(self, call_id: str) -> str:
        return short(self._names.get(call_id, call_id))
