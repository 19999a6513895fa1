"""Adapter from an MCP server's tool to a ``Tool``: name, schema, validation of arguments, call.

Knows the connection only through ``Connection``. Rules:

* Schemas are untrusted. If one is invalid, too large or refers to another document, the tool is left out. No reference
  is ever loaded, and what a validation may cost is bounded (``bounded_schema``).
* Every call requires approval, unless a setting trusts the tool or its server.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any, Protocol

import mcp_types as types
from jsonschema.exceptions import SchemaError, ValidationError

from streamchat.chat.events import Json
from streamchat.chat.json_depth import parse_json
from streamchat.chat.request import ToolSpec
from streamchat.errors import StreamchatError
from streamchat.tools.definition import NAME, Tool
from streamchat.tools.mcp.bounded_schema import BoundedValidator, TooManySteps, UnsupportedSchema
from streamchat.tools.mcp.content import value_of
from streamchat.tools.signature import MAX_DESCRIPTION, BadArguments, json_text
from streamchat.tools.tool_context import Context
from streamchat.tools.values import Progress, ToolError

TIMEOUT = 60.0
MAX_SCHEMA = 64 * 1024
_MAX_PROBLEMS = 5
_MAX_PROBLEM = 200
_MAX_LINES = 200

# Vendors refuse a request with these keywords at the root of a schema. The validation of arguments keeps them.
_NOT_SENT = {"$schema", "$id", "$comment", "anyOf", "oneOf", "allOf", "not", "enum", "const", "if", "then", "else"}

Tell = Callable[[str], None]


class Connection(Protocol):
    """The connection to a server, as the adapter uses it."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The servers' event loop, on which ``call`` must run."""
        ...

    def call(self, name: str, arguments: dict[str, Json], tell: Tell) -> Coroutine[Any, Any, types.CallToolResult]:
        """Call a tool; ``tell`` receives progress lines. Raises ``ToolError``."""
        ...


class Refused(StreamchatError):
    """This tool of a server cannot be declared to models."""


def offered(server: str, declaration: types.Tool, connection: Connection) -> Tool:
    """Return a server's tool as a ``Tool``. Raises ``Refused`` with the name of the tool and the reason."""
    name = f"{server}__{re.sub('[^a-zA-Z0-9_-]', '_', declaration.name)}"
    if not NAME.fullmatch(name):
        raise Refused(f"the name of {declaration.name[:64]!r} is too long")
    validator = _validator(declaration)

    def begin(arguments: Mapping[str, Json], _context: Context) -> AsyncGenerator[Any, None]:
        return _run(connection, declaration.name, check(arguments))

    def check(arguments: Mapping[str, Json]) -> dict[str, Json]:
        return _validate(validator, arguments)

    description = (declaration.description or declaration.title or "")[:MAX_DESCRIPTION]
    schema = {key: value for key, value in validator.schema.items() if key not in _NOT_SENT}
    parameters = {"properties": {}, **schema, "type": "object"}
    return Tool(ToolSpec(name, description, parameters), check, begin, approve=True, server=server, timeout=TIMEOUT)


def _validator(declaration: types.Tool) -> BoundedValidator:
    name = repr(declaration.name[:64])
    try:
        text = json.dumps(declaration.input_schema)
        if len(text) > MAX_SCHEMA:
            raise Refused(f"the schema of {name} is too large")
        schema = parse_json(text)
        if schema.get("type", "object") != "object":
            raise Refused(f"the arguments of {name} are not an object")
        if not all(NAME.fullmatch(str(field)) for field in schema.get("properties") or ()):
            raise Refused(f"an argument of {name} has a name that models do not take")
        return BoundedValidator(schema)
    except UnsupportedSchema as error:
        raise Refused(f"the schema of {name} cannot be used: {error}") from None
    except SchemaError as error:
        raise Refused(f"the schema of {name} is wrong: {error.message[:_MAX_PROBLEM]}") from None
    except Refused:
        raise
    except Exception:  # missing reference, invalid pattern, reference to itself …
        raise Refused(f"the schema of {name} cannot be used") from None


def _validate(validator: BoundedValidator, arguments: Mapping[str, Json]) -> dict[str, Json]:
    text = json_text(arguments)
    try:
        values = parse_json(text)
    except ValueError:
        raise BadArguments("The arguments are nested too deeply.") from None
    try:
        errors = list(validator.errors(values, _MAX_PROBLEMS))
        problems = [_describe(error) for error in errors]
    except TooManySteps:
        raise BadArguments("The arguments are too large to be checked against the schema of the server.") from None
    except Exception:
        raise BadArguments("The arguments cannot be checked against the schema that the server gave.") from None
    if problems:
        paths = tuple(tuple(map(str, error.absolute_path)) for error in errors)
        raise BadArguments(f"The arguments do not fit: {'; '.join(problems)}.", paths)
    return values


def _describe(error: ValidationError) -> str:
    """Return the path and the constraint that failed, without the value."""
    path = ".".join(str(step) for step in error.absolute_path)
    match error.validator:
        case "required":
            required: Any = error.validator_value
            given: Any = error.instance or {}
            missing = [name for name in required if name not in given]
            text = f"{', '.join(map(str, missing))} missing"
        case "additionalProperties":
            text = "a field that is not known"
        case _:
            text = f"{error.validator} should be {json.dumps(error.validator_value, default=str)}"
    return f"{path}: {text}"[:_MAX_PROBLEM] if path else text[:_MAX_PROBLEM]


async def _run(connection: Connection, name: str, arguments: dict[str, Json]) -> AsyncGenerator[Any, None]:
    """Yield progress lines and then the result. Runs on the event loop of the tool's thread."""
    loop, lines, line_count = asyncio.get_running_loop(), asyncio.Queue[Progress | None](), 0

    def tell(text: str) -> None:
        nonlocal line_count
        line_count += 1
        if line_count <= _MAX_LINES:
            with suppress(RuntimeError):  # the call has ended and its loop is closed
                loop.call_soon_threadsafe(lines.put_nowait, Progress(text))

    work = connection.call(name, arguments, tell)
    try:
        call = asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, connection.loop))
    except RuntimeError:
        work.close()
        raise ToolError("The server is not there any more.") from None
    call.add_done_callback(lambda _: lines.put_nowait(None))
    try:
        while (line := await lines.get()) is not None:
            yield line
        yield value_of(await call)
    finally:
        call.cancel()
