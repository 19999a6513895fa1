"""The items of a response, one at a time: each is added, grows by deltas, and is done. Pure.

Knows the events of the stream as (type, fields); not their numbers, nor the response around them. Rules:

* An item that is done never changes; its content in the stream and in the whole response are equal.
* Reasoning carries a handle instead of the provider's encrypted content (``reasoning_handles``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

Events = list[tuple[str, dict[str, Any]]]


class Item(Protocol):
    """An output item. ``index``: its position in the output. ``status``: as in the API."""

    def open(self, index: int) -> Events:
        """Return the events that add the item."""
        ...

    def close(self, index: int, status: str) -> Events:
        """Return the events that complete the item."""
        ...

    def done(self, status: str) -> dict[str, Any]:
        """Return the complete item."""
        ...


class MessageItem:
    """Text, with sources, and a refusal."""

    def __init__(self, item_id: str) -> None:
        self._id = item_id
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._notes: list[dict[str, Any]] = []
        self._kinds: list[str] = []

    def open(self, index: int) -> Events:
        """See ``Item``."""
        item = {"id": self._id, "type": "message", "status": "in_progress", "role": "assistant", "content": []}
        return [("response.output_item.added", {"output_index": index, "item": item})]

    def add(self, index: int, text: str) -> Events:
        """Return the events of more text."""
        events = self._enter(index, "output_text")
        self._text.append(text)
        return [
            *events,
            ("response.output_text.delta", {**self._position(index, "output_text"), "delta": text, "logprobs": []}),
        ]

    def refuse(self, index: int, text: str) -> Events:
        """Return the events of more text of a refusal."""
        events = self._enter(index, "refusal")
        self._refusal.append(text)
        return [*events, ("response.refusal.delta", {**self._position(index, "refusal"), "delta": text})]

    def cite(self, index: int, url: str, title: str) -> Events:
        """Return the events of a source."""
        events = self._enter(index, "output_text")
        note = {"type": "url_citation", "url": url, "title": title, "start_index": 0, "end_index": 0}
        position = {**self._position(index, "output_text"), "annotation_index": len(self._notes)}
        self._notes.append(note)
        return [*events, ("response.output_text.annotation.added", {**position, "annotation": note})]

    def close(self, index: int, status: str) -> Events:
        """See ``Item``."""
        events: Events = []
        for kind in self._kinds:
            position, part = self._position(index, kind), self._part(kind)
            if kind == "output_text":
                events.append(("response.output_text.done", {**position, "text": part["text"], "logprobs": []}))
            else:
                events.append(("response.refusal.done", {**position, "refusal": part["refusal"]}))
            events.append(("response.content_part.done", {**position, "part": part}))
        return [*events, ("response.output_item.done", {"output_index": index, "item": self.done(status)})]

    def done(self, status: str) -> dict[str, Any]:
        """See ``Item``."""
        content = [self._part(kind) for kind in self._kinds]
        return {"id": self._id, "type": "message", "status": status, "role": "assistant", "content": content}

    def _enter(self, index: int, kind: str) -> Events:
        if kind in self._kinds:
            return []
        self._kinds.append(kind)
        return [("response.content_part.added", {**self._position(index, kind), "part": _empty(kind)})]

    def _position(self, index: int, kind: str) -> dict[str, Any]:
        return {"item_id": self._id, "output_index": index, "content_index": self._kinds.index(kind)}

    def _part(self, kind: str) -> dict[str, Any]:
        if kind == "refusal":
            return {"type": "refusal", "refusal": "".join(self._refusal)}
        return {**_empty(kind), "text": "".join(self._text), "annotations": list(self._notes)}


class ReasoningItem:
    """A summary of reasoning, which may be empty."""

    def __init__(self, item_id: str, handle: str) -> None:
        self._id = item_id
        self._handle = handle
        self._text: list[str] = []

    def open(self, index: int) -> Events:
        """See ``Item``."""
        item = {"id": self._id, "type": "reasoning", "summary": []}
        return [("response.output_item.added", {"output_index": index, "item": item})]

    def add(self, index: int, text: str) -> Events:
        """Return the events of more text."""
        if not text:
            return []
        position = {"item_id": self._id, "output_index": index, "summary_index": 0}
        events: Events = []
        if not self._text:
            part = {"type": "summary_text", "text": ""}
            events.append(("response.reasoning_summary_part.added", {**position, "part": part}))
        self._text.append(text)
        return [*events, ("response.reasoning_summary_text.delta", {**position, "delta": text})]

    def close(self, index: int, status: str) -> Events:
        """See ``Item``."""
        item = self.done(status)
        events: Events = []
        for part in item["summary"]:
            position = {"item_id": self._id, "output_index": index, "summary_index": 0}
            events.append(("response.reasoning_summary_text.done", {**position, "text": part["text"]}))
            events.append(("response.reasoning_summary_part.done", {**position, "part": part}))
        return [*events, ("response.output_item.done", {"output_index": index, "item": item})]

    def done(self, status: str) -> dict[str, Any]:
        """See ``Item``."""
        summary = [{"type": "summary_text", "text": "".join(self._text)}] if self._text else []
        return {"id": self._id, "type": "reasoning", "summary": summary, "encrypted_content": self._handle}


class CallItem:
    """A function call."""

    def __init__(self, item_id: str, call_id: str, name: str) -> None:
        self._head = {"id": item_id, "type": "function_call", "call_id": call_id, "name": name}
        self.pieces: list[str] = []

    def open(self, index: int) -> Events:
        """See ``Item``."""
        item = {**self._head, "status": "in_progress", "arguments": ""}
        return [("response.output_item.added", {"output_index": index, "item": item})]

    def add(self, index: int, fragment: str) -> Events:
        """Return the events of more arguments."""
        self.pieces.append(fragment)
        position = {"item_id": self._head["id"], "output_index": index}
        return [("response.function_call_arguments.delta", {**position, "delta": fragment})]

    def close(self, index: int, status: str) -> Events:
        """See ``Item``."""
        item = self.done(status)
        position = {"item_id": item["id"], "output_index": index, "name": item["name"]}
        return [
            ("response.function_call_arguments.done", {**position, "arguments": item["arguments"]}),
            ("response.output_item.done", {"output_index": index, "item": item}),
        ]

    def done(self, status: str) -> dict[str, Any]:
        """See ``Item``."""
        return {**self._head, "status": status, "arguments": "".join(self.pieces)}


def _empty(kind: str) -> Mapping[str, Any]:
    if kind == "refusal":
        return {"type": "refusal", "refusal": ""}
    return {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
