"""Chat completion chunks to events, for OpenAI and for every compatible server.

No I/O. Rules:

* ``finish_reason`` completes the answer; ``[DONE]``, a usage chunk or nothing may follow it.
* Only the first choice counts; a single one does, whatever its index. A missing or null ``choices``,
  ``delta`` or ``index`` is allowed.
* Calls are told apart by index and id as servers really send them; see ``chat_tool_calls``.
* Reasoning comes in fields of several names and shapes, a content list, ``<think>`` tags or channels: all are
  treated alike, and emitted once if they come from two sources.
* A message after or beside deltas is their total, and so is a delta that contains all before it: see ``snapshots``.
* Only text and calls can break an answer; an invalid field beside them is ignored.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from streamchat.chat import events as e
from streamchat.errors import StreamBroken
from streamchat.providers.event_builder import LIMITS, EventBuilder, Limits
from streamchat.providers.finish_reasons import is_unknown, sort_reason
from streamchat.providers.openai.chat_tool_calls import ToolCalls
from streamchat.providers.snapshots import CumulativeDeltas, EmittedText
from streamchat.providers.think_tags import ThinkingTags
from streamchat.providers.token_counts import count

LINGER = 2.0
_THINKING = ("reasoning_content", "reasoning", "thinking", "reasoning_text", "thinking_content", "thought", "thoughts")
_NONSENSE = (TypeError, AttributeError, KeyError, IndexError, ValueError)


class ChatNormaliser:
    """Normalises one chat completion. ``known``: calls that the run already has."""

    def __init__(self, known: Mapping[str, e.Opaque | None] | None = None, limits: Limits = LIMITS) -> None:
        self.builder = EventBuilder(known, limits)
        self.error: Any = None
        self._think_tags = ThinkingTags()
        self._calls = ToolCalls(self.builder)
        self._reason: str | None = None
        self._usage: e.UsageReported | None = None
        self._refusal: list[str] = []
        self._refused = False
        self._details: list[dict[str, Any]] = []
        self._is_done = self._is_plain = False
        self._many_choices = self._has_choice = False
        self._index: Any = None
        self._cumulative: CumulativeDeltas | None = CumulativeDeltas()
        self._text = EmittedText()
        self._reasoning = EmittedText()

    @property
    def patience(self) -> float | None:
        """See ``Normaliser``."""
        if self._is_done:
            return 0
        return LINGER if self._reason is not None else None

    def done(self) -> None:
        """See ``Normaliser``."""
        self._is_done = True

    def feed(self, name: str, data: dict[str, Any]) -> None:
        """See ``Normaliser``."""
        choices = data.get("choices")
        if self._is_plain and choices and (content := _only_content(choices)) is not None:
            self._text.add(content)
            self.builder.text(content)
        elif choices:
            self._many_choices = self._many_choices or len(choices) > 1
            for choice in choices:
                if not (index := choice.get("index")) or not self._is_other_answer(index, choice):
                    self._choice(choice, choice.get("delta"))
            # Whether content needs no further checks until something else arrives.
            self._is_plain = (
                self._cumulative is None
                and self._think_tags.is_over
                and not self._details
                and not self._calls.has_waiting
            )
        if data.get("usage") or "x_groq" in data:
            with suppress(*_NONSENSE):
                if usage := data.get("usage") or (data.get("x_groq") or {}).get("usage"):
                    self._usage = read_usage(usage)
        if "citations" in data or "search_results" in data:
            with suppress(*_NONSENSE):
                self._sources(data)

    def whole(self, data: dict[str, Any]) -> None:
        """See ``Normaliser``."""
        if not isinstance(data.get("choices"), list):
            raise ValueError("not a chat completion")
        self.feed("", data)

    def finish(self) -> None:
        """See ``Normaliser``."""
        if self._reason is None:
            self.flush()
            raise StreamBroken("The answer was cut off before its end.", kind="cut", retryable=True)
        reason = sort_reason(self._reason)
        if reason == "broken":
            self.flush()
            raise StreamBroken(f"The provider aborted the answer ({self._reason[:40]}).", kind="cut", retryable=True)
        self._release()
        self._calls.close()
        if self._refused and reason == "stop":
            reason = "refusal"
        if is_unknown(reason) and self.builder.all_complete():
            reason = "tool-calls"
        if reason in ("stop", "tool-calls"):
            reason = "tool-calls" if any(not call.by_provider for call in self.builder.calls) else "stop"
        self.builder.finish(reason, self._usage)

    def flush(self) -> None:
        """See ``Normaliser``."""
        self._release()
        self._calls.start_waiting()
        self.builder.release()
        if self._usage is not None:
            self.builder.emit(self._usage)

    def _choice(self, choice: dict[str, Any], delta: dict[str, Any] | None) -> None:
        self._has_choice = True
        reason = choice.get("finish_reason")
        if delta:
            if len(delta) > 1 or "content" not in delta:
                self._thinking(delta)
            if content := delta.get("content"):
                self._content(content, last=bool(reason))
            if calls := delta.get("tool_calls"):
                self._release_text()
                self._close_reasoning()
                self._calls.feed(calls if isinstance(calls, list) else [calls])
            if len(delta) > (1 if "content" in delta or "tool_calls" in delta else 0):
                if call := delta.get("function_call"):
                    self._calls.feed([{"index": 0, "function": call}])
                with suppress(*_NONSENSE):
                    self._rare_fields(delta)
        elif message := choice.get("message"):
            self._message(message)
        error = choice.get("error")
        if not error and delta and not delta.get("content") and isinstance(delta.get("error"), dict):
            error = delta["error"]
        if error and isinstance(error, dict | str):
            self.error = error  # and no reason: the answer did not end with it
        elif reason:
            self._reason = str(reason)

    def _is_other_answer(self, index: Any, choice: dict[str, Any]) -> bool:
        """Return whether this choice is another answer, and not the next block of the only one.

        Answers come side by side, or start with a role of their own while the first one has only started, or has text.
        """
        if index != self._index and (choice.get("delta") or {}).get("role"):
            self._many_choices = self._many_choices or (
                self._index is None and self._has_choice and self._reasoning.is_empty
            )
            self._index = index
        return self._many_choices

    def _message(self, message: dict[str, Any]) -> None:
        """Emit what is new in a whole message."""
        self._thinking(message)
        content = message.get("content")
        if self._text.is_empty:
            if content:
                self._content(content)
        elif isinstance(content, str):
            self._emit_pieces(self._think_tags.flush())
            if (rest := self._text.rest(content)) is not None:
                self._emit_text(rest)
        if (calls := message.get("tool_calls")) and not self.builder.calls and not self._calls.has_waiting:
            self._calls.feed(calls if isinstance(calls, list) else [calls])
        if (call := message.get("function_call")) and not self.builder.calls and not self._calls.has_waiting:
            self._calls.feed([{"index": 0, "function": call}])
        with suppress(*_NONSENSE):
            self._rare_fields(message)

    def _thinking(self, delta: dict[str, Any]) -> None:
        for name in _THINKING:
            if (thinking := delta.get(name)) and (text := read_thinking(thinking)):
                self._emit_reasoning("field", text)
                break
        if details := delta.get("reasoning_details"):
            with suppress(*_NONSENSE):
                self._details.extend(item for item in details if isinstance(item, dict))

    def _emit_reasoning(self, source: str, text: str) -> None:
        if text := self._reasoning.new_text(source, text):
            self.builder.reasoning(text)

    def _rare_fields(self, delta: dict[str, Any]) -> None:
        if (refusal := delta.get("refusal")) and isinstance(refusal, str):
            self._refusal.append(refusal)
        for note in delta.get("annotations") or ():
            citation = note.get("url_citation") or note
            self.builder.source(str(citation.get("url") or ""), str(citation.get("title") or ""))
        for tool in delta.get("executed_tools") or ():
            self._server_tool(tool)

    def _content(self, content: str | Iterable[Any], *, last: bool = False) -> None:
        if not isinstance(content, str):
            for part in [content] if isinstance(content, dict) else content:
                self._content_part(part)
            return
        if self._cumulative is not None:
            content = self._cumulative.feed(content)
            if self._cumulative.is_over:
                self._cumulative = None
        elif last and self._text.is_all(content):
            return
        if self._think_tags.is_over:
            if self._details:
                self._close_reasoning()
            self._emit_text(content)
        else:
            self._emit_pieces(self._think_tags.feed(content))

    def _content_part(self, part: Any) -> None:
        if isinstance(part, str):
            return self._content(part)
        kind = part.get("type")
        if kind in ("text", "output_text", None):
            self._content(part.get("text") or "")
        elif kind in ("thinking", "reasoning", "thought"):
            self._emit_reasoning("part", read_thinking(part))
        elif kind == "refusal" and isinstance(part.get("refusal"), str):
            self._refusal.append(part["refusal"])

    def _emit_text(self, text: str) -> None:
        if self._calls.has_waiting:
            self._calls.start_waiting()
        self._text.add(text)
        self.builder.text(text)

    def _emit_pieces(self, pieces: Iterable[tuple[str, str]]) -> None:
        for kind, text in pieces:
            if kind == "thinking":
                self._emit_reasoning("tags", text)
            else:
                self._close_reasoning()
                self._emit_text(text)

    def _close_reasoning(self) -> None:
        """Emit the reasoning blocks that must go back whole with the next request of a tool loop."""
        if self._details:
            details, self._details = join_details(self._details), []
            if details:
                self.builder.close_reasoning({"chat": {"reasoning_details": details}})

    def _release_text(self) -> None:
        if self._cumulative is not None and (content := self._cumulative.flush()):
            self._cumulative = None
            self._emit_pieces(self._think_tags.feed(content))

    def _release(self) -> None:
        self._release_text()
        self._emit_pieces(self._think_tags.flush())
        self._close_reasoning()
        if self._refusal:
            self._refused = True
            self.builder.emit(e.Notice("refusal", "".join(self._refusal)))
            self._refusal = []

    def _sources(self, data: dict[str, Any]) -> None:
        titles = {hit.get("url"): hit.get("title") for hit in data.get("search_results") or ()}
        for url in (data.get("citations") or ()) or titles:
            if isinstance(url, str):
                self.builder.source(url, str(titles.get(url) or ""))

    def _server_tool(self, tool: dict[str, Any]) -> None:
        """Emit a tool call that the server ran itself and reports whole (Groq)."""
        key = f"executed-{tool.get('index', 0)}"
        call = next((c for c in self.builder.calls if c.provider_id == key), None)
        if call is None:
            call = self.builder.call(key, str(tool.get("type") or "tool"), by_provider=True)
            arguments = tool.get("arguments") or ""
            self.builder.arguments(call, arguments if isinstance(arguments, str) else json.dumps(arguments))
            self.builder.ready(call)
        if (output := tool.get("output")) is not None and not call.answered:
            self.builder.result(call, "done", result=output)


def _only_content(choices: list[Any]) -> str | None:
    """Return the text of a chunk that has nothing else, as most have; ``None`` for any other chunk."""
    if len(choices) != 1:
        return None
    choice = choices[0]
    delta = choice.get("delta")
    if not delta or choice.get("finish_reason") or choice.get("index"):
        return None
    content = delta.get("content")
    if not content or type(content) is not str or len(delta) > (2 if "role" in delta else 1):
        return None
    return content


def read_thinking(value: Any) -> str:
    """Return the text of a thought: a string, or parts of it in lists and objects. Anything else is ``""``."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(read_thinking(item) for item in value if not isinstance(item, list))
    if isinstance(value, dict):
        for key in ("text", "thinking", "content", "summary", "reasoning", "thought"):
            if (inner := value.get(key)) and isinstance(inner, str | list):
                return read_thinking(inner) if isinstance(inner, str) else "".join(map(_thought_part, inner))
    return ""


