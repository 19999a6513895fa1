"""Incremental parser of an answer in JSON: ``{"reply": "…"}`` or ``{"tool": "name", "arguments": {…}}``.

Pure: text in, events out. Knows no model and no request. Rules:

* The reply is emitted as it arrives, never with half an escape; linear in its length, however it is split.
* A call is ready only if the whole parses to an object; anything else is an *invalid* call.
* Any other text is emitted as it is: a model that was not held to the schema still answers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import jiter

from streamchat.chat import events as e

_REPLY = re.compile(r'\s*\{\s*"reply"\s*:\s*"')
_CALL = re.compile(r'\s*\{\s*"tool"\s*:\s*"([\w-]{1,64})"\s*,\s*"arguments"\s*:\s*')
_HEAD = 400
"""Characters within which the form of the answer must be known."""
_PLAIN = re.compile(r'[^"\\]+')
_ESCAPE = re.compile(r'\\(?:["\\/bfnrt]|u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4})')
_HALF_PAIR = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}(?:\\(?:u[0-9a-fA-F]{0,3})?)?\Z")
# What may close the object around the arguments, and how many characters of it are held back.
_CLOSING, _MAX_CLOSING = " \t\r\n}", 4096


class ReplyReader:
    """Parses one answer. ``call_id``: the id of the call, if the answer is one."""

    def __init__(self, call_id: str) -> None:
        self._call_id = call_id
        self._mode = ""
        self._pending = ""
        self._arguments: list[str] = []

    def add(self, text: str) -> Iterator[e.Event]:
        """Parse more of the answer and yield the new events."""
        self._pending += text
        if not self._mode:
            yield from self._decide()
        if self._mode == "reply":
            yield from self._read_reply()
        elif self._mode == "call":
            yield from self._read_call()
        elif self._mode == "plain" and self._pending:
            yield e.TextDelta(self._pending)
            self._pending = ""

    def end(self) -> Iterator[e.Event]:
        """Yield the remaining events at the end of the answer."""
        if self._mode == "call":
            self._arguments.append(self._pending)
            yield from self._finish_call("".join(self._arguments))
        elif self._mode != "over" and self._mode != "reply" and self._pending:
            yield e.TextDelta(self._pending)
        self._pending = ""

    @property
    def is_call(self) -> bool:
        """Whether the answer is a tool call."""
        return self._mode == "call"

    def _decide(self) -> Iterator[e.Event]:
        if match := _REPLY.match(self._pending):
            self._mode, self._pending = "reply", self._pending[match.end() :]
        elif match := _CALL.match(self._pending):
            self._mode, self._pending = "call", self._pending[match.end() :]
            yield e.ToolCallStarted(self._call_id, match[1])
        elif len(self._pending) > _HEAD or self._pending.lstrip()[:1] not in ("", "{"):
            self._mode = "plain"

    def _read_reply(self) -> Iterator[e.Event]:
        """Yield the reply up to its end, or to an escape that is not complete yet."""
        text, pieces, position = self._pending, [], 0
        while position < len(text):
            if match := _PLAIN.match(text, position):
                pieces.append(match[0])
            elif text[position] == '"':
                self._mode, position = "over", len(text)
                break
            elif _HALF_PAIR.match(text, position) or not (match := _ESCAPE.match(text, position)):
                if len(text) - position < 12:
                    break
                position += 1  # no escape at all: the backslash is left out
                continue
            else:
                pieces.append(json.loads(f'"{match[0]}"'))
            position = match.end()
        self._pending = text[position:]
        if whole := "".join(pieces):
            yield e.TextDelta(whole)

    def _read_call(self) -> Iterator[e.Event]:
        """Yield the arguments so far, except for what may close the object around them."""
        cut = max(len(self._pending.rstrip(_CLOSING)), len(self._pending) - _MAX_CLOSING)
        if cut:
            fragment, self._pending = self._pending[:cut], self._pending[cut:]
            self._arguments.append(fragment)
            yield e.ToolCallArguments(self._call_id, fragment)

    def _finish_call(self, text: str) -> Iterator[e.Event]:
        try:
            # The object around the arguments closes last.
            arguments = jiter.from_json(text.rstrip().removesuffix("}").encode(), allow_inf_nan=False)
        except ValueError:
            arguments = None
        if isinstance(arguments, dict):
            yield e.ToolCallReady(self._call_id, arguments)
        else:
            yield e.ToolResult(self._call_id, "invalid", error="The arguments are not a JSON object.")
