"""Joins the chunks of a response that have arrived already, so that they pass through the HTTP client as one.

A provider sends each event as a chunk of its own, and each chunk passes six calls of the client: more work than to
decode the event. If a process has many answers, several chunks wait whenever it comes to read. ``h11`` reads one chunk
per call; its reader is replaced by one that reads on while there are more.
"""

from __future__ import annotations

from typing import Any

import h11
from h11 import _readers


class JoiningReader(_readers.ChunkedReader):
    """Reads the chunks that are in the buffer. What ends them, or is wrong with them, comes after them."""

    _next: h11.EndOfMessage | Exception | None = None

    def __call__(self, buf: Any) -> h11.Data | h11.EndOfMessage | None:
        """Return the next event, as ``ChunkedReader`` does: the data of all chunks that are there."""
        if self._next is not None:
            after, self._next = self._next, None
            if isinstance(after, Exception):
                raise after
            return after
        first = super().__call__(buf)
        if not isinstance(first, h11.Data) or not buf:
            return first
        pieces = [first.data]
        try:
            while isinstance(event := super().__call__(buf), h11.Data):
                pieces.append(event.data)
            self._next = event
        except Exception as error:
            self._next = error
        return first if len(pieces) == 1 else h11.Data(data=b"".join(pieces))


def join_chunks() -> bool:
    """Make all HTTP/1.1 connections of this process read so. Returns ``False`` if the internals of ``h11`` differ."""
    readers: Any = _readers.READERS.get(h11.SEND_BODY)
    if not isinstance(readers, dict) or "chunked" not in readers:
        return False
    readers["chunked"] = JoiningReader
    return True
