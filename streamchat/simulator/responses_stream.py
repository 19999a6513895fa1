"""OpenAI Responses: encodes a stream as numbered, named events. Pure.

Rule: as in the real stream, every item is added, its parts are opened, sent as deltas and closed, and the item is then
repeated in full.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from streamchat.simulator import sse_writer
from streamchat.simulator import steps as s
from streamchat.simulator.request import Ask
from streamchat.simulator.responses_output import call_item, message_item, reasoning_item, reply, text_part


class ResponsesStream:
    """Implements ``wire_format.Stream``. Keeps the output items for the final response object."""

    def __init__(self, ask: Ask, number: int, created: float) -> None:
        self._ask, self._number, self._created = ask, number, created
        self._sequence = -1
        self._output: list[dict[str, Any]] = []
        self._calls: dict[int, tuple[int, s.Call, list[str]]] = {}
        self._item: dict[str, Any] = {}
        self._texts: dict[str, list[str]] = {}
        self._tokens = self._thoughts = 0

    def open(self) -> bytes:
        """Return the events ``response.created`` and ``response.in_progress``."""
        response = reply(self._ask, self._number, self._created, None, ())
        return self._event("response.created", response=response) + self._event(
            "response.in_progress", response=response
        )

    def ping(self) -> bytes:
        """Return an SSE comment."""
        return b": keep-alive\n\n"

    def step(self, step: s.Step) -> bytes:
        """Return the events of a step, or ``b""`` if it has none."""
        self._tokens += isinstance(step, s.TOKENS)
        match step:
            case s.Text(text):
                return self._open_part("text") + self._text_delta(
                    "response.output_text.delta", "text", text, logprobs=[]
                )
            case s.Refusal(text):
                return self._open_part("refusal") + self._text_delta("response.refusal.delta", "refusal", text)
            case s.Reasoning(text):
                self._thoughts += 1
                return self._open_reasoning() + self._text_delta(
                    "response.reasoning_summary_text.delta", "summary", text
                )
            case s.ReasoningEnd(signature):
                return self._close_reasoning(signature)
            case s.CallStart(index, call_id, name):
                return self._close_message() + self._open_call(index, s.Call(call_id, name, ""))
            case s.Arguments(index, fragment):
                output_index, _, pieces = self._calls[index]
                pieces.append(fragment)
                position = {"item_id": self._output[output_index]["id"], "output_index": output_index}
                return self._event("response.function_call_arguments.delta", **position, delta=fragment)
            case s.CallEnd(index):
                return self._close_call(index)
            case s.End(reason):
                return self._end(reason)
        return b""

    def error(self, kind: str) -> bytes:
        """Return ``error`` for ``error-event``, else ``response.failed``."""
        text = "The server had an error processing your request. Sorry about that!"
        if kind == "error-event":
            return self._event("error", code="server_error", message=text, param=None)
        error = {
            "code": "server_is_overloaded",
            "message": "Our servers are currently overloaded. Please try again later.",
        }
        response = reply(self._ask, self._number, self._created, "stop", self._output, error=error)
        return self._event("response.failed", response=response)

    def _event(self, kind: str, **fields: Any) -> bytes:
        self._sequence += 1
        return sse_writer.event({"type": kind, "sequence_number": self._sequence, **fields})

    def _position(self) -> dict[str, Any]:
        return {"item_id": self._item["id"], "output_index": len(self._output) - 1}

    def _text_delta(self, kind: str, part: str, text: str, **fields: Any) -> bytes:
        self._texts.setdefault(part, []).append(text)
        index = {"summary_index": 0} if part == "summary" else {"content_index": list(self._texts).index(part)}
        return self._event(kind, **self._position(), **index, delta=text, **fields)

    def _add(self, item: dict[str, Any]) -> bytes:
        self._item = item
        self._output.append(item)
        return self._event("response.output_item.added", output_index=len(self._output) - 1, item=item)

    def _open_reasoning(self) -> bytes:
        if self._item:
            return b""
        payload = self._add(reasoning_item(self._number, len(self._output), None, ""))
        part = {"type": "summary_text", "text": ""}
        return payload + self._event(
            "response.reasoning_summary_part.added", **self._position(), summary_index=0, part=part
        )

    def _close_reasoning(self, seal: str) -> bytes:
        text = "".join(self._texts.pop("summary", ()))
        position = {**self._position(), "summary_index": 0}
        payload = self._event("response.reasoning_summary_text.done", **position, text=text)
        part = {"type": "summary_text", "text": text}
        payload += self._event("response.reasoning_summary_part.done", **position, part=part)
        return payload + self._done(reasoning_item(self._number, len(self._output) - 1, text, seal))

    def _open_part(self, part: str) -> bytes:
        if part in self._texts:
            return b""
        payload = b""
        if not self._item:
            payload = self._add(message_item(self._number, len(self._output), "", "", "in_progress"))
        index = len(self._texts)
        self._texts[part] = []
        empty = text_part("") if part == "text" else {"type": "refusal", "refusal": ""}
        return payload + self._event("response.content_part.added", **self._position(), content_index=index, part=empty)

    def _close_message(self, status: str = "completed") -> bytes:
        """Close the open message item and its parts, if there is one."""
        if not self._item:
            return b""
        payload = b""
        texts = {part: s.joined("".join(pieces)) for part, pieces in self._texts.items()}
        for index, (part, text) in enumerate(texts.items()):
            position = {**self._position(), "content_index": index}
            if part == "text":
                payload += self._event("response.output_text.done", **position, text=text, logprobs=[])
                payload += self._event("response.content_part.done", **position, part=text_part(text))
            else:
                refusal = {"type": "refusal", "refusal": text}
                payload += self._event("response.refusal.done", **position, refusal=text)
                payload += self._event("response.content_part.done", **position, part=refusal)
        index = len(self._output) - 1
        item = message_item(self._number, index, texts.get("text", ""), texts.get("refusal", ""), status)
        return payload + self._done(item)

    def _done(self, item: dict[str, Any]) -> bytes:
        self._output[-1] = item
        self._item, self._texts = {}, {}
        return self._event("response.output_item.done", output_index=len(self._output) - 1, item=item)

    def _open_call(self, index: int, call: s.Call) -> bytes:
        output_index = len(self._output)
        self._calls[index] = (output_index, call, [])
        payload = self._add(call_item(self._number, output_index, call, "in_progress"))
        self._item = {}
        return payload

    def _close_call(self, index: int) -> bytes:
        output_index, call, pieces = self._calls[index]
        item = call_item(self._number, output_index, replace(call, arguments="".join(pieces)), "completed")
        self._output[output_index] = item
        position = {"item_id": item["id"], "output_index": output_index}
        payload = self._event(
            "response.function_call_arguments.done", **position, name=call.name, arguments=item["arguments"]
        )
        return payload + self._event("response.output_item.done", output_index=output_index, item=item)

    def _end(self, reason: str) -> bytes:
        incomplete = reason in ("length", "content-filter")
        payload = self._close_message("incomplete" if incomplete else "completed")
        counts = (self._tokens, self._thoughts)
        response = reply(self._ask, self._number, self._created, reason, self._output, counts)
        return payload + self._event("response.incomplete" if incomplete else "response.completed", response=response)
