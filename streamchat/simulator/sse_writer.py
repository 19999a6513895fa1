"""SSE framing shared by the wire formats, and splitting of payloads into writes. Pure."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_PLACEHOLDER = "(filled in by the server)"


def dump(value: object) -> bytes:
    """Encode as compact JSON in UTF-8. Non-ASCII characters are escaped only if there is a lone surrogate."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


def data(value: Mapping[str, Any]) -> bytes:
    """Return an event with ``data:`` only, as in chat completions."""
    return b"data: %b\n\n" % dump(value)


def event(value: Mapping[str, Any]) -> bytes:
    """Return an event with ``event: <type>`` and ``data:``, as in Responses and Messages."""
    return b"event: %b\ndata: %b\n\n" % (str(value["type"]).encode(), dump(value))


def around(encode_text: Callable[[str], bytes]) -> tuple[bytes, bytes]:
    """Return the bytes before and after the text in an event that ``encode_text`` encodes."""
    placeholder = dump(_PLACEHOLDER)[1:-1]
    before, _, after = encode_text(_PLACEHOLDER).partition(placeholder)
    return before, after


def bursts(seed: int) -> Iterator[int]:
    """Yield the token counts of successive bursts, without end. Deterministic for a seed."""
    choice = random.Random(seed)
    while True:
        yield choice.randint(2, 16)


def cut(payload: bytes, chunk: str) -> list[bytes]:
    """Return the pieces to write: single bytes for ``byte``, cuts inside characters for ``split``, else the whole."""
    if chunk == "byte":
        return [payload[i : i + 1] for i in range(len(payload))]
    if chunk != "split":
        return [payload]
    pieces, start = [], 0
    for index in range(1, len(payload)):
        if payload[index] & 0xC0 == 0x80 and payload[index - 1] & 0xC0 == 0xC0:  # just after a UTF-8 lead byte
            pieces.append(payload[start:index])
            start = index
    return [*pieces, payload[start:]]
