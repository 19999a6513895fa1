"""A function's signature and docstring as a JSON schema, and the check of arguments against it.

Knows nothing of how tools run. Rules:

* Strict: ``"3"`` is no integer and ``1`` no boolean; a field that the signature does not name is refused. (What JSON
  cannot say, such as a date, is read from its usual text.)
* A sentence about bad arguments names the field and what it should be, never the value.
* What cannot be described exactly is refused when the function is decorated, not when a model calls it.
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
from pydantic.errors import PydanticSchemaGenerationError
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import PydanticSerializationError

from streamchat.chat.events import Json
from streamchat.errors import StreamchatError
from streamchat.tools.context import Context

MAX_DESCRIPTION = 1024
_PARAMETER = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_TOLD = 5
_LONGEST = 200
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class BadArguments(StreamchatError):
    """The arguments do not fit the tool's schema; it was not run."""

    kind = "bad-arguments"


class _Plain(GenerateJsonSchema):
    """Titles are the names once more: they only cost tokens."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


@dataclass(frozen=True)
class Signature:
    """``context``: names of the parameters that are filled in."""

    description: str
    schema: Mapping[str, Json]
    model: type[BaseModel]
    names: Mapping[str, str]
    defaults: Mapping[str, Json]
    context: tuple[str, ...]

    def check(self, arguments: Mapping[str, Json]) -> dict[str, Json]:
        """The arguments with the defaults filled in, as JSON. Raises ``BadArguments``."""
        self.values(arguments)
        filled = {**copy.deepcopy(dict(self.defaults)), **arguments}
        return {name: filled[name] for name in self.names.values() if name in filled}

    def values(self, arguments: Mapping[str, Json]) -> dict[str, Any]:
        """What the function is called with. Raises ``BadArguments``."""
        text = json_text(arguments)
        try:
            read = self.model.model_validate_json(text, strict=True, extra="forbid")
        except ValidationError as error:
            raise BadArguments(_sentence(error)) from None
        return {name: getattr(read, field) for field, name in self.names.items()}


def json_text(arguments: Any) -> str:
    """The arguments as JSON text. Raises ``BadArguments`` for what is no JSON object."""
    if not isinstance(arguments, Mapping):
        raise BadArguments("The arguments must be a JSON object.")
    try:
        return json.dumps(dict(arguments), allow_nan=False)
    except RecursionError:
        raise BadArguments("The arguments are nested too deeply.") from None
    except (ValueError, TypeError):
        raise BadArguments("The arguments hold something that JSON has no word for.") from None


def read_signature(function: Callable[..., Any]) -> Signature:
    """Raises ``TypeError`` that names the function and what cannot be described."""
    name = getattr(function, "__name__", repr(function))
    try:
        hints = get_type_hints(function, include_extras=True)
    except Exception as error:
        raise TypeError(f"the types of tool {name} cannot be read: {error}") from error
    described, texts = _docstring(function)
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
            # A prefix, because a field must not have the name of one of pydantic's own methods.
            fields[f"p_{parameter.name}"] = _field(parameter, hints[parameter.name], texts.get(parameter.name))
    config = ConfigDict(strict=True, extra="forbid", arbitrary_types_allowed=False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model = create_model(name, __config__=config, **fields)
            schema = model.model_json_schema(by_alias=True, schema_generator=_Plain)
    except (PydanticUserError, PydanticSchemaGenerationError, PydanticSerializationError, Warning) as error:
        raise TypeError(f"the types of tool {name} have no JSON schema: {_first_line(error)}") from error
    schema = {"type": "object", "properties": {}, **schema}
    for noise in ("title", "description"):
        schema.pop(noise, None)
    names = {field: field.removeprefix("p_") for field in fields}
    defaults = {key: value["default"] for key, value in schema["properties"].items() if "default" in value}
    _check_defaults(name, hints, defaults)
    return Signature(described, schema, model, names, defaults, tuple(context))


def _field(parameter: inspect.Parameter, hint: Any, text: str | None) -> tuple[Any, Any]:
    options: dict[str, Any] = {"alias": parameter.name}
    own = any(isinstance(item, FieldInfo) and item.description for item in _metadata(hint))
    if text and not own:
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


def _sentence(error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    told = []
    for problem in problems[:_TOLD]:
        place = ".".join(str(step) for step in problem["loc"])
        says = (
            "they are nested too deeply or hold half a character"
            if problem["type"] == "json_invalid"
            else problem["msg"]
        )
        text = f"{place}: {says}" if place else says
        told.append(text[:_LONGEST])
    if len(problems) > _TOLD:
        told.append(f"and {len(problems) - _TOLD} more")
    return f"The arguments do not fit: {'; '.join(told)}."


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:_LONGEST]
