"""Tool calls of a scripted answer: selection of the tools and generation of arguments.

Knows nothing of formats. Rules:

* Only tools that the client declared are called, unless the message names others.
* Arguments fit the JSON schema as far as ``example`` supports it: types, enum, const, required, bounds, refs, and the
  first option of a union. ``args=`` makes them invalid on purpose.
* Every property gets a value, so that the arguments stream in many fragments.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from typing import Any

from streamchat.simulator.request import Tool
from streamchat.simulator.steps import Call

_DEFAULT = (
    Tool("calculate", {"type": "object", "properties": {"expression": {"type": "string"}}, "required": ["expression"]}),
    Tool("current_time", {"type": "object", "properties": {"timezone": {"type": "string"}}}),
)
_BY_NAME: Mapping[str, Sequence[str]] = {
    "expression": ("(17 + 4) * 2", "6 * 7", "2 ** 10", "355 / 113"),
    "timezone": ("Europe/Paris", "Asia/Tokyo", "America/Lima", "UTC"),
    "location": ("Paris", "Tokyo", "Lima", "Reykjavík"),
    "city": ("Paris", "Tokyo", "Lima", "Reykjavík"),
    "query": ("token streaming", "server-sent events", "resumable streams"),
    "url": ("https://example.com/", "https://example.org/", "https://example.net/"),
    "path": ("README.md", "docs/index.md", "LICENSE"),
}
_BY_FORMAT = {"date": "2025-01-31", "date-time": "2025-01-31T12:00:00Z", "time": "12:00:00", "email": "a@example.com",
              "uri": "https://example.com/", "uuid": "00000000-0000-4000-8000-000000000001"}  # fmt: skip


def choose(tools: Sequence[Tool], calls: int, args: str, salt: str, names: Sequence[str] = ()) -> list[Call]:
    """Return ``calls`` tool calls, which take turns among the tools.

    The tools are those with these ``names`` (declared or not) if there are any, else the declared ``tools`` with known
    ones first, else two default tools. ``args``: one of ``words.ARGS``. ``salt`` makes the call identifiers unique.
    """
    known = {tool.name: number for number, tool in enumerate(_DEFAULT)}
    order = sorted(tools or _DEFAULT, key=lambda tool: known.get(tool.name, len(known)))
    if names:
        declared = {tool.name: tool for tool in order}
        order = [declared.get(name, Tool(name, {"type": "object"})) for name in names]
    elif calls == 3 and len(order) == 2:
        order = [order[0], order[1], order[0]]
    result = []
    for number in range(calls):
        tool = order[number % len(order)]
        call_id = f"call_{random.Random(f'{salt}/{number}').getrandbits(80):020x}"
        result.append(Call(call_id, tool.name, _arguments(tool, number, args)))
    return result


def _arguments(tool: Tool, number: int, args: str) -> str:
    text = json.dumps(example(tool.schema, number), ensure_ascii=False)
    match args:
        case "invalid":
            return text[:-1] + ", oops}"
        case "truncated":
            return text[: max(1, len(text) * 2 // 3)]
        case "list":
            return f"[{text}]"
        case "mismatch":
            return '{"no_such_argument": [null]}'
        case "big":
            return json.dumps({"padding": "x" * 1_000_000})
    return text


def fragments(text: str, size: int) -> list[str]:
    """Split the text into argument deltas of ``size`` characters."""
    return [text[i : i + size] for i in range(0, len(text), size)]


def example(schema: Mapping[str, Any], number: int = 0, name: str = "", root: Mapping[str, Any] | None = None) -> Any:
    """Return a value that fits the schema; ``number`` varies it.

    ``name``: the property, for a realistic value. ``root``: the schema that references start from. Recursive schemas
    end by omission of optional properties.
    """
    root = root or schema
    for key in ("$ref", "const", "enum", "default", "anyOf", "oneOf", "allOf"):
        if key in schema and (value := _by_keyword(key, schema, number, name, root)) is not _NOTHING:
            return value
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = next((item for item in kind if item != "null"), "null")
    match kind:
        case "object":
            return _object(schema, number, root)
        case "array":
            items = max(1, schema.get("minItems", 1))
            return [example(schema.get("items", {}), number + i, name, root) for i in range(min(items, 20))]
        case "integer" | "number":
            low = schema.get("minimum", schema.get("exclusiveMinimum", 0) + ("exclusiveMinimum" in schema))
            return min(low + number + 1, schema.get("maximum", low + number + 1))
        case "boolean":
            return number % 2 == 0
        case "null":
            return None
    return _string(schema, number, name)


_NOTHING = object()


def _by_keyword(key: str, schema: Mapping[str, Any], number: int, name: str, root: Mapping[str, Any]) -> Any:
    value = schema[key]
    match key:
        case "const" | "default":
            return value
        case "enum":
            return value[number % len(value)]
        case "$ref":
            target: Any = root
            for step in str(value).removeprefix("#/").split("/"):
                target = target.get(step, {}) if isinstance(target, Mapping) else {}
            return example(target, number, name, root) if number < 40 else None
        case "allOf":
            merged = {"type": "object", "properties": {}}
            for part in value:
                merged["properties"] |= part.get("properties", {})
            return example(merged, number, name, root) if merged["properties"] else _NOTHING
    options = [option for option in value if option.get("type") != "null"]
    return example(options[0], number + 1, name, root) if options else None


def _object(schema: Mapping[str, Any], number: int, root: Mapping[str, Any]) -> dict[str, Any]:
    required = schema.get("required", ())
    values = {}
    for name, part in schema.get("properties", {}).items():
        if "$ref" in part and name not in required:
            continue  # ends the recursion of a schema that contains itself
        values[name] = example(part, number, name, root)
    return values


def _string(schema: Mapping[str, Any], number: int, name: str) -> str:
    if (sample := _BY_FORMAT.get(schema.get("format", ""))) is not None:
        return sample
    choices = _BY_NAME.get(name, (f"example {name}".strip(), "another", "third"))
    text = choices[number % len(choices)]
    return text.ljust(schema.get("minLength", 0), "x")[: schema.get("maxLength", 10_000)]
