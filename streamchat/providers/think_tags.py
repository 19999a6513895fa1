"""Filter for reasoning that a server leaves in the text between ``<think>`` and ``</think>``.

Knows nothing of events. Only at the very start of an answer, as models write it; the tags may arrive
in pieces, and as little as possible is held back for them. An answer that begins with a Harmony marker
(``<|channel|>analysis<|message|>…``) is split into its channels.
"""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

Piece: TypeAlias = tuple[Literal["text", "thinking"], str]

_TAGS = {"<think>": "</think>", "<thinking>": "</thinking>", "<thought>": "</thought>"}
_MAX_LEADING_SPACE = 64
_HARMONY = ("<|channel|>", "<|start|>assistant")
_STARTS = (*_TAGS, *_TAGS.values(), *_HARMONY)
_ENDS = re.compile(r"<\|(?:end|return|call|start|channel|message)\|>")
_MAX_MARK, _MAX_HEADER = len("<|channel|>"), 512


class ThinkingTags:
    """``feed`` returns pieces of text and reasoning; ``flush`` returns what was held back. ``is_over``: only text
    follows.
    """

    def __init__(self) -> None:
        self.is_over = False
        self._pending = ""
        self._close = ""
        self._has_thinking = False
        self._channels: Channels | None = None

    def feed(self, text: str) -> list[Piece]:
        """Return the pieces of more text."""
        if self.is_over:
            return [("text", text)]
        if self._channels is not None:
            return self._channels.feed(text)
        self._pending += text
        if not self._close:
            return self._before()
        return self._inside() if self._close != "done" else self._after()

    def flush(self) -> list[Piece]:
        """Return what is held back at the end: an unfinished tag is text, or reasoning if one was open."""
        if self._channels is not None:
            return self._channels.flush()
        pending, self._pending = self._pending, ""
        if not pending or (self._close == "done" and not pending.strip()):
            return []
        return [("thinking" if self._close not in ("", "done") else "text", pending)]

    def _before(self) -> list[Piece]:
        start = self._pending.lstrip()
        for tag, close in _TAGS.items():
            if start.startswith(tag):
                self._close, self._pending = close, start[len(tag) :]
                return self._inside()
        if closing := next((tag for tag in _TAGS.values() if start.startswith(tag)), None):
            # The prompt opened the reasoning, and there was none.
            self._close, self._pending = "done", start[len(closing) :]
            return self._after()
        if start.startswith(_HARMONY):
            self._channels, self._pending = Channels(), ""
            return self._channels.feed(start)
        if len(self._pending) < _MAX_LEADING_SPACE and any(tag.startswith(start) for tag in _STARTS):
            return []
        return self._emit_rest()

    def _inside(self) -> list[Piece]:
        pending = self._pending if self._has_thinking else self._pending.lstrip()
        thinking, close, rest = pending.partition(self._close)
        if close:
            self._close, self._pending = "done", rest
            thinking = thinking.rstrip()
            return [*([("thinking", thinking)] if thinking else []), *self._after()]
        # Trailing space and what may be the beginning of the closing tag wait for what follows.
        keep = next((n for n in range(len(self._close) - 1, 0, -1) if pending.endswith(self._close[:n])), 0)
        ready = pending[: len(pending) - keep].rstrip()
        if len(pending) - keep - len(ready) > _MAX_LEADING_SPACE:
            ready = pending[: len(pending) - keep]
        self._pending = pending[len(ready) :]
        self._has_thinking = self._has_thinking or bool(ready)
        return [("thinking", ready)] if ready else []

    def _after(self) -> list[Piece]:
        self._pending = self._pending.lstrip()
        return self._emit_rest() if self._pending else []

    def _emit_rest(self) -> list[Piece]:
        self.is_over = True
        pending, self._pending = self._pending, ""
        return [("text", pending)]


class Channels:
    """Harmony channels: ``final`` and ``commentary`` without a recipient are text, others reasoning; markers are
    neither.
    """

    def __init__(self) -> None:
        self._pending = ""
        self._kind: Literal["text", "thinking"] | None = None

    def feed(self, text: str) -> list[Piece]:
        """Return the pieces of more text."""
        self._pending += text
        pieces: list[Piece] = []
        while self._kind is not None or not self._read_header():
            if self._kind is None:
                return pieces
            mark = _ENDS.search(self._pending)
            if mark is None:
                at = self._pending.rfind("<", max(0, len(self._pending) - _MAX_MARK + 1))
                body = self._pending if at < 0 else self._pending[:at]
                self._pending = self._pending[len(body) :]
                return [*pieces, (self._kind, body)] if body else pieces
            if body := self._pending[: mark.start()]:
                pieces.append((self._kind, body))
            self._pending, self._kind = self._pending[mark.start() :], None
            if mark.group() in ("<|end|>", "<|return|>", "<|call|>"):
                self._pending = self._pending[len(mark.group()) :]
        return pieces

    def flush(self) -> list[Piece]:
        """Return what is held back at the end."""
        pending, self._pending = self._pending, ""
        return [(self._kind, pending)] if self._kind is not None and pending else []

    def _read_header(self) -> bool:
        """Read a header, and return whether there is no body to read yet."""
        header, mark, rest = self._pending.partition("<|message|>")
        if not mark:
            if len(header) > _MAX_HEADER:
                self._kind = "text"
            return self._kind is None
        shown = "final" in header or ("commentary" in header and "to=" not in header) or "<|channel|>" not in header
        self._kind, self._pending = "text" if shown else "thinking", rest
        return False
