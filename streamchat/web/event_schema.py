"""JSON schemas of stream events for OpenAPI, generated from the event classes themselves.

Rules: names and fields are those that ``chat.wire`` writes. It leaves out fields that have their default value, so they
are not required here. Opaque data of providers is in neither.
"""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from streamchat.chat.wire import EVENT_NAMES
from streamchat.web.schemas import MessageOut

NUMBER = {"type": "string", "pattern": "^[0-9]{1,16}$", "description": "The event's number in its run."}
DONE = {
    "title": "done",
    "type": "object",
    "properties": {"data": {"type": "string", "const": "[DONE]"}},
    "required": ["data"],
}


def event_schemas() -> dict[str, dict[str, Any]]:
    """Return the schema of the JSON in ``data`` by event name."""
    schemas = {}
    for kind, name in EVENT_NAMES.items():
        schema = TypeAdapter(kind).json_schema(mode="serialization")
        fields = {key: value for key, value in schema.get("properties", {}).items() if key != "opaque"}
        fields = {"type": {"type": "string", "const": name}, **fields}
        schemas[name] = {
            "title": name,
            "description": schema.get("description", ""),
            "type": "object",
            "properties": fields,
            "required": ["type", *schema.get("required", [])],
        }
    schemas["snapshot"] = {
        "title": "snapshot",
        "description": "The message so far. It replaces all events up to `seq`.",
        "type": "object",
        "properties": {
            "type": {"type": "string", "const": "snapshot"},
            "seq": {"type": "integer", "minimum": 0},
            "message": {"$ref": f"#/components/schemas/{MessageOut.__name__}"},
        },
        "required": ["type", "seq", "message"],
    }
    return schemas


def run_events() -> dict[str, Any]:
    """Return the content object for the events of a run: OpenAPI describes a stream by the schema of its items."""
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


def conversation_events() -> dict[str, Any]:
    """Return the content object for the events of a conversation: messages, and the events of all its runs."""
    run = {"run_id": {"type": "string"}, "seq": {"type": "integer", "minimum": 0}}
    schemas = {
        name: schema | {"properties": schema["properties"] | run, "required": [*schema["required"], "run_id"]}
        for name, schema in event_schemas().items()
    }
    text = {"type": "string"}
    schemas["message"] = {
        "title": "message",
        "description": "A message that came: a question, or an answer that begins, whose events follow.",
        "type": "object",
        "properties": {
            "type": {"type": "string", "const": "message"},
            "role": text,
            "parent_id": {"type": ["string", "null"]},
            "message": {"$ref": f"#/components/schemas/{MessageOut.__name__}"},
            "run_id": text,
            "model": text,
        },
        "required": ["type", "role", "parent_id"],
    }
    kind = {"type": "string", "const": "deleted"}
    schemas["deleted"] = {"title": "deleted", "type": "object", "properties": {"type": kind}, "required": ["type"]}
    cursor = {"type": "string", "pattern": "^[0-9]+(,[0-9]+:[0-9]+)*$", "description": "Where to resume."}
    items = [
        {
            "title": name,
            "type": "object",
            "properties": {"id": cursor, "event": {"type": "string", "const": name}, "data": _json(schema)},
            "required": ["event", "data"],
        }
        for name, schema in schemas.items()
    ]
    return {"text/event-stream": {"itemSchema": {"anyOf": [*items, DONE]}}}


def plain_events(description: str) -> dict[str, Any]:
    """Return the content object for a stream of plain text events, or of events that ``description`` explains."""
    data = {"type": "string", "description": description}
    item = {"type": "object", "properties": {"data": data, "id": {"type": "string"}}, "required": ["data"]}
    return {"text/event-stream": {"itemSchema": item}}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "string", "contentMediaType": "application/json", "contentSchema": schema}
