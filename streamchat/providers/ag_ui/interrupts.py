"""Interrupts of an agent as calls that wait for a person, and the decisions as the ``resume`` of its next run. Pure.

Rules:

* An interrupt that names a call of the agent is decided on that call; any other one is a call of its own.
* The form has what ``responseSchema`` leaves to a person: ``approved`` is what the buttons say, and changed arguments
  of a call are its ``editedArgs``, if the schema has them. An answer that is no object is the only field of one.
* Denied is ``approved: false`` where the schema knows it, else ``cancelled``. Whatever was never decided is cancelled.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from streamchat.chat.messages import Message, NoticePart, ToolCallPart

Json = Any
KIND = "agent-interrupt"
"""Of the notice that says what the agent asks. Its opaque data is what the next run brings back."""
APPROVED, EDITED, REASON, ANSWER = "approved", "editedArgs", "reason", "answer"
_BOOLEAN = {"type": "boolean"}


def form_of(schema: Json, arguments: Mapping[str, Json] | None) -> dict[str, Json]:
    """Return the JSON schema of what a person fills in. ``arguments``: of the call that is decided on, if it is one."""
    kind, properties = _kind(schema), _properties(schema)
    if not isinstance(schema, dict):
        schema = {"type": "object"}
    if arguments is not None:
        if isinstance(edited := properties.get(EDITED), dict):
            return {"type": "object", **edited}
        fixed = {name: {"const": value} for name, value in arguments.items()}
        return {"type": "object", "properties": fixed, "additionalProperties": False}
    if kind == "boolean":
        return {"type": "object", "properties": {}}
    if kind != "object":
        return {"type": "object", "properties": {ANSWER: schema}, "required": [ANSWER]}
    fields = {name: value for name, value in properties.items() if name not in (APPROVED, REASON) or not _asks(schema)}
    required = [name for name in _list(schema.get("required")) if name in fields]
    return {**schema, "properties": fields, "required": required}


def resume_entry(part: ToolCallPart, interrupt: Mapping[str, Json]) -> dict[str, Json]:
    """Return what the agent is told about a decision. ``interrupt``: its ``id`` and ``schema``, and ``bound``."""
    entry = {"interruptId": interrupt["id"]}
    schema = interrupt.get("schema")
    if part.state == "denied" and _asks(schema):
        if _kind(schema) == "boolean":
            return {**entry, "status": "resolved", "payload": False}
        reason = {REASON: part.error} if REASON in _properties(schema) and part.error else {}
        return {**entry, "status": "resolved", "payload": {APPROVED: False, **reason}}
    if part.state not in ("ready", "running", "done"):
        return {**entry, "status": "cancelled"}
    return {**entry, "status": "resolved", "payload": _payload(part, schema, bound=bool(interrupt.get("bound")))}


def _payload(part: ToolCallPart, schema: Json, *, bound: bool) -> Json:
    arguments = dict(part.arguments or {})
    if bound:
        changed = {EDITED: arguments} if EDITED in _properties(schema) and arguments != _original(part) else {}
        return {APPROVED: True, **changed}
    if _kind(schema) == "boolean":
        return True
    if _kind(schema) != "object":
        return arguments.get(ANSWER)
    return {**arguments, APPROVED: True} if _asks(schema) else arguments


def open_interrupts(message: Message | None) -> tuple[dict[str, Json], list[dict[str, Json]]]:
    """Return what the agent's next run brings back after this answer: what was kept, and the ``resume`` entries."""
    if message is None:
        return {}, []
    if message.status == "finished" and message.stop_reason != "interrupt":
        return dict((message.opaque or {}).get("ag_ui") or {}), []
    kept: dict[str, Json] = {}
    for part in message.parts:
        if isinstance(part, NoticePart) and part.kind == KIND and part.opaque:
            kept = dict(part.opaque.get("ag_ui") or {})
    calls = {part.id: part for part in message.parts if isinstance(part, ToolCallPart)}
    asked = [one for one in _list(kept.get("interrupts")) if one.get("call") in calls]
    return kept, [resume_entry(calls[one["call"]], one) for one in asked]


def decided_calls(message: Message | None) -> Iterable[ToolCallPart]:
    """Return the calls of an answer in progress that the agent has yet to settle: its own, which have no result."""
    if message is None or message.ended:
        return []
    unsettled = ("ready", "running")
    return [
        part
        for part in message.parts
        if isinstance(part, ToolCallPart) and part.by_provider and part.state in unsettled
    ]


def _kind(schema: Json) -> str:
    """Return the type of the answer; without a schema it is a decision."""
    if not isinstance(schema, dict) or not schema:
        return "object"
    kind = schema.get("type", "object" if "properties" in schema else "")
    return kind if isinstance(kind, str) else ""


def _asks(schema: Json) -> bool:
    """Return whether the schema knows yes and no."""
    return not schema or _kind(schema) == "boolean" or APPROVED in _properties(schema)


def _properties(schema: Json) -> Mapping[str, Json]:
    found = schema.get("properties") if isinstance(schema, dict) else None
    return found if isinstance(found, dict) else {}


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _original(part: ToolCallPart) -> Json:
    try:
        return json.loads(part.raw or "{}")
    except ValueError:
        return None
