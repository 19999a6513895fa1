"""The events of a stream as JSON schema, for OpenAPI: made from the same classes that are sent.

Rules: what is named here is what ``chat.wire`` writes; fields at their default are left out there, so they are not
required here; opaque data of providers is in neither.
"""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from streamchat.chat.wire import EVENT_NAMES
from streamchat.web.shapes import MessageOut

NUMBER = {"type": "string", "pattern": "^[0-9]{1,16}$", "description": "The event's number in its run."}
DONE = {
    "title": "done",
    "type": "object",
    "properties": {"data": {"type": "string", "const": "[DONE]"}},
    "required": ["data"],
}


def event_schemas() -> dict[str, dict[str, Any]]:
    """The JSON in ``data``, by the name of the event."""
    found = {}
    for kind, name in EVENT_NAMES.items():
        schema = TypeAdapter(kind).json_schema(mode="serialization")
        fields = {key: value for key, value in schema.get("properties", {}).items() if key != "opaque"}
        fields = {"type": {"type": "string", "const": name}, **fields}
        found[name] = {
            "title": name,
            "description": schema.get("description", ""),
            "type": "object",
            "properties": fields,
            "required": ["type", *schema.get("required", [])],
        }
    found["snapshot"] = {
        "title": "snapshot",
        "description": "The message so far, in place of all events up to `seq`.",
        "type": "object",
        "properties": {
            "type": {"type": "string", "const": "snapshot"},
            "seq": {"type": "integer", "minimum": 0},
            "message": {"$ref": f"#/components/schemas/{MessageOut.__name__}"},
        },
        "required": ["type", "seq", "message"],
    }
    return found


def run_events() -> dict[str, Any]:
    """The events of a run, as OpenAPI describes a stream: an item is an event."""
    items: list[dict[str, Any]] = [
        {
            "title": name,
            "type": "object",
            "properties": {"id": NUMBER, "event": {"type": "string", "const": name}, "data": _json(schema)},
            "required": ["event", "data"],
        }
        for name, schema in event_schemas().items()
    ]
    return {"text/event-stream": {"itemSchema": {"anyOf": [*items, DONE]}}}


def plain_events(description: str) -> dict[str, Any]:
    """A stream whose events are text, or told in words."""
    data = {"type": "string", "description": description}
    item = {"type": "object", "properties": {"data": data, "id": {"type": "string"}}, "required": ["data"]}
    return {"text/event-stream": {"itemSchema": item}}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "string", "contentMediaType": "application/json", "contentSchema": schema}
