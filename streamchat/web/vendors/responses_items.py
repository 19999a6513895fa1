"""The items of a response, one at a time: each is added, grows by deltas, and is done. Pure.

Knows the events of the stream as (type, fields); not their numbers, nor the response around them. Rules:

* An item that is done never changes; what a stream said of it and what the whole response has are equal.
* Thinking carries a mark in place of the provider's seal (``marks``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

Said = list[tuple[str, dict[str, Any]]]


class Item(Protocol):
    """``at``: which of the items it is."""

    def open(self, at: int) -> Said: ...

    def close(self, at: int, status: str) -> Said: ...

    def done(self, status: str) -> dict[str, Any]: ...


class MessageItem:
    """Text, with sources, and a refusal."""

    def __init__(self, item_id: str) -> None:
        self._id = item_id
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._notes: list[dict[str, Any]] = []
        self._kinds: list[str] = []

    def open(self, at: int) -> Said:
        item = {"id": self._id, "type": "message", "status": "in_progress", "role": "assistant", "content": []}
        return [("response.output_item.added", {"output_index": at, "item": item})]

    def say(self, at: int, text: str) -> Said:
        said = self._enter(at, "output_text")
        self._text.append(text)
        return [
            *said,
            ("response.output_text.delta", {**self._place(at, "output_text"), "delta": text, "logprobs": []}),
        ]

    def refuse(self, at: int, text: str) -> Said:
        said = self._enter(at, "refusal")
        self._refusal.append(text)
        return [*said, ("response.refusal.delta", {**self._place(at, "refusal"), "delta": text})]

    def cite(self, at: int, url: str, title: str) -> Said:
        said = self._enter(at, "output_text")
        note = {"type": "url_citation", "url": url, "title": title, "start_index": 0, "end_index": 0}
        place = {**self._place(at, "output_text"), "annotation_index": len(self._notes)}
        self._notes.append(note)
        return [*said, ("response.output_text.annotation.added", {**place, "annotation": note})]

    def close(self, at: int, status: str) -> Said:
        said: Said = []
        for kind in self._kinds:
            place, part = self._place(at, kind), self._part(kind)
            if kind == "output_text":
                said.append(("response.output_text.done", {**place, "text": part["text"], "logprobs": []}))
            else:
                said.append(("response.refusal.done", {**place, "refusal": part["refusal"]}))
            said.append(("response.content_part.done", {**place, "part": part}))
        return [*said, ("response.output_item.done", {"output_index": at, "item": self.done(status)})]

    def done(self, status: str) -> dict[str, Any]:
        content = [self._part(kind) for kind in self._kinds]
        return {"id": self._id, "type": "message", "status": status, "role": "assistant", "content": content}

    def _enter(self, at: int, kind: str) -> Said:
        if kind in self._kinds:
            return []
        self._kinds.append(kind)
        return [("response.content_part.added", {**self._place(at, kind), "part": _empty(kind)})]

    def _place(self, at: int, kind: str) -> dict[str, Any]:
        return {"item_id": self._id, "output_index": at, "content_index": self._kinds.index(kind)}

    def _part(self, kind: str) -> dict[str, Any]:
        if kind == "refusal":
            return {"type": "refusal", "refusal": "".join(self._refusal)}
        return {**_empty(kind), "text": "".join(self._text), "annotations": list(self._notes)}


class ReasoningItem:
    """A summary, which may be empty."""

    def __init__(self, item_id: str, mark: str) -> None:
        self._id = item_id
        self._mark = mark
        self._text: list[str] = []

    def open(self, at: int) -> Said:
        item = {"id": self._id, "type": "reasoning", "summary": []}
        return [("response.output_item.added", {"output_index": at, "item": item})]

    def say(self, at: int, text: str) -> Said:
        if not text:
            return []
        place = {"item_id": self._id, "output_index": at, "summary_index": 0}
        said: Said = []
        if not self._text:
            part = {"type": "summary_text", "text": ""}
            said.append(("response.reasoning_summary_part.added", {**place, "part": part}))
        self._text.append(text)
        return [*said, ("response.reasoning_summary_text.delta", {**place, "delta": text})]

    def close(self, at: int, status: str) -> Said:
        item = self.done(status)
        said: Said = []
        for part in item["summary"]:
            place = {"item_id": self._id, "output_index": at, "summary_index": 0}
            said.append(("response.reasoning_summary_text.done", {**place, "text": part["text"]}))
            said.append(("response.reasoning_summary_part.done", {**place, "part": part}))
        return [*said, ("response.output_item.done", {"output_index": at, "item": item})]

    def done(self, status: str) -> dict[str, Any]:
        summary = [{"type": "summary_text", "text": "".join(self._text)}] if self._text else []
        return {"id": self._id, "type": "reasoning", "summary": summary, "encrypted_content": self._mark}


class CallItem:
    """A function call."""

    def __init__(self, item_id: str, call_id: str, name: str) -> None:
        self._head = {"id": item_id, "type": "function_call", "call_id": call_id, "name": name}
        self.pieces: list[str] = []

    def open(self, at: int) -> Said:
        item = {**self._head, "status": "in_progress", "arguments": ""}
        return [("response.output_item.added", {"output_index": at, "item": item})]

    def say(self, at: int, fragment: str) -> Said:
        self.pieces.append(fragment)
        place = {"item_id": self._head["id"], "output_index": at}
        return [("response.function_call_arguments.delta", {**place, "delta": fragment})]

    def close(self, at: int, status: str) -> Said:
        item = self.done(status)
        place = {"item_id": item["id"], "output_index": at, "name": item["name"]}
        return [
            ("response.function_call_arguments.done", {**place, "arguments": item["arguments"]}),
            ("response.output_item.done", {"output_index": at, "item": item}),
        ]

    def done(self, status: str) -> dict[str, Any]:
        return {**self._head, "status": status, "arguments": "".join(self.pieces)}


def _empty(kind: str) -> Mapping[str, Any]:
    if kind == "refusal":
        return {"type": "refusal", "refusal": ""}
    return {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
