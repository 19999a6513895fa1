"""The page's view of a tool call: its current state, and the changes since the last frame.

Knows parts of messages; knows nothing of frame numbers, of tools or of Reflex. Rules:

* JSON text is never sent: while arguments arrive, only the parsed fields are, and they only grow.
* Only changes are sent, never the whole call again: a progress line costs a line, however long the arguments are.
* The view of a call depends on its part alone, so that a reload shows the same.
* Integers that a browser would round are sent as text: a person approves the exact value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias

from streamchat.chat.json_depth import CUT, MAX_DEPTH
from streamchat.chat.messages import Message, ToolCallPart, utf16_length
from streamchat.chat.partial_json import PartialFields
from streamchat.chat.wire import part_to_wire

View: TypeAlias = dict[str, Any]
# Characters of JSON text up to which fields are shown while they arrive.
SHOWN = 64 * 1024
# The last lines of progress that are shown.
LINES = 5
_SAFE = 2**53 - 1


class About(NamedTuple):
    """Information about a tool: the JSON schema of its arguments, and the MCP server that it belongs to."""

    schema: Mapping[str, Any] | None = None
    server: str = ""


Describe: TypeAlias = Callable[[str], About]


def unknown(name: str) -> About:
    """Return the information about an unknown tool: none."""
    return About()


def tool_view(part: ToolCallPart, describe: Describe = unknown, fields: Mapping[str, Any] | None = None) -> View:
    """Return the call as the page shows it. ``fields``: the parsed part of its arguments, if that is known already."""
    view = part_to_wire(part)
    about = describe(part.name)
    for name in ("arguments", "result"):
        if view.get(name) is not None:
            view[name] = exact(view[name])
    if part.progress:
        view["progress"] = list(part.progress[-LINES:])
    if about.server:
        view["server"] = about.server
    if part.state != "awaiting-approval":
        view.pop("schema", None)
    elif part.schema is None and about.schema is not None:
        view["schema"] = about.schema
    if part.state == "receiving":
        if fields is None and part.raw:
            fields = PartialFields().add(part.raw[:SHOWN])
        if fields:
            view["fields"] = exact(fields)
    return view


class ToolViews:
    """The calls of one growing answer, as the page has them."""

    def __init__(self, message: Message, describe: Describe = unknown) -> None:
        self._describe = describe
        self._sent: dict[int, View] = {}
        self._receiving: dict[int, _Receiving] = {}
        for index, part in enumerate(message.parts):
            if isinstance(part, ToolCallPart):
                self.whole(index, part)

    def knows(self, index: int) -> bool:
        """Return whether the page has this call."""
        return index in self._sent

    def calls(self, ids: Iterable[str] | None = None) -> list[int]:
        """Return the part indices of the calls with these ids, or of all."""
        wanted_ids = None if ids is None else set(ids)
        return [index for index, view in self._sent.items() if wanted_ids is None or view["id"] in wanted_ids]

    def whole(self, index: int, part: ToolCallPart) -> View:
        """Return the whole view of a call that is new to the page."""
        view = self._sent[index] = tool_view(part, self._describe)
        if part.state == "receiving":
            self._receiving[index] = _Receiving(part.raw)
        return view

    def grown(self, index: int, fragment: str, offset: int) -> View:
        """Return the change by a fragment of the arguments at ``offset`` (UTF-16 code units); mostly empty."""
        receiving = self._receiving.get(index)
        fields = receiving.add(fragment) if receiving and receiving.length <= offset else None
        if not fields:
            return {}
        self._sent[index] |= (change := {"fields": exact(fields)})
        return change

    def changed(self, index: int, part: ToolCallPart) -> View:
        """Return the fields that differ from the page's view; ``None`` for fields that are gone."""
        receiving = self._receiving.get(index)
        if part.state != "receiving":
            self._receiving.pop(index, None)
        before = self._sent[index]
        now = self._sent[index] = tool_view(part, self._describe, receiving.fields if receiving else None)
        change = {name: value for name, value in now.items() if name not in before or before[name] != value}
        return change | {name: None for name in before if name not in now}


class _Receiving:
    """The arguments of a call while they arrive, as far as they are shown."""

    def __init__(self, text: str) -> None:
        self._parser = PartialFields()
        self._room = SHOWN
        self.length = 0
        self.fields: Mapping[str, Any] = {}
        self.add(text)

    def add(self, fragment: str) -> Mapping[str, Any] | None:
        """Return the fields, if there are new ones."""
        self.length += utf16_length(fragment)
        if self._room <= 0 or not fragment:
            return None
        fields = self._parser.add(fragment[: self._room])
        self._room -= len(fragment)
        if fields is None or fields == self.fields:
            return None
        self.fields = fields
        return fields


def exact(value: Any, depth: int = 0) -> Any:
    """Return the value with integers that JavaScript would round as text; the same object if there are none."""
    if isinstance(value, int):
        return value if -_SAFE <= value <= _SAFE else str(value)
    if isinstance(value, Mapping | list | tuple) and depth >= MAX_DEPTH:
        return CUT
    if isinstance(value, Mapping):
        values = {name: exact(item, depth + 1) for name, item in value.items()}
        return values if any(values[name] is not item for name, item in value.items()) else value
    if isinstance(value, list | tuple):
        items = [exact(item, depth + 1) for item in value]
        return items if any(a is not b for a, b in zip(items, value, strict=True)) else value
    return value
