"""Events of the Responses API to ours. No I/O.

Rules:

* ``response.completed``, ``.incomplete`` or ``.failed`` end the answer, nothing else does.
* Items are identified by their id, else by ``output_index``: ids may change from event to event, indexes may be
  missing or all the same.
* At ``done`` and ``response.completed`` only new content is emitted, and a name, id or arguments that come
  only there hold; an answer that stands only in ``response.completed`` is an answer.
* A repeated sequence number is dropped. After a gap in the numbers only whole texts are trusted: without a whole
  answer at its end, the answer is aborted. A server whose numbers mean something else is read without them.
* A call of which only the beginning arrived has lost its arguments. Arguments of no call: see ``EventBuilder``.
* Only text and calls can break an answer; an invalid field beside them is ignored.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from streamchat.chat import events as e
from streamchat.errors import StreamBroken
from streamchat.providers.event_builder import LIMITS, Call, EventBuilder, Limits
from streamchat.providers.finish_reasons import is_unknown, sort_reason
from streamchat.providers.openai import responses_items as items
from streamchat.providers.openai.sequence_guard import SequenceGuard

LINGER = 0.3
_PROGRESS = {"searching", "interpreting", "generating"}
_NONSENSE = (TypeError, AttributeError, KeyError, IndexError, ValueError)


@dataclass(slots=True)
class _Item:
    """An output item.

    ``announced``: the id from its ``added`` event, ``""`` without one, ``None`` if there was no such event yet.
    ``received``: the text of each part so far.
    """

    kind: str | None = None
    announced: str | None = None
    call: Call | None = None
    name: str = ""
    provider_id: str = ""
    pieces: list[str] = field(default_factory=list)
    received: dict[Any, list[str]] = field(default_factory=dict)
    done: bool = False
    thinking: str = ""
    part: Any = None


class ResponsesNormaliser:
    """Normalises one response. ``known``: calls that the run already has.

    ``started``: is called once with the id of the response, and the number of the event that brought it.
    """

    def __init__(
        self,
        known: Mapping[str, e.Opaque | None] | None = None,
        limits: Limits = LIMITS,
        started: Callable[[str, int | None], None] | None = None,
    ) -> None:
        self.builder = EventBuilder(known, limits)
        self.error: Any = None
        self._started = started
        self._sequence = SequenceGuard()
        self._items: list[_Item] = []
        self._by_id: dict[Any, _Item] = {}
        self._by_index: dict[Any, _Item] = {}
        self._ids_hold = False
        self._has_snapshot = False
        self._server_calls: dict[str, Call] = {}
        self._reason: str | None = None
        self._usage: e.UsageReported | None = None
        self._refusal: list[str] = []
        self._refused = False
        self._beginnings: list[tuple[_Item, Any, str]] = []

    @property
    def patience(self) -> float | None:
        """See ``Normaliser``."""
        return None if self._reason is None else LINGER

    def done(self) -> None:
        """Ignore the marker: it is not part of this API, but some servers add it."""

    def feed(self, name: str, data: dict[str, Any]) -> None:
        """See ``Normaliser``."""
        kind = data.get("type") or name
        if not self._sequence.is_new(data, restart=self._reason is not None):
            return
        if kind == "response.output_text.delta":
            item, text = self._item(data, "message"), data.get("delta") or ""
            if not self._sequence.gap:
                index = data.get("content_index") or 0
                if (pieces := item.received.get(index)) is None:
                    pieces = item.received[index] = []
                pieces.append(text)
                self.builder.text(text)
        elif kind == "response.function_call_arguments.delta":
            self._arguments(data, data.get("delta"))
        elif kind.startswith("response.reasoning_"):
            self._reasoning(kind, data)
        elif kind == "response.output_item.added":
            self._added(data, data["item"])
        elif kind == "response.output_item.done":
            self._done(data, data["item"])
        elif "response" in data:
            self._announce(data["response"], data.get("sequence_number"))
            self._lifecycle(kind, data["response"])
        else:
            self._rare_event(kind, data)

    def whole(self, data: dict[str, Any]) -> None:
        """See ``Normaliser``."""
        if not isinstance(data.get("output"), list):
            raise ValueError("not a response")
        if data.get("status") in ("queued", "in_progress"):
            raise StreamBroken("The provider is still answering.", kind="incomplete", retryable=True)
        for index, item in enumerate(data["output"]):
            self._added({"output_index": index}, item)
            self._done({"output_index": index}, item)
        self._lifecycle("", {**data, "output": None})

    def finish(self) -> None:
        """See ``Normaliser``."""
        if self._reason is None:
            self.flush()
            raise StreamBroken("The answer was cut off before its end.", kind="cut", retryable=True)
        if self._sequence.gap and not self._has_snapshot:
            self.flush()
            raise _gap()
        self._emit_refusal()
        self._settle_calls()
        for call in self.builder.calls:
            if call.by_provider and not call.answered:
                self.builder.result(call, "unknown", error="The provider did not report a result.")
        reason = self._reason
        if reason == "broken":
            self.flush()
            raise StreamBroken("The provider aborted the answer.", kind="cut", retryable=True)
        if (reason == "stop" or (is_unknown(reason) and self.builder.all_complete())) and any(
            not call.answered for call in self.builder.calls
        ):
            reason = "tool-calls"
        elif reason == "stop" and self._refused:
            reason = "refusal"
        self.builder.finish(reason, self._usage)

    def _settle_calls(self) -> None:
        """Settle arguments that found no call, and calls that found no arguments."""
        for item in self._items:
            if item.kind == "function_call" and item.call is None:
                if item.announced is not None and item.name:
                    self._start(item)
                else:
                    for piece in item.pieces:
                        self.builder.stray(id(item), piece)
            if item.call is not None and not item.call.by_provider and not item.done and not item.call.pieces:
                item.call.lost = True

    def flush(self) -> None:
        """See ``Normaliser``."""
        self._emit_refusal()
        self.builder.release()
        if self._usage is not None:
            self.builder.emit(self._usage)

    def _announce(self, response: Any, number: Any) -> None:
        response_id = response.get("id") if self._started is not None and isinstance(response, dict) else None
        if self._started is not None and isinstance(response_id, str) and response_id:
            self._started(response_id, number if isinstance(number, int) else None)
            self._started = None

    def _lifecycle(self, kind: str, response: dict[str, Any]) -> None:
        if kind == "response.created":
            return self._created()
        if usage := response.get("usage"):
            with suppress(*_NONSENSE):
                self._usage = items.read_usage(usage)
        status = response.get("status")
        if kind == "response.failed" or status == "failed" or response.get("error"):
            self.error = response.get("error") or {"message": ""}
        elif kind == "response.incomplete" or status == "incomplete":
            self._snapshot(response.get("output"))
            details = response.get("incomplete_details")
            self._reason = sort_reason(
                str((details.get("reason") if isinstance(details, dict) else None) or "incomplete")
            )
        elif kind == "response.cancelled" or status == "cancelled":
            raise StreamBroken("The provider cancelled the answer.", kind="cut", retryable=True)
        elif kind == "response.completed" or status == "completed":
            self._snapshot(response.get("output"))
            self._add_unheard(response.get("output_text"))
            self._reason = "stop"

    def _created(self) -> None:
        if self._reason is not None:
            self.builder.settle("next")
            self._items, self._by_id, self._by_index, self._reason, self._has_snapshot = [], {}, {}, None, False
            self._beginnings = []
        elif self._items:
            text = "The provider began another answer in the middle of this one."
            raise StreamBroken(text, kind="spliced", retryable=True)

    def _item(self, data: dict[str, Any], kind: str | None = None) -> _Item:
        """Return the item of an event: by its id, else by its index."""
        provider_id = data.get("item_id")
        if provider_id and (item := self._by_id.get(provider_id)) is not None:
            if item.announced == provider_id:
                self._ids_hold = True
            return item
        index = data.get("output_index")
        if not provider_id or not self._ids_hold:
            item = self._by_index.get(index) if index is not None or not provider_id else None
            if item is not None and (kind is None or item.kind in (None, kind)):
                if provider_id:
                    self._by_id[provider_id] = item
                return item
            if index is None and not provider_id:
                item = next((item for item in reversed(self._items) if item.kind == kind), None)
                if item is not None:
                    return item
        return self._new(provider_id, index, kind)

    def _new(self, provider_id: Any, index: Any, kind: str | None) -> _Item:
        item = _Item(kind)
        self._items.append(item)
        if provider_id:
            self._by_id[provider_id] = item
        self._by_index[index] = item
        return item

    def _announced(self, data: dict[str, Any], item: dict[str, Any]) -> _Item:
        """Return the item that starts here: one that is known already, or a new one."""
        kind, provider_id, index = item.get("type"), item.get("id") or data.get("item_id"), data.get("output_index")
        entry = self._by_id.get(provider_id) if provider_id else None
        if entry is None and not self._ids_hold:
            there = self._by_index.get(index)
            same = there is not None and there.kind in (None, kind) and (there.announced is None or not provider_id)
            if there is not None and same and (there.announced is None or there.provider_id == item.get("call_id")):
                entry = there
        if entry is None:
            entry = self._new(provider_id, index, kind)
        entry.kind, entry.announced = entry.kind or kind, provider_id or ""
        if provider_id:
            self._by_id[provider_id] = entry
        return entry

    def _added(self, data: dict[str, Any], item: dict[str, Any]) -> None:
        entry = self._announced(data, item)
        if item.get("type") == "function_call":
            entry.name, entry.provider_id = (
                str(item.get("name") or entry.name),
                str(item.get("call_id") or entry.provider_id),
            )
            if entry.name and entry.provider_id:
                self._start(entry)
        elif items.is_server_call(item):
            self._start_server_call(entry, item)

    def _start(self, entry: _Item) -> None:
        """Start a call, and emit the arguments that waited for its name."""
        if entry.call is None:
            entry.call = self.builder.call(entry.provider_id, entry.name)
            for piece in entry.pieces:
                self.builder.arguments(entry.call, piece)

    def _start_server_call(self, entry: _Item, item: dict[str, Any]) -> None:
        if entry.call is None:
            key = items.call_key(item)
            entry.call = self.builder.call(key, items.call_name(item), by_provider=True)
            self._server_calls[key] = entry.call

    def _arguments(self, data: dict[str, Any], fragment: Any) -> None:
        item = self._item(data, "function_call")
        if isinstance(fragment, dict | list):
            fragment = json.dumps(fragment)
        if self._sequence.gap:
            return
        if item.call is not None:
            self.builder.arguments(item.call, fragment or "")
        elif fragment:
            self.builder.check_calls(len(self._items))
            item.pieces.append(fragment)

    def _done(self, data: dict[str, Any], item: dict[str, Any]) -> None:
        provider_id = item.get("id") or data.get("item_id")
        self._settle(self._item({**data, "item_id": provider_id}, item.get("type")), item)

    def _settle(self, entry: _Item, item: dict[str, Any]) -> None:
        """Emit what is new in a whole item. Its name, id and arguments hold."""
        kind, is_repeat = item.get("type"), entry.done
        entry.kind, entry.done = entry.kind or kind, True
        if kind == "message":
            for index, part in enumerate(item.get("content") or ()):
                self._part(entry, index, part)
        elif kind == "reasoning":
            self._close_reasoning(entry, item, is_repeat)
        elif kind == "function_call":
            self._call_done(entry, item)
        elif is_repeat:
            return
        elif items.is_server_call(item):
            self._start_server_call(entry, item)
            if entry.call is not None:
                self._server_call_done(entry.call, item)
        elif items.is_server_output(item):
            self._server_output(item)
        else:
            self.builder.emit(e.Notice(str(kind), items.describe(item), opaque={"responses": [item]}))

    def _call_done(self, entry: _Item, item: dict[str, Any]) -> None:
        name, provider_id = str(item.get("name") or ""), str(item.get("call_id") or "")
        if entry.call is not None and name and name != entry.call.name and not entry.call.answered:
            # It started under another name: that call never runs.
            self.builder.result(entry.call, "stopped", error="The provider gave this call another name.")
            entry.pieces, entry.call = list(entry.call.pieces), None
        entry.name, entry.provider_id = (
            name or entry.name,
            provider_id or entry.provider_id or str(item.get("id") or ""),
        )
        self._start(entry)
        if entry.call is not None and not entry.call.answered:
            self._settle_arguments(entry.call, item.get("arguments") or item.get("input") or item.get("parameters"))
            frame = {key: value for key, value in item.items() if key not in ("arguments", "status")}
            entry.call.opaque = {"responses": [{**frame, "name": entry.name}]}

    def _snapshot(self, output: Any) -> None:
        """Process the whole answer at its end: items that arrived only in parts, or not at all."""
        if not isinstance(output, list) or not output:
            return
        self._has_snapshot = True
        whole = [item for item in output if isinstance(item, dict)]
        by_identity = {id(item): self._by_id.get(item.get("id")) for item in whole if item.get("id")}
        matched = {id(entry) for entry in by_identity.values() if entry is not None}
        for item in whole:
            entry = by_identity.get(id(item)) or self._find_match(item, matched)
            if entry is None:
                entry = self._new(item.get("id"), None, item.get("type"))
            matched.add(id(entry))
            self._settle(entry, item)

    def _add_unheard(self, text: Any) -> None:
        """Emit text that stands only at the beginning of its part, or only beside the output."""
        for entry, index, beginning in self._beginnings:
            if not entry.received.get(index):
                self.builder.text(self._new_text(entry, index, beginning))
        self._beginnings = []
        has_text = any(item.kind == "message" and any(item.received.values()) for item in self._items)
        if isinstance(text, str) and not has_text:
            self.builder.text(text)

    def _find_match(self, item: dict[str, Any], matched: set[int]) -> _Item | None:
        """Return an item that arrived under another id."""
        kind, call_id = item.get("type"), item.get("call_id")
        rest = [entry for entry in self._items if id(entry) not in matched and entry.kind == kind]
        if call_id and (same := next((entry for entry in rest if entry.provider_id == call_id), None)) is not None:
            return same
        return next((entry for entry in rest if not (call_id and entry.provider_id)), None)

    def _part(self, entry: _Item, index: Any, part: dict[str, Any]) -> None:
        """Emit what is new in a whole part of a message."""
        if part.get("type") == "refusal":
            if not self._refusal and not self._refused:
                self._refusal.append(part.get("refusal") or "")
            return
        self.builder.text(self._new_text(entry, index or 0, part.get("text") or ""))
        with suppress(*_NONSENSE):
            for annotation in part.get("annotations") or ():
                self._add_source(annotation)

    def _new_text(self, entry: _Item, index: Any, whole: str) -> str:
        """Return what a whole part has beyond the received text."""
        pieces = entry.received.setdefault(index, [])
        received = "".join(pieces)
        if not whole.startswith(received):
            if self._sequence.gap and whole:
                raise _gap()
            return ""
        entry.received[index] = [whole]
        return whole[len(received) :]

    def _reasoning(self, kind: str, data: dict[str, Any]) -> None:
        source, _, what = kind.removeprefix("response.reasoning_").rpartition(".")
        if what not in ("delta", "done") or source.endswith("part"):
            return
        item = self._item(data, "reasoning")
        part = data.get("summary_index" if source.startswith("summary") else "content_index") or 0
        if item.thinking not in ("", source) or (what == "delta" and self._sequence.gap):
            return
        text = data.get("delta" if what == "delta" else "text") or ""
        if not isinstance(text, str):
            return
        if what == "done":
            text = self._new_text(item, part, text)
        else:
            item.received.setdefault(part, []).append(text)
        if item.thinking and part != item.part and text:
            self.builder.reasoning("\n\n")
        item.thinking, item.part = source, part
        self.builder.reasoning(text)

    def _close_reasoning(self, entry: _Item, item: dict[str, Any], is_repeat: bool) -> None:
        if not any(map(any, entry.received.values())):
            parts = [part for part in (item.get("summary") or item.get("content") or ()) if isinstance(part, dict)]
            texts = [str(part.get("text") or "") for part in parts]
            self.builder.reasoning("\n\n".join(texts))
            entry.received = {index: [text] for index, text in enumerate(texts)}
        if item.get("encrypted_content") and not is_repeat:
            self.builder.close_reasoning({"responses": [item]})

    def _settle_arguments(self, call: Call, arguments: Any) -> None:
        if isinstance(arguments, dict):
            arguments = json.dumps(arguments)
        if not isinstance(arguments, str) or not arguments:
            return
        call.lost = False
        if arguments.strip() == "{}" and call.pieces:
            return
        if call.placeholder:
            call.drop()
        if arguments.startswith(call.raw):
            self.builder.arguments(call, arguments[len(call.raw) :])
        else:
            call.pieces, call.repeats = [arguments], []

    def _server_call_done(self, call: Call, item: dict[str, Any]) -> None:
        call.opaque = {"responses": [item]}
        self.builder.ready(call, items.call_arguments(item))
        if (outcome := items.call_outcome(item)) is not None:
            state, result, error = outcome
            self.builder.result(call, state, result=result, error=error)  # pyrefly: ignore[bad-argument-type]

    def _server_output(self, item: dict[str, Any]) -> None:
        key = items.call_key(item)
        call = self._server_calls.get(key)
        if call is None:
            name = str(item["type"]).removesuffix("_output").removesuffix("_call")
            call = self._server_calls[key] = self.builder.call(key, name, by_provider=True)
        call.opaque = {"responses": [*(call.opaque or {}).get("responses", ()), item]}
        self.builder.result(call, "done", result=items.output_result(item))

    def _rare_event(self, kind: str, data: dict[str, Any]) -> None:
        if kind == "response.output_text.done":
            self._part(self._item(data, "message"), data.get("content_index"), data)
        elif kind == "response.content_part.done" and items.is_text(data.get("part")):
            self._part(self._item(data, "message"), data.get("content_index"), data["part"])
        elif kind == "response.content_part.added" and items.is_text(data.get("part")) and data["part"].get("text"):
            beginning = self._item(data, "message"), data.get("content_index") or 0, data["part"]["text"]
            self._beginnings.append(beginning)
        elif kind == "response.output_text.annotation.added":
            with suppress(*_NONSENSE):
                self._add_source(data.get("annotation") or {})
        elif kind == "response.refusal.delta":
            self._refusal.append(data.get("delta") or "")
        elif kind == "response.function_call_arguments.done":
            item, arguments = self._item(data, "function_call"), data.get("arguments")
            if item.call is not None:
                self._settle_arguments(item.call, arguments)
            elif arguments:
                item.pieces = [arguments if isinstance(arguments, str) else json.dumps(arguments)]
        elif kind.rpartition(".")[2] in _PROGRESS and (call := self._item(data).call) is not None:
            self.builder.emit(e.ToolProgress(call.id, kind.rpartition(".")[2]))

    def _add_source(self, annotation: dict[str, Any]) -> None:
        citation = annotation.get("url_citation") or annotation
        title = str(citation.get("title") or citation.get("filename") or "")
        self.builder.source(str(citation.get("url") or ""), title, {"responses": annotation})

    def _emit_refusal(self) -> None:
        if self._refusal:
            self._refused = True
            self.builder.emit(e.Notice("refusal", "".join(self._refusal)))
            self._refusal = []


def _gap() -> StreamBroken:
    return StreamBroken("A part of the answer was lost in transit.", kind="gap", retryable=True)
