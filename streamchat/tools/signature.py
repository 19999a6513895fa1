"""JSON schema from a function's signature and docstring, and validation of arguments against it.

Knows nothing of how tools run. Rules:

* Strict: ``"3"`` is no integer and ``1`` no boolean; a field that is not in the signature is refused. Types that JSON
  does not have, such as a date, are parsed from their usual text form.
* An error message about arguments names the field and the expected type, never the value.
* A signature that has no exact schema is refused when the function is decorated, not when a model calls it.
"""

from __future__ import annotations

import copy
import inspect
import json
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from docstring_parser import ParseError, parse
from pydantic import BaseModel, ConfigDict, Field, PydanticUserError, TypeAdapter, ValidationError, create_model
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import PydanticSerializationError

from streamchat.chat.events import Json
from streamchat.errors import StreamchatError
from streamchat.tools.tool_context import Context

MAX_DESCRIPTION = 1024
_PARAMETER = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_MAX_PROBLEMS = 5
_MAX_PROBLEM = 200
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class BadArguments(StreamchatError):
    """The arguments do not fit the tool's schema; the tool was not run. ``paths``: see ``WrongArguments``."""

    kind = "bad-arguments"

    def __init__(self, user_message: str, paths: tuple[tuple[str, ...], ...] = ()) -> None:
        super().__init__(user_message)
        self.paths = paths


class _Plain(GenerateJsonSchema):
    """Leaves out titles: they repeat the field names and cost tokens."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


@dataclass(frozen=True)
class Signature:
    """The schema and the validation model of one function.

    ``names``: model field to parameter name. ``defaults``: parameter name to default, as JSON. ``context``: names of
    the parameters that receive the ``Context``, which are not part of the schema.
    """

    description: str
    schema: Mapping[str, Json]
    model: type[BaseModel]
    names: Mapping[str, str]
    defaults: Mapping[str, Json]
    context: tuple[str, ...]

    def check(self, arguments: Mapping[str, Json]) -> dict[str, Json]:
        """Return the arguments as JSON with the defaults filled in. Raises ``BadArguments``."""
        self.values(arguments)
        complete = {**copy.deepcopy(dict(self.defaults)), **arguments}
        return {name: complete[name] for name in self.names.values() if name in complete}

    def values(self, arguments: Mapping[str, Json]) -> dict[str, Any]:
        """Return the keyword arguments for the function, as typed values. Raises ``BadArguments``."""
        text = json_text(arguments)
        try:
            parsed = self.model.model_validate_json(text, strict=True, extra="forbid")
        except ValidationError as error:
            paths = tuple(
                tuple(map(str, problem["loc"])) for problem in error.errors(include_url=False)[:_MAX_PROBLEMS]
            )
            raise BadArguments(_error_message(error), paths) from None
        return {name: getattr(parsed, field) for field, name in self.names.items()}


def json_text(arguments: Any) -> str:
    """Return the arguments as JSON text. Raises ``BadArguments`` if they are no JSON object."""
    if not isinstance(arguments, Mapping):
        raise BadArguments("The arguments must be a JSON object.")
    try:
        return json.dumps(dict(arguments), allow_nan=False)
    except RecursionError:
        raise BadArguments("The arguments are nested too deeply.") from None
    except (ValueError, TypeError):
        raise BadArguments("The arguments hold something that JSON has no word for.") from None


def read_signature(function: Callable[..., Any]) -> Signature:
    """Return the signature of a tool function. Raises ``TypeError`` if it has no JSON schema.

    The error message names the function and the parameter or type.
    """
    name = getattr(function, "__name__", repr(function))
    try:
        hints = get_type_hints(function, include_extras=True)
    except Exception as error:
        raise TypeError(f"the types of tool {name} cannot be read: {error}") from error
    description, texts = _docstring(function)
    fields: dict[str, Any] = {}
    context = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind not in _NAMED:
            raise TypeError(f"tool {name}: parameter {parameter} must have a name of its own")
        if not _PARAMETER.fullmatch(parameter.name):
            raise TypeError(f"tool {name}: {parameter.name!r} is not a name that models take")
        if parameter.name not in hints:
            raise TypeError(f"tool {name}: parameter {parameter.name} has no type")
        if hints[parameter.name] is Context:
            context.append(parameter.name)
        else:
            # The prefix avoids field names that shadow pydantic's own methods.
            fields[f"p_{parameter.name}"] = _field(parameter, hints[parameter.name], texts.get(parameter.name))
    config = ConfigDict(strict=True, extra="forbid", arbitrary_types_allowed=False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model = create_model(name, __config__=config, **fields)
            schema: dict[str, Any] = model.model_json_schema(by_alias=True, schema_generator=_Plain)
    except (PydanticUserError, PydanticSerializationError, Warning) as error:
        raise TypeError(f"the types of tool {name} have no JSON schema: {_first_line(error)}") from error
    schema = {"type": "object", "properties": {}, **schema}
    for key in ("title", "description"):
        schema.pop(key, None)
    names = {field: field.removeprefix("p_") for field in fields}
    defaults = {key: value["default"] for key, value in schema["properties"].items() if "default" in value}
    _check_defaults(name, hints, defaults)
    return Signature(description, schema, model, names, defaults, tuple(context))


def _field(parameter: inspect.Parameter, hint: Any, text: str | None) -> tuple[Any, Any]:
    options: dict[str, Any] = {"alias": parameter.name}
    has_description = any(isinstance(item, FieldInfo) and item.description for item in _metadata(hint))
    if text and not has_description:
        options["description"] = text
    default = ... if parameter.default is parameter.empty else parameter.default
    return hint, Field(default, **options)


def _metadata(hint: Any) -> tuple[Any, ...]:
    return get_args(hint)[1:] if get_origin(hint) is Annotated else ()


def _check_defaults(name: str, hints: Mapping[str, Any], defaults: Mapping[str, Json]) -> None:
    for parameter, default in defaults.items():
        try:
            TypeAdapter(hints[parameter]).validate_json(json.dumps(default), strict=True)
        except ValidationError:
            raise TypeError(f"tool {name}: the default of {parameter} does not fit its type") from None


def _docstring(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    text = inspect.getdoc(function) or ""
    try:
        parsed = parse(text)
    except ParseError:
        return text[:MAX_DESCRIPTION], {}
    parts = [part for part in (parsed.short_description, parsed.long_description) if part]
    texts = {item.arg_name: item.description for item in parsed.params if item.description}
    return "\n\n".join(parts)[:MAX_DESCRIPTION], texts


def _error_message(error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    lines = []
    for problem in problems[:_MAX_PROBLEMS]:
        path = ".".join(str(step) for step in problem["loc"])
        message = (
            "they are nested too deeply or hold half a character"
            if problem["type"] == "json_invalid"
            else problem["msg"]
        )
        text = f"{path}: {message}" if path else message
        lines.append(text[:_MAX_PROBLEM])
    if len(problems) > _MAX_PROBLEMS:
        lines.append(f"and {len(problems) - _MAX_PROBLEMS} more")
    return f"The arguments do not fit: {'; '.join(lines)}."


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:_MAX_PROBLEM]