def _thought_part(value: Any) -> str:
    text = (value.get("text") or value.get("thinking")) if isinstance(value, dict) else value
    return text if isinstance(text, str) else ""


def read_usage(usage: dict[str, Any]) -> e.UsageReported:
    """Return the token counts, under any of the names that servers use."""
    prompt_details = usage.get("prompt_tokens_details") or {}
    completion_details = usage.get("completion_tokens_details") or {}
    cached = prompt_details.get("cached_tokens")
    return e.UsageReported(
        input=count(usage.get("prompt_tokens")),
        output=count(usage.get("completion_tokens")),
        cached=count(usage.get("prompt_cache_hit_tokens") if cached is None else cached),
        reasoning=count(completion_details.get("reasoning_tokens")),
        written=count(prompt_details.get("cache_write_tokens")) or None,
    )


def join_details(fragments: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the fragments of each reasoning block joined, as the server wants them back."""
    blocks: list[dict[str, Any]] = []
    texts: list[list[str]] = []
    for fragment in fragments:
        last = blocks[-1] if blocks else None
        kind, index = fragment.get("type"), fragment.get("index")
        if last is None or kind != "reasoning.text" or (kind, index) != (last.get("type"), last.get("index")):
            blocks.append({})
            texts.append([])
        blocks[-1].update({key: value for key, value in fragment.items() if value is not None and key != "text"})
        if isinstance(fragment.get("text"), str):
            texts[-1].append(fragment["text"])
    for block, pieces in zip(blocks, texts, strict=True):
        if pieces:
            block["text"] = "".join(pieces)
    return [block for block in blocks if block.get("text") or block.get("data") or block.get("signature")]
