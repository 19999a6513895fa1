"""A server's tool as one of ours: its name, its schema, the check of arguments, the call.

Knows the connection only as a function to call. Rules:

* A schema is the server's word. One that is none, is too large, or points elsewhere is refused here, and the tool left
  out; nothing is ever loaded for it.
* Every call asks the person first, unless a setting trusts the tool or its server.
"""

from __future__ import annotations

import asyncio
import copy
import json
import re
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any, Protocol

import mcp_types as types
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.validators import validator_for
from referencing import Registry

from streamchat.chat.events import Json
from streamchat.chat.request import ToolSpec
from streamchat.errors import StreamchatError
from streamchat.tools.context import Context
from streamchat.tools.definition import NAME, Tool
from streamchat.tools.mcp.content import value_of
from streamchat.tools.signature import MAX_DESCRIPTION, BadArguments, json_text
from streamchat.tools.values import Progress, ToolError

TIMEOUT = 60.0
MAX_SCHEMA = 64 * 1024
_TOLD = 5
_LONGEST = 200
_LINES = 200

# At the root vendors refuse these, and with them the whole request; the check of arguments keeps them.
_NOT_TOLD = {"$schema", "$id", "$comment", "anyOf", "oneOf", "allOf", "not", "enum", "const", "if", "then", "else"}

Tell = Callable[[str], None]


class Connection(Protocol):
    """``call`` runs on the servers' own loop."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...
    def call(self, name: str, arguments: dict[str, Json], tell: Tell) -> Coroutine[Any, Any, types.CallToolResult]: ...


class Refused(StreamchatError):
    """This tool of a server cannot be offered."""


def offered(server: str, described: types.Tool, connection: Connection) -> Tool:
    """Raises ``Refused`` that says which tool and why."""
    name = f"{server}__{re.sub('[^a-zA-Z0-9_-]', '_', described.name)}"
    if not NAME.fullmatch(name):
        raise Refused(f"the name of {described.name[:64]!r} is too long")
    schema = _checked(described)

    def begin(arguments: Mapping[str, Json], _context: Context) -> AsyncGenerator[Any, None]:
        return _run(connection, described.name, check(arguments))

    def check(arguments: Mapping[str, Json]) -> dict[str, Json]:
        return _fitting(schema, arguments)

    description = (described.description or described.title or "")[:MAX_DESCRIPTION]
    told = {key: value for key, value in schema.schema.items() if key not in _NOT_TOLD}
    parameters = {"properties": {}, **told, "type": "object"}
    return Tool(ToolSpec(name, description, parameters), check, begin, approve=True, server=server, timeout=TIMEOUT)


def _checked(described: types.Tool) -> Any:
    schema, name = copy.deepcopy(described.input_schema), repr(described.name[:64])
    if schema.get("type", "object") != "object":
        raise Refused(f"the arguments of {name} are not an object")
    try:
        if len(json.dumps(schema)) > MAX_SCHEMA:
            raise Refused(f"the schema of {name} is too large")
        if not all(NAME.fullmatch(str(field)) for field in schema.get("properties") or ()):
            raise Refused(f"an argument of {name} has a name that models do not take")
        kind = validator_for(schema, default=Draft202012Validator)
        kind.check_schema(schema)
        validator = kind(schema, registry=Registry())  # an empty one: nothing is looked up elsewhere
        next(validator.iter_errors({}), None)
        return validator
    except SchemaError as error:
        raise Refused(f"the schema of {name} is wrong: {error.message[:_LONGEST]}") from None
    except Refused:
        raise
    except Exception:  # what it points at is not there, its pattern is none, it points at itself …
        raise Refused(f"the schema of {name} cannot be used") from None


def _fitting(validator: Any, arguments: Mapping[str, Json]) -> dict[str, Json]:
    plain = json.loads(json_text(arguments))
    try:
        problems = [_told(error) for _, error in zip(range(_TOLD), validator.iter_errors(plain), strict=False)]
    except Exception:
        raise BadArguments("The arguments cannot be checked against the schema that the server gave.") from None
    if problems:
        raise BadArguments(f"The arguments do not fit: {'; '.join(problems)}.")
    return plain


def _told(error: ValidationError) -> str:
    """Where it is and what should be there, without what is there."""
    place = ".".join(str(step) for step in error.absolute_path)
    match error.validator:
        case "required":
            wanted: Any = error.validator_value
            missing = [name for name in wanted if name not in (error.instance or {})]
            text = f"{', '.join(map(str, missing))} missing"
        case "additionalProperties":
            text = "a field that is not known"
        case _:
            text = f"{error.validator} should be {json.dumps(error.validator_value, default=str)}"
    return f"{place}: {text}"[:_LONGEST] if place else text[:_LONGEST]


async def _run(connection: Connection, name: str, arguments: dict[str, Json]) -> AsyncGenerator[Any, None]:
    """Progress and then the result, on the loop of the tool's own thread."""
    here, lines, told = asyncio.get_running_loop(), asyncio.Queue[Progress | None](), 0

    def tell(text: str) -> None:
        nonlocal told
        told += 1
        if told <= _LINES:
            with suppress(RuntimeError):  # nobody listens any more
                here.call_soon_threadsafe(lines.put_nowait, Progress(text))

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
