"""The framing that the three formats share, and how bytes are cut on their way. Pure."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_HOLE = "(filled in by the server)"


def dump(value: object) -> bytes:
    """Compact JSON with characters as they are; as escapes only where there is half a surrogate pair."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


def data(value: Mapping[str, Any]) -> bytes:
    """``data: {…}``, as chat completions come."""
    return b"data: %b\n\n" % dump(value)


def event(value: Mapping[str, Any]) -> bytes:
    """``event: <type>`` and the data, as Responses and Messages come."""
    return b"event: %b\ndata: %b\n\n" % (str(value["type"]).encode(), dump(value))


def around(encode_text: Callable[[str], bytes]) -> tuple[bytes, bytes]:
    """What comes before and after the text in the event that ``encode_text`` makes of it."""
    hole = dump(_HOLE)[1:-1]
    before, _, after = encode_text(_HOLE).partition(hole)
    return before, after


def bursts(seed: int) -> Iterator[int]:
    """How many tokens come together, one burst after the other, endlessly."""
    choice = random.Random(seed)
    while True:
        yield choice.randint(2, 16)


def cut(payload: bytes, chunk: str) -> list[bytes]:
    """The pieces in which a payload is written: whole, ``byte`` by byte, or ``split`` inside each character."""
    if chunk == "byte":
        return [payload[i : i + 1] for i in range(len(payload))]
    if chunk != "split":
        return [payload]
    pieces, start = [], 0
    for place in range(1, len(payload)):
        if payload[place] & 0xC0 == 0x80 and payload[place - 1] & 0xC0 == 0xC0:  # between a lead byte and the next
            pieces.append(payload[start:place])
            start = place
    return [*pieces, payload[start:]]
