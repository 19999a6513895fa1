"""A whole answer in JSON, read while it is written: ``{"reply": "…"}`` or ``{"tool": "name", "arguments": {…}}``.

Pure: text in, events out. Knows no model and no request. Rules:

* The reply is said as it arrives, never with half an escape; linear in its length, however it is cut.
* A call is ready only where the whole parses to an object; anything else is an *invalid* call.
* What is neither is said as it is: a model that was not held to the schema still speaks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from streamchat.chat import events as e

_REPLY = re.compile(r'\s*\{\s*"reply"\s*:\s*"')
_CALL = re.compile(r'\s*\{\s*"tool"\s*:\s*"([\w-]{1,64})"\s*,\s*"arguments"\s*:\s*')
_HEAD = 400
"""Characters within which it must be clear what it is."""
_PLAIN = re.compile(r'[^"\\]+')
_ESCAPE = re.compile(r'\\(?:["\\/bfnrt]|u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4})')
_HALF_PAIR = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}(?:\\(?:u[0-9a-fA-F]{0,3})?)?\Z")
_CLOSING = re.compile(r"[\s}]*\Z")


class ReplyReader:
    """``call_id``: of the call, if it is one."""

    def __init__(self, call_id: str) -> None:
        self._call_id = call_id
        self._mode = ""
        self._pending = ""
        self._whole: list[str] = []

    def add(self, text: str) -> Iterator[e.Event]:
        self._pending += text
        if not self._mode:
            yield from self._decide()
        if self._mode == "reply":
            yield from self._say()
        elif self._mode == "call":
            yield from self._call()
        elif self._mode == "plain" and self._pending:
            yield e.TextDelta(self._pending)
            self._pending = ""

    def end(self) -> Iterator[e.Event]:
        """What is still owed at the end of the answer."""
        if self._mode == "call":
            self._whole.append(self._pending)
            yield from self._settled("".join(self._whole))
        elif self._mode != "over" and self._mode != "reply" and self._pending:
            yield e.TextDelta(self._pending)
        self._pending = ""

    @property
    def called(self) -> bool:
        return self._mode == "call"

    def _decide(self) -> Iterator[e.Event]:
        if match := _REPLY.match(self._pending):
            self._mode, self._pending = "reply", self._pending[match.end() :]
        elif match := _CALL.match(self._pending):
            self._mode, self._pending = "call", self._pending[match.end() :]
            yield e.ToolCallStarted(self._call_id, match[1])
        elif len(self._pending) > _HEAD or self._pending.lstrip()[:1] not in ("", "{"):
            self._mode = "plain"

    def _say(self) -> Iterator[e.Event]:
        """The string up to its end, or to a piece that is not whole yet."""
        text, said, place = self._pending, [], 0
        while place < len(text):
            if match := _PLAIN.match(text, place):
                said.append(match[0])
            elif text[place] == '"':
                self._mode, place = "over", len(text)
                break
            elif _HALF_PAIR.match(text, place) or not (match := _ESCAPE.match(text, place)):
                if len(text) - place < 12:
                    break
                place += 1  # no escape at all: the backslash is left out
                continue
            else:
                said.append(json.loads(f'"{match[0]}"'))
            place = match.end()
        self._pending = text[place:]
        if whole := "".join(said):
            yield e.TextDelta(whole)

    def _call(self) -> Iterator[e.Event]:
        """The arguments so far, but for what may close the object around them."""
        closing = _CLOSING.search(self._pending)
        cut = closing.start() if closing else len(self._pending)
        if cut:
            fragment, self._pending = self._pending[:cut], self._pending[cut:]
            self._whole.append(fragment)
            yield e.ToolCallArguments(self._call_id, fragment)

    def _settled(self, text: str) -> Iterator[e.Event]:
        try:
            # The object around the arguments closes last.
            arguments = json.loads(text.rstrip().removesuffix("}"), parse_constant=_refuse)
        except (ValueError, RecursionError):
            arguments = None
        if isinstance(arguments, dict):
            yield e.ToolCallReady(self._call_id, arguments)
        else:
            yield e.ToolResult(self._call_id, "invalid", error="The arguments are not a JSON object.")


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")
