"""Embeddings of the simulator: the same numbers for the same text, of length 1. Pure."""

from __future__ import annotations

import hashlib
import math
import struct
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from streamchat.simulator.request import BadRequest

PATH = "/v1/embeddings"
_DIMENSIONS = 8
_MOST = 4096


def response(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the response to a request. Raises ``BadRequest``."""
    given, dimensions = body.get("input"), body.get("dimensions") or _DIMENSIONS
    texts = given if isinstance(given, list) and not all(isinstance(one, int) for one in given) else [given]
    if not texts or any(one in (None, "", []) for one in texts):
        raise BadRequest("input cannot be empty.")
    if not isinstance(dimensions, int) or not 1 <= dimensions <= _MOST:
        raise BadRequest("dimensions must be a number that the model has.")
    data = [
        {"object": "embedding", "index": index, "embedding": _encoded(_vector(one, dimensions), body)}
        for index, one in enumerate(texts)
    ]
    count = sum(len(str(one).split()) for one in texts)
    usage = {"prompt_tokens": count, "total_tokens": count}
    return {"object": "list", "data": data, "model": body.get("model"), "usage": usage}


def _vector(text: object, dimensions: int) -> list[float]:
    seed = repr(text).encode()
    values = [hashlib.sha256(b"%d %b" % (number, seed)).digest()[0] - 127.5 for number in range(dimensions)]
    length = math.sqrt(sum(value * value for value in values))
    return [value / length for value in values]


def _encoded(vector: list[float], body: Mapping[str, Any]) -> list[float] | str:
    if body.get("encoding_format") == "base64":
        return b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
    return vector
