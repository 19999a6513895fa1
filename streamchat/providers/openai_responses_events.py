"""Events of the Responses API to ours. No I/O.

Rules:

* ``response.completed``, ``.incomplete`` or ``.failed`` end the answer, nothing else does.
* Items are told apart by ``output_index``: their ids may change from event to event.
* What came as deltas is never repeated from the ``done`` events; what came without deltas is taken there.
* A number that came before is a repetition and is dropped; a gap in the numbers breaks the answer off.
  A server whose numbers mean something else is read without them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from streamchat.chat import events as e
from streamchat.errors import StreamBroken
from streamchat.providers import responses_items as items
from streamchat.providers.sequence import Sequence
from streamchat.providers.speech import LIMITS, Call, Limits, Speaker

LINGER = 0.3
_PROGRESS = {"searching", "interpreting", "generating"}
_CUT = {"max_output_tokens": "length", "max_tokens": "length", "content_filter": "content-filter"}


@dataclass(slots=True)
class _Item:
    call: Call | None = None
    heard: set[Any] = field(default_factory=set)
    thinking: str = ""
    part: Any = None


class ResponsesNormaliser:
    """One response. ``known``: calls that the run already has."""

    def __init__(self, known: Mapping[str, e.Opaque | None] | None = None, limits: Limits = LIMITS) -> None:
        self.speaker = Speaker(known, limits)
        self.error: Any = None
        self._numbers = Sequence()
        self._items: dict[Any, _Item] = {}
        self._server_calls: dict[str, Call] = {}
        self._reason: str | None = None
        self._usage: e.UsageReported | None = None
        self._refusal: list[str] = []
        self._refused = False

    @property
    def patience(self) -> float | None:
        return None if self._reason is None else LINGER

    def done(self) -> None:
        """Not this API's marker; some servers add it."""

    def feed(self, name: str, data: dict[str, Any]) -> None:
        kind = data.get("type") or name
        if not self._numbers.is_new(data, restart=self._reason is not None):
            return
        if kind == "response.output_text.delta":
            self._item(data).heard.add(data.get("content_index"))
            self.speaker.text(data.get("delta") or "")
        elif kind == "response.function_call_arguments.delta":
            if (call := self._item(data).call) is not None:
                self.speaker.arguments(call, data.get("delta") or "")
        elif kind.startswith("response.reasoning_"):
            self._reasoning(kind, data)
        elif kind == "response.output_item.added":
            self._added(data, data["item"])
        elif kind == "response.output_item.done":
            self._done(data, data["item"])
        elif "response" in data:
            self._lifecycle(kind, data["response"])
        else:
            self._rarities(kind, data)

    def whole(self, data: dict[str, Any]) -> None:
        if not isinstance(data.get("output"), list):
            raise ValueError("not a response")
        for index, item in enumerate(data["output"]):
            self._added({"output_index": index}, item)
            self._done({"output_index": index}, item)
        self._lifecycle("", data)

    def finish(self) -> None:
        if self._reason is None:
            self.flush()
            raise StreamBroken("The answer was cut off before its end.", kind="cut", retryable=True)
        self._say_refusal()
        for call in self.speaker.calls:
            if call.by_provider and not call.answered:
                self.speaker.result(call, "unknown", error="The provider did not report a result.")
        reason = self._reason
        if reason == "stop" and any(not call.answered for call in self.speaker.calls):
            reason = "tool-calls"
        elif reason == "stop" and self._refused:
            reason = "refusal"
        self.speaker.finish(reason, self._usage)

    def flush(self) -> None:
        self._say_refusal()
        self.speaker.release()
        if self._usage is not None:
            self.speaker.say(self._usage)

    def _item(self, data: dict[str, Any]) -> _Item:
        key = data.get("output_index", data.get("item_id"))
        item = self._items.get(key)
        if item is None:
            item = self._items[key] = _Item()
        return item

    def _lifecycle(self, kind: str, response: dict[str, Any]) -> None:
        if kind == "response.created":
            return self._created()
        if usage := response.get("usage"):
            self._usage = items.read_usage(usage)
        status = response.get("status")
        if kind == "response.failed" or status == "failed":
            self.error = response.get("error") or {"message": ""}
        elif kind == "response.incomplete" or status == "incomplete":
            why = str((response.get("incomplete_details") or {}).get("reason") or "incomplete")
            self._reason = _CUT.get(why, why)
        elif kind == "response.cancelled" or status == "cancelled":
            raise StreamBroken("The provider cancelled the answer.", kind="cut", retryable=True)
        elif kind == "response.completed" or status == "completed":
            self._reason = "stop"

    def _created(self) -> None:
        if self._reason is not None:
            self.speaker.settle("next")
            self._items, self._reason = {}, None
        elif self._items:
            text = "The provider began another answer in the middle of this one."
            raise StreamBroken(text, kind="spliced", retryable=True)

    def _added(self, data: dict[str, Any], item: dict[str, Any]) -> None:
        kept = self._item(data)
        if item.get("type") == "function_call":
            kept.call = self.speaker.call(str(item.get("call_id") or item.get("id") or ""), str(item.get("name") or ""))
        elif items.is_server_call(item):
            key = items.call_key(item)
            kept.call = self.speaker.call(key, items.call_name(item), by_provider=True)
            self._server_calls[key] = kept.call

    def _done(self, data: dict[str, Any], item: dict[str, Any]) -> None:
        kept, kind = self._item(data), item.get("type")
        if kept.call is None and (kind == "function_call" or items.is_server_call(item)):
            self._added(data, item)
        if kind == "message":
            for index, part in enumerate(item.get("content") or ()):
                self._part(kept, index, part)
        elif kind == "reasoning":
            self._close_reasoning(kept, item)
        elif kept.call is not None and kind == "function_call":
            self._settle_arguments(kept.call, item.get("arguments"))
            frame = {key: value for key, value in item.items() if key not in ("arguments", "status")}
            kept.call.opaque = {"responses": [frame]}
        elif kept.call is not None:
            self._server_call_done(kept.call, item)
        elif items.is_server_output(item):
            self._server_output(item)
        else:
            self.speaker.say(e.Notice(str(kind), items.describe(item), opaque={"responses": [item]}))

    def _part(self, kept: _Item, index: Any, part: dict[str, Any]) -> None:
        """A whole part of a message: what was not heard of it yet."""
        if part.get("type") == "refusal":
            if not self._refusal and not self._refused:
                self._refusal.append(part.get("refusal") or "")
            return
        if index not in kept.heard:
            kept.heard.add(index)
            self.speaker.text(part.get("text") or "")
        for annotation in part.get("annotations") or ():
            self._cite(annotation)

    def _reasoning(self, kind: str, data: dict[str, Any]) -> None:
        source, _, what = kind.removeprefix("response.reasoning_").rpartition(".")
        if what not in ("delta", "done") or source.endswith("part"):
            return
        item = self._item(data)
        part = data.get("summary_index" if source.startswith("summary") else "content_index")
        if item.thinking not in ("", source) or (what == "done" and part in item.heard):
            return
        if item.thinking and part != item.part:
            self.speaker.reasoning("\n\n")
        item.thinking, item.part = source, part
        item.heard.add(part)
        self.speaker.reasoning(data.get("delta" if what == "delta" else "text") or "")

    def _close_reasoning(self, kept: _Item, item: dict[str, Any]) -> None:
        if not kept.heard:
            parts = (item.get("summary") or ()) or (item.get("content") or ())
            self.speaker.reasoning("\n\n".join(part.get("text") or "" for part in parts))
        if item.get("encrypted_content"):
            self.speaker.close_reasoning({"responses": [item]})

    def _settle_arguments(self, call: Call, arguments: Any) -> None:
        if isinstance(arguments, str) and arguments:
            if not call.pieces:
                self.speaker.arguments(call, arguments)
            elif arguments != call.raw:
                call.pieces = [arguments]

    def _server_call_done(self, call: Call, item: dict[str, Any]) -> None:
        call.opaque = {"responses": [item]}
        self.speaker.ready(call, items.call_arguments(item))
        if (outcome := items.call_outcome(item)) is not None:
            state, result, error = outcome
            self.speaker.result(call, state, result=result, error=error)  # pyright: ignore[reportArgumentType]

    def _server_output(self, item: dict[str, Any]) -> None:
        key = items.call_key(item)
        call = self._server_calls.get(key)
        if call is None:
            name = str(item["type"]).removesuffix("_output").removesuffix("_call")
            call = self._server_calls[key] = self.speaker.call(key, name, by_provider=True)
        call.opaque = {"responses": [*(call.opaque or {}).get("responses", ()), item]}
        self.speaker.result(call, "done", result=items.output_of(item))

    def _rarities(self, kind: str, data: dict[str, Any]) -> None:
        if kind == "response.output_text.done":
            self._part(self._item(data), data.get("content_index"), data)
        elif kind == "response.output_text.annotation.added":
            self._cite(data.get("annotation") or {})
        elif kind == "response.refusal.delta":
            self._refusal.append(data.get("delta") or "")
        elif kind == "response.function_call_arguments.done":
            if (call := self._item(data).call) is not None:
                self._settle_arguments(call, data.get("arguments"))
        elif kind.rpartition(".")[2] in _PROGRESS and (call := self._item(data).call) is not None:
            self.speaker.say(e.ToolProgress(call.id, kind.rpartition(".")[2]))

    def _cite(self, annotation: dict[str, Any]) -> None:
        cited = annotation.get("url_citation") or annotation
        title = str(cited.get("title") or cited.get("filename") or "")
        self.speaker.source(str(cited.get("url") or ""), title, {"responses": annotation})

    def _say_refusal(self) -> None:
        if self._refusal:
            self._refused = True
            self.speaker.say(e.Notice("refusal", "".join(self._refusal)))
            self._refusal = []
