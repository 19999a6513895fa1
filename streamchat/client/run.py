"""What a run is to its reader, waiting or not: the base of ``Run`` and ``AsyncRun``.

Knows no I/O. Rules:

* A run is read once: loops over it share its events, each goes to one of them.
* What ``final()`` reads while a loop is under way is kept for the loop.
"""

from __future__ import annotations

from collections import deque

from streamchat.chat.events import TextDelta
from streamchat.chat.messages import Message
from streamchat.client.protocol import Begun, Incomplete
from streamchat.client.reading import Entry, Reading, Snapshot, Told


class RunView:
    def __init__(self, begun: Begun, reading: Reading, first: Entry | None) -> None:
        self.id = begun.run_id
        self.conversation_id = begun.conversation_id
        self._reading = reading
        self._kept: deque[Entry] = deque([first] if first is not None else [])
        self._looping = 0
        self._chars = 0
        self._closed = False

    @property
    def message(self) -> Message:
        """The answer as far as it was read."""
        return self._reading.message

    @property
    def seq(self) -> int:
        """The number of the last event that was read."""
        return self._reading.seq

    @property
    def _over(self) -> bool:
        return self._reading.ended or self._closed

    def new_text(self, event: Told) -> str:
        """What is new in the text: of a snapshot, what comes after the text that was told."""
        piece = ""
        if isinstance(event, TextDelta):
            piece = event.text
        elif isinstance(event, Snapshot):
            piece = event.message.text[self._chars :]
        self._chars += len(piece)
        return piece

    def _check_complete(self) -> None:
        if self.message.status in ("failed", "interrupted"):
            raise Incomplete(self.message)
