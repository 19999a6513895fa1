"""The JSON schema of a whole answer, in the format of OpenAI's APIs.

Knows nothing of requests. ``strict`` is requested only if the schema follows the rules of strict mode:
every object closed, every property required.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def answer_format(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the name, the schema and ``strict``."""
    return {"name": "answer", "schema": dict(schema), "strict": is_strict(schema)}


def is_strict(schema: Any) -> bool:
    """Return whether strict mode would accept this schema."""
    if isinstance(schema, list):
        return all(is_strict(item) for item in schema)
    if not isinstance(schema, Mapping):
        return True
    if "properties" in schema or schema.get("type") == "object":
        properties = schema.get("properties") or {}
        if schema.get("additionalProperties") is not False or set(schema.get("required") or ()) != set(properties):
            return False
        return all(is_strict(item) for item in properties.values()) and is_strict(schema.get("$defs") or {})
    return all(is_strict(item) for key, item in schema.items() if key not in ("enum", "const", "default", "examples"))


def instruction(schema: Mapping[str, Any]) -> str:
    """Return the same requirement as a prompt, for a model without support for schemas."""
    return f"Answer with one JSON value that fits this JSON schema, and with nothing else: {json.dumps(schema)}"
