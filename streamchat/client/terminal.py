"""Rendering of a streaming answer on a terminal or in a pipe.

Knows the output format, not the source of the events. Rules:

* Text of a model or a tool cannot control the terminal: control characters are replaced by control pictures, and
  bidirectional formatting characters are removed.
* In a pipe, ``out`` gets the text of the answer and nothing else; all other output goes to ``err``.
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
from streamchat.client.run_state import Entry, Snapshot

_DIM, _PLAIN, _CLEAR = "\x1b[2m", "\x1b[0m", "\r\x1b[K"
_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_FRAME_SECONDS = 0.1
_SHORT = 200
_BIDI_CONTROLS = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
_HARMLESS: Mapping[int, int | str | None] = {
    **{code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"},
    0x7F: 0x2421,
    **dict.fromkeys(range(0x80, 0xA0), 0xFFFD),
    **dict.fromkeys(_BIDI_CONTROLS),
    **dict.fromkeys((0x2028, 0x2029), "\n"),
}


def harmless(text: str) -> str:
    """Return the text with control characters made visible, so that it cannot control a terminal."""
    return text.replace("\r\n", "\n").translate(_HARMLESS)


def short(value: object) -> str:
    """Return a string, or another value as JSON, on one line of at most 200 characters and an ellipsis."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    text = " ".join(harmless(text).split())
    return text if len(text) <= _SHORT else f"{text[:_SHORT]}…"


class JsonLines:
    """Output for programs: one JSON object per line and event."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def begin(self, run_id: str, conversation_id: str) -> None:
        """Write the ids of the run and its conversation."""
        self._line({"type": "run", "run_id": run_id, "conversation_id": conversation_id})

    def show(self, entry: Entry, text: str) -> None:
        """Write one entry: its ``seq`` and its event. ``text`` is not used."""
        event = entry.event
        if isinstance(event, Snapshot):
            self._line({"seq": entry.seq, "type": "snapshot", "message": message_to_wire(event.message)})
        else:
            self._line({"seq": entry.seq, **event_to_wire(event)})

    def end(self, message: Message, explanation: str | None) -> None:
        """Do nothing: the ending was written as an event."""

    async def work(self) -> None:
        """Do nothing: there is no spinner."""

    def _line(self, value: Mapping[str, Any]) -> None:
        # ASCII only, so that no control characters above 0x7f reach a terminal.
        self._out.write(json.dumps(value) + "\n")
        self._out.flush()


class Screen:
    """Output for people: the text as it arrives. On a terminal also a spinner, and dim lines for everything else."""

    def __init__(self, out: TextIO, err: TextIO) -> None:
        self._out = out
        self._live = out.isatty()
        self._side = out if self._live else err
        self._names: dict[str, str] = {}
        self._conversation_id = ""
        self._in_line = self._spinning = False
        self._activity: str | None = "Waiting"
        self._since = time.monotonic()

    def begin(self, run_id: str, conversation_id: str) -> None:
        """Remember the conversation of the run that has started."""
        self._conversation_id = conversation_id

    def show(self, entry: Entry, text: str) -> None:
        """Render one entry. ``text``: the new answer text that it carries, may be empty."""
        if text:
            self._write(text)
            return
        match entry.event:
            case e.ReasoningDelta():
                self._set_activity("Thinking")
            case e.ToolCallStarted(call_id, name):
                self._names[call_id] = name
                self._set_activity(f"Calling {short(name)}")
            case e.ToolCallReady(call_id, arguments):
                self._note(f"→ {self._name(call_id)} {short(dict(arguments))}")
            case e.ToolProgress(call_id, line):
                if line:
                    self._note(f"  {self._name(call_id)}: {short(line)}")
                self._set_activity(f"Running {self._name(call_id)}")
            case e.ToolResult(call_id, state, result, error):
                mark, outcome = ("✓", result) if state == "done" else ("✗", error or state)
                self._note(f"{mark} {self._name(call_id)}: {short(outcome)}")
                self._set_activity("Waiting")
            case e.Notice(_, notice):
                self._note(short(notice))
            case e.SourceAdded(url, title):
                self._note(f"· {short(title)} {short(url)}".replace("  ", " "))

    def waits(self, address: str, *, interactive: bool) -> None:
        """Show that a tool call awaits approval: at a prompt here if ``interactive``, else on the page ``address``."""
        if interactive:
            self._set_activity(None)
        else:
            self._note(f"This answer waits for your approval: {short(address)}")
            self._set_activity("Waiting for approval")

    def end(self, message: Message, explanation: str | None) -> None:
        """Finish the output. ``explanation``: why the answer is incomplete, ``None`` if it is complete."""
        self._set_activity(None)
        if self._in_line:
            self._out.write("\n")
            self._in_line = False
        self._out.flush()
        if explanation:
            self._note(short(explanation))
        if self._live:
            tokens = f"{message.usage.output:,} tokens · " if message.usage and message.usage.output else ""
            self._note(f"{tokens}to go on: --conversation={short(self._conversation_id)}")

    async def work(self) -> None:
        """Animate the spinner until cancelled."""
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
        if self._activity is None or self._in_line:
            return
        elapsed = time.monotonic() - self._since
        width = shutil.get_terminal_size().columns - 1
        line = f"{_FRAMES[int(elapsed / _FRAME_SECONDS) % len(_FRAMES)]} {self._activity} {elapsed:.0f} s"[:width]
        self._out.write(f"{_CLEAR}{_DIM}{line}{_PLAIN}")
        self._out.flush()
        self._spinning = True

    def _stop_spinning(self) -> None:
        if self._spinning:
            self._out.write(_CLEAR)
            self._spinning = False

    def _set_activity(self, activity: str | None) -> None:
        if activity != self._activity:
            self._activity, self._since = activity, time.monotonic()
        if activity is None:
            self._stop_spinning()

    def _write(self, text: str) -> None:
        self._stop_spinning()
        self._out.write(harmless(text))
        self._out.flush()
        self._in_line = not text.endswith("\n")
        self._set_activity("Waiting")

    def _note(self, line: str) -> None:
        """Write a line that is not part of the answer."""
        self._stop_spinning()
        if self._in_line and self._live:
            self._out.write("\n")
            self._in_line = False
        self._side.write(f"{_DIM}{line}{_PLAIN}\n" if self._live else f"{line}\n")
        self._side.flush()

    def _name(self, call_id: str) -> str:
        return short(self._names.get(call_id, call_id))
