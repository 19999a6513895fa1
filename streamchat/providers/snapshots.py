"""Removal of text that a server sends more than once: in two fields, as a total after its parts, or cumulatively.

Knows no vendor, no events. Text in, its new part out.
"""

from __future__ import annotations

_CERTAIN = 16
_LIKELY = 3


class EmittedText:
    """The text that was emitted so far, so that the same text from another source is not emitted again."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._source: str | None = None
        self._by_source: dict[str, str] = {}
        self._unemitted: dict[str, str] = {}

    @property
    def is_empty(self) -> bool:
        """Whether no text was emitted."""
        return not any(self._pieces)

    @property
    def text(self) -> str:
        """All of the emitted text."""
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0] if self._pieces else ""

    def add(self, text: str) -> None:
        """Record text as emitted."""
        self._pieces.append(text)

    def rest(self, whole: str) -> str | None:
        """Return what a total has beyond the emitted text; ``None`` if it is not a total of it."""
        emitted = self.text
        if whole.startswith(emitted):
            return whole[len(emitted) :]
        # Tags and white space around the answer are not emitted.
        at = whole.rfind(emitted.strip()) if emitted.strip() else -1
        return whole[at + len(emitted.strip()) :].rstrip() if at >= 0 else None

    def is_all(self, text: str) -> bool:
        """Return whether this repeats everything that was emitted in several pieces."""
        return len(text) >= _LIKELY and len(self._pieces) > 1 and text == self.text

    def new_text(self, source: str, text: str) -> str:
        """Record text from a source and return its new part. Two sources with the same text count as one."""
        if self._source is None:
            self._source = source
        if not self._by_source:
            if source == self._source:
                self.add(text)
                return text
            self._by_source[self._source] = self.text
        received = self._by_source[source] = self._by_source.get(source, "") + text
        emitted = self.text
        if emitted.startswith(received) or emitted.rstrip() == received.rstrip():
            self._unemitted[source] = self._unemitted.get(source, "") + text
            return ""
        unemitted = self._unemitted.pop(source, "")
        text = received[len(emitted) :] if received.startswith(emitted) else unemitted + text
        self.add(text)
        return text


class CumulativeDeltas:
    """Tells deltas from a server that sends the whole text so far each time.

    Two short deltas of which one begins with the other are real too ("ha", "haha"): such a delta is held until the
    next one decides, unless too much is repeated to be a coincidence. ``is_over``: these are plain deltas.
    """

    def __init__(self) -> None:
        self.is_over = False
        self._emitted = ""
        self._pending: str | None = None
        self._is_cumulative = False

    def feed(self, text: str) -> str:
        """Return the new part of a delta."""
        if not text:
            return ""
        before = self._emitted if self._pending is None else self._pending
        if not before:
            self._emitted = text
            return text
        if text.startswith(before) and (len(text) > len(before) or self._is_cumulative):
            if self._is_cumulative or self._pending is not None or len(before) >= _CERTAIN:
                self._is_cumulative = True
                new, self._emitted, self._pending = text[len(self._emitted) :], text, None
                return new
            self._pending = text
            return ""
        self.is_over = True
        return (self._pending or "") + text

    def flush(self) -> str:
        """Return the held text at the end: it is cumulative if a word was repeated."""
        pending, self._pending = self._pending, None
        if pending is None:
            return ""
        self.is_over = True
        likely = len(self._emitted.strip()) >= _LIKELY and any(char.isalpha() for char in self._emitted)
        return (
            pending[len(self._emitted) :]
            if likely and pending[len(self._emitted) :][:1] in (" ", "\n", ",", ".")
            else pending
        )
