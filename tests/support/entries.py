"""Events as the entries of a log that nobody keeps."""

from __future__ import annotations

from collections.abc import Iterable

from streamchat.chat.events import Event
from streamchat.chat.fold import Folding
from streamchat.chat.messages import Message
from streamchat.runs.log import Entry

EMPTY = Message("m", "assistant", status="streaming")


def numbered(events: Iterable[Event], after: int = 0, begins: Message = EMPTY) -> list[Entry]:
    """The entries that follow ``begins``, which is the answer after entry ``after``."""
    folding = Folding(begins)
    return [Entry(seq, float(seq), *folding.add(event), event) for seq, event in enumerate(events, after + 1)]
