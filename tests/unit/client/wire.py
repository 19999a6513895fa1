"""Events as the HTTP API sends them."""

from __future__ import annotations

import json

from streamchat.chat.events import Event
from streamchat.chat.wire import event_to_wire

RUN = "run-1"


def encode(seq: int, event: Event) -> bytes:
    wire = event_to_wire(event)
    return f"id: {seq}\nevent: {wire['type']}\ndata: {json.dumps(wire, ensure_ascii=False)}\n\n".encode()
