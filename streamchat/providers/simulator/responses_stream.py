"""OpenAI Responses: the answer as its numbered, named events. Pure.

Every item is added, its parts opened, told in deltas, closed again, and repeated whole: as the real stream does.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from streamchat.providers.simulator import sse
from streamchat.providers.simulator import steps as s
from streamchat.providers.simulator.ask import Ask
from streamchat.providers.simulator.responses_items import call_item, message_item, reasoning_item, reply, text_part


class ResponsesStream:
    def __init__(self, ask: Ask, number: int, created: float) -> None:
        self._ask, self._number, self._created = ask, number, created
        self._sequence = -1
        self._output: list[dict[str, Any]] = []
        self._calls: dict[int, tuple[int, s.Call, list[str]]] = {}
        self._item: dict[str, Any] = {}
        self._texts: dict[str, list[str]] = {}
        self._tokens = self._thoughts = 0

    def open(self) -> bytes:
        response = reply(self._ask, self._number, self._created, None, ())
        return self._event("response.created", response=response) + self._event(
            "response.in_progress", response=response
        )

    def ping(self) -> bytes:
        return b": keep-alive\n\n"

    def step(self, step: s.Step) -> bytes:
        self._tokens += isinstance(step, s.TOKENS)
        match step:
            case s.Text(text):
                return self._part("text") + self._told("response.output_text.delta", "text", text, logprobs=[])
            case s.Refusal(text):
                return self._part("refusal") + self._told("response.refusal.delta", "refusal", text)
            case s.Reasoning(text):
                self._thoughts += 1
                return self._think() + self._told("response.reasoning_summary_text.delta", "summary", text)
            case s.ReasoningEnd(signature):
                return self._thought(signature)
            case s.CallStart(index, call_id, name):
                return self._leave() + self._call(index, s.Call(call_id, name, ""))
            case s.Arguments(index, fragment):
                place, _, pieces = self._calls[index]
                pieces.append(fragment)
                where = {"item_id": self._output[place]["id"], "output_index": place}
                return self._event("response.function_call_arguments.delta", **where, delta=fragment)
            case s.CallEnd(index):
                return self._called(index)
            case s.End(reason):
                return self._end(reason)
        return b""

    def error(self, kind: str) -> bytes:
        text = "The server had an error processing your request. Sorry about that!"
        if kind == "error-event":
            return self._event("error", code="server_error", message=text, param=None)
        error = {
            "code": "server_is_overloaded",
            "message": "Our servers are currently overloaded. Please try again later.",
        }
        failed = reply(self._ask, self._number, self._created, "stop", self._output, error=error)
        return self._event("response.failed", response=failed)

    def _event(self, kind: str, **fields: Any) -> bytes:
        self._sequence += 1
        return sse.event({"type": kind, "sequence_number": self._sequence, **fields})

    def _place(self) -> dict[str, Any]:
        return {"item_id": self._item["id"], "output_index": len(self._output) - 1}

    def _told(self, kind: str, part: str, text: str, **fields: Any) -> bytes:
        self._texts.setdefault(part, []).append(text)
        index = {"summary_index": 0} if part == "summary" else {"content_index": list(self._texts).index(part)}
        return self._event(kind, **self._place(), **index, delta=text, **fields)

    def _add(self, item: dict[str, Any]) -> bytes:
        self._item = item
        self._output.append(item)
        return self._event("response.output_item.added", output_index=len(self._output) - 1, item=item)

    def _think(self) -> bytes:
        if self._item:
            return b""
        told = self._add(reasoning_item(self._number, len(self._output), None, ""))
        part = {"type": "summary_text", "text": ""}
        return told + self._event("response.reasoning_summary_part.added", **self._place(), summary_index=0, part=part)

    def _thought(self, seal: str) -> bytes:
        text = "".join(self._texts.pop("summary", ()))
        where = {**self._place(), "summary_index": 0}
        told = self._event("response.reasoning_summary_text.done", **where, text=text)
        part = {"type": "summary_text", "text": text}
        told += self._event("response.reasoning_summary_part.done", **where, part=part)
        return told + self._done(reasoning_item(self._number, len(self._output) - 1, text, seal))

    def _part(self, part: str) -> bytes:
        if part in self._texts:
            return b""
        told = b""
        if not self._item:
            told = self._add(message_item(self._number, len(self._output), "", "", "in_progress"))
        index = len(self._texts)
        self._texts[part] = []
        empty = text_part("") if part == "text" else {"type": "refusal", "refusal": ""}
        return told + self._event("response.content_part.added", **self._place(), content_index=index, part=empty)

    def _leave(self, status: str = "completed") -> bytes:
        """Close the message item that is open, part by part."""
        if not self._item:
            return b""
        told = b""
        texts = {part: s.joined("".join(pieces)) for part, pieces in self._texts.items()}
        for index, (part, text) in enumerate(texts.items()):
            where = {**self._place(), "content_index": index}
            if part == "text":
                told += self._event("response.output_text.done", **where, text=text, logprobs=[])
                told += self._event("response.content_part.done", **where, part=text_part(text))
            else:
                told += self._event("response.refusal.done", **where, refusal=text)
                told += self._event("response.content_part.done", **where, part={"type": "refusal", "refusal": text})
        index = len(self._output) - 1
        item = message_item(self._number, index, texts.get("text", ""), texts.get("refusal", ""), status)
        return told + self._done(item)

    def _done(self, item: dict[str, Any]) -> bytes:
        self._output[-1] = item
        self._item, self._texts = {}, {}
        return self._event("response.output_item.done", output_index=len(self._output) - 1, item=item)

    def _call(self, index: int, call: s.Call) -> bytes:
        place = len(self._output)
        self._calls[index] = (place, call, [])
        told = self._add(call_item(self._number, place, call, "in_progress"))
        self._item = {}
        return told

    def _called(self, index: int) -> bytes:
        place, call, pieces = self._calls[index]
        item = call_item(self._number, place, replace(call, arguments="".join(pieces)), "completed")
        self._output[place] = item
        where = {"item_id": item["id"], "output_index": place}
        told = self._event(
            "response.function_call_arguments.done", **where, name=call.name, arguments=item["arguments"]
        )
        return told + self._event("response.output_item.done", output_index=place, item=item)

    def _end(self, reason: str) -> bytes:
        incomplete = reason in ("length", "content-filter")
        told = self._leave("incomplete" if incomplete else "completed")
        counts = (self._tokens, self._thoughts)
        response = reply(self._ask, self._number, self._created, reason, self._output, counts)
        return told + self._event("response.incomplete" if incomplete else "response.completed", response=response)
