"""Thinking that a server leaves in the text between ``<think>`` and ``</think>``, taken out of it.

Knows nothing of events. Only at the very start of an answer, as models write it; the tags may come
in pieces, and as little as possible is held back for them.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

Piece: TypeAlias = tuple[Literal["text", "thinking"], str]

_TAGS = {"<think>": "</think>", "<thinking>": "</thinking>", "<thought>": "</thought>"}
_MAX_LEADING_SPACE = 64


class ThinkingTags:
    """``feed`` text, get pieces; ``flush`` at the end gives what was held back."""

    def __init__(self) -> None:
        self.over = False
        self._held = ""
        self._close = ""
        self._spoke = False

    def feed(self, text: str) -> list[Piece]:
        if self.over:
            return [("text", text)]
        self._held += text
        if not self._close:
            return self._before()
        return self._inside() if self._close != "done" else self._after()

    def flush(self) -> list[Piece]:
        """What is held back: an unfinished tag is text, or thinking if one was open."""
        held, self._held = self._held, ""
        if not held or (self._close == "done" and not held.strip()):
            return []
        return [("thinking" if self._close not in ("", "done") else "text", held)]

    def _before(self) -> list[Piece]:
        start = self._held.lstrip()
        for tag, close in _TAGS.items():
            if start.startswith(tag):
                self._close, self._held = close, start[len(tag) :]
                return self._inside()
        if len(self._held) < _MAX_LEADING_SPACE and any(tag.startswith(start) for tag in _TAGS):
            return []
        return self._rest()

    def _inside(self) -> list[Piece]:
        held = self._held if self._spoke else self._held.lstrip()
        thinking, close, rest = held.partition(self._close)
        if close:
            self._close, self._held = "done", rest
            thinking = thinking.rstrip()
            return [*([("thinking", thinking)] if thinking else []), *self._after()]
        # Trailing space and what may be the beginning of the closing tag wait for what follows.
        keep = next((n for n in range(len(self._close) - 1, 0, -1) if held.endswith(self._close[:n])), 0)
        ready = held[: len(held) - keep].rstrip()
        if len(held) - keep - len(ready) > _MAX_LEADING_SPACE:
            ready = held[: len(held) - keep]
        self._held = held[len(ready) :]
        self._spoke = self._spoke or bool(ready)
        return [("thinking", ready)] if ready else []

    def _after(self) -> list[Piece]:
        self._held = self._held.lstrip()
        return self._rest() if self._held else []

    def _rest(self) -> list[Piece]:
        self.over = True
        held, self._held = self._held, ""
        return [("text", held)]
