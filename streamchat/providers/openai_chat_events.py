"""Chat completion chunks to events, for OpenAI and for every server that speaks its dialect.

No I/O. Rules:

* ``finish_reason`` completes the answer; ``[DONE]``, a usage chunk or nothing may follow it.
* Only the first choice speaks. A missing or null ``choices``, ``delta`` or ``index`` is nothing special.
* Calls are told apart by index and id as servers really send them; see ``chat_tool_calls``.
* Thinking comes as ``reasoning_content``, ``reasoning``, a content list or ``<think>`` tags: all one view.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from streamchat.chat import events as e
from streamchat.errors import StreamBroken
from streamchat.providers.chat_tool_calls import ToolCalls
from streamchat.providers.speech import LIMITS, Limits, Speaker
from streamchat.providers.thinking import ThinkingTags

LINGER = 2.0
_REASONS = {
    **dict.fromkeys(("stop", "eos", "end_turn", "stop_sequence", "completed"), "stop"),
    **dict.fromkeys(("length", "max_tokens", "max_output_tokens", "model_length"), "length"),
    **dict.fromkeys(("tool_calls", "function_call", "tool_use"), "tool-calls"),
    **dict.fromkeys(("content_filter", "content-filter", "safety", "SAFETY"), "content-filter"),
}


class ChatNormaliser:
    """One chat completion. ``known``: calls that the run already has."""

    def __init__(self, known: Mapping[str, e.Opaque | None] | None = None, limits: Limits = LIMITS) -> None:
        self.speaker = Speaker(known, limits)
        self.error: Any = None
        self._tags = ThinkingTags()
        self._calls = ToolCalls(self.speaker)
        self._reason: str | None = None
        self._usage: e.UsageReported | None = None
        self._refusal: list[str] = []
        self._refused = False
        self._details: list[dict[str, Any]] = []
        self._over = False

    @property
    def patience(self) -> float | None:
        if self._over:
            return 0
        return LINGER if self._reason is not None else None

    def done(self) -> None:
        self._over = True

    def feed(self, name: str, data: dict[str, Any]) -> None:
        choices = data.get("choices")
        for choice in choices or ():
            if not choice.get("index"):
                self._choice(choice, choice.get("delta") or choice.get("message"))
        if usage := data.get("usage") or (data.get("x_groq") or {}).get("usage"):
            self._usage = read_usage(usage)
        if "citations" in data or "search_results" in data:
            self._sources(data)

    def whole(self, data: dict[str, Any]) -> None:
        if not isinstance(data.get("choices"), list):
            raise ValueError("not a chat completion")
        self.feed("", data)

    def finish(self) -> None:
        if self._reason is None:
            self.flush()
            raise StreamBroken("The answer was cut off before its end.", kind="cut", retryable=True)
        self._release()
        self._calls.close()
        reason = _REASONS.get(self._reason, self._reason)
        if self._refused and reason == "stop":
            reason = "refusal"
        if reason in ("stop", "tool-calls"):
            reason = "tool-calls" if any(not call.by_provider for call in self.speaker.calls) else "stop"
        self.speaker.finish(reason, self._usage)

    def flush(self) -> None:
        self._release()
        self.speaker.release()
        if self._usage is not None:
            self.speaker.say(self._usage)

    def _choice(self, choice: dict[str, Any], delta: dict[str, Any] | None) -> None:
        if delta:
            if thinking := delta.get("reasoning_content") or delta.get("reasoning"):
                self.speaker.reasoning(thinking)
            if "reasoning_details" in delta:
                self._details.extend(delta["reasoning_details"] or ())
            if content := delta.get("content"):
                self._content(content)
            if calls := delta.get("tool_calls"):
                self._close_reasoning()
                self._calls.feed(calls if isinstance(calls, list) else [calls])
            if len(delta) > (1 if "content" in delta or "tool_calls" in delta else 0):
                self._rarities(delta)
        if reason := choice.get("finish_reason"):
            self._reason = str(reason)

    def _rarities(self, delta: dict[str, Any]) -> None:
        if refusal := delta.get("refusal"):
            self._refusal.append(refusal)
        for note in delta.get("annotations") or ():
            cited = note.get("url_citation") or note
            self.speaker.source(str(cited.get("url") or ""), str(cited.get("title") or ""))
        if call := delta.get("function_call"):
            self._calls.feed([{"index": 0, "function": call}])
        for tool in delta.get("executed_tools") or ():
            self._executed(tool)

    def _content(self, content: str | Iterable[Any]) -> None:
        if not isinstance(content, str):
            for part in content:
                self._content_part(part)
        elif self._tags.over:
            if self._details:
                self._close_reasoning()
            self.speaker.text(content)
        else:
            self._pieces(self._tags.feed(content))

    def _content_part(self, part: dict[str, Any]) -> None:
        kind = part.get("type")
        if kind == "text":
            self._content(part.get("text") or "")
        elif kind == "thinking":
            inner = part.get("thinking") or ""
            self.speaker.reasoning(inner if isinstance(inner, str) else "".join(p.get("text") or "" for p in inner))
        elif kind == "refusal":
            self._refusal.append(part.get("refusal") or "")

    def _pieces(self, pieces: Iterable[tuple[str, str]]) -> None:
        for kind, text in pieces:
            if kind == "thinking":
                self.speaker.reasoning(text)
            else:
                self._close_reasoning()
                self.speaker.text(text)

    def _close_reasoning(self) -> None:
        """Reasoning blocks that must go back whole with the next request of a tool loop."""
        if self._details:
            details, self._details = join_details(self._details), []
            if details:
                self.speaker.close_reasoning({"chat": {"reasoning_details": details}})

    def _release(self) -> None:
        self._pieces(self._tags.flush())
        self._close_reasoning()
        if self._refusal:
            self._refused = True
            self.speaker.say(e.Notice("refusal", "".join(self._refusal)))
            self._refusal = []

    def _sources(self, data: dict[str, Any]) -> None:
        titles = {hit.get("url"): hit.get("title") for hit in data.get("search_results") or ()}
        for url in (data.get("citations") or ()) or titles:
            if isinstance(url, str):
                self.speaker.source(url, str(titles.get(url) or ""))

    def _executed(self, tool: dict[str, Any]) -> None:
        """A tool that the server ran itself and reports whole (Groq)."""
        key = f"executed-{tool.get('index', 0)}"
        call = next((c for c in self.speaker.calls if c.theirs == key), None)
        if call is None:
            call = self.speaker.call(key, str(tool.get("type") or "tool"), by_provider=True)
            arguments = tool.get("arguments") or ""
            self.speaker.arguments(call, arguments if isinstance(arguments, str) else json.dumps(arguments))
            self.speaker.ready(call)
        if (output := tool.get("output")) is not None and not call.answered:
            self.speaker.result(call, "done", result=output)


def read_usage(usage: dict[str, Any]) -> e.UsageReported:
    """Token counts under the names that servers give them."""
    told = usage.get("prompt_tokens_details") or {}
    spent = usage.get("completion_tokens_details") or {}
    cached = told.get("cached_tokens")
    return e.UsageReported(
        input=_count(usage.get("prompt_tokens")),
        output=_count(usage.get("completion_tokens")),
        cached=_count(usage.get("prompt_cache_hit_tokens") if cached is None else cached),
        reasoning=_count(spent.get("reasoning_tokens")),
    )


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def join_details(fragments: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The fragments of each reasoning block as one, as the server wants them back."""
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
