"""JSON Schema validation whose cost is bounded, for schemas from servers that nobody has reviewed.

Knows nothing of tools. It runs on the program's event loop. Rules:

* Patterns are matched by a regular expression engine with linear time (that of pydantic-core). A pattern that needs
  backtracking (look-around, back-references) is not checked here: the server does it.
* Every keyword that is applied counts as a step. A schema whose references multiply, or a huge value, meets
  ``MAX_STEPS`` and is refused.
* ``unevaluatedProperties`` and ``unevaluatedItems`` are refused: their cost cannot be bounded from outside.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from functools import lru_cache
from itertools import islice
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend, validator_for
from pydantic_core import SchemaError as PatternError
from pydantic_core import SchemaValidator, core_schema
from referencing import Registry

# About 10 µs each.
MAX_STEPS = 5_000
MAX_PATTERN = 1000
_REFUSED = ("unevaluatedProperties", "unevaluatedItems")
_MAPS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies")
_VALUES = ("const", "enum", "default", "examples")
_steps: ContextVar[list[int]] = ContextVar("steps")
Matches = Callable[[str], bool]


class UnsupportedSchema(ValueError):
    """The schema uses something that cannot be checked within bounds, or that no engine can read."""


class TooManySteps(ValueError):
    """The validation was given up after ``MAX_STEPS``."""


class BoundedValidator:
    """Validator of one schema.

    Raises ``UnsupportedSchema`` or ``jsonschema.SchemaError`` for an unusable schema, and other errors for references
    that cannot be resolved.
    """

    def __init__(self, schema: dict[str, Any]) -> None:
        validator_class = validator_for(schema, default=Draft202012Validator)
        validator_class.check_schema(schema, format_checker=None)  # pyrefly: ignore[unexpected-keyword] patterns: below
        self.schema = schema
        _inspect(schema)
        self._validator: Any = _bounded(validator_class)(schema, registry=Registry())  # empty: no reference is loaded
        self.errors({}, 1)

    def errors(self, value: Any, limit: int) -> list[ValidationError]:
        """Return the first errors. Raises ``TooManySteps``, ``RecursionError``."""
        token = _steps.set([0])
        try:
            return list(islice(self._validator.iter_errors(value), limit))
        finally:
            _steps.reset(token)


@lru_cache(maxsize=512)
def matcher(pattern: str) -> Matches | None:
    """Return a search for the pattern in linear time; ``None`` if it is valid, but needs an engine that backtracks.

    Raises ``UnsupportedSchema`` for an invalid pattern.
    """
    if len(pattern) > MAX_PATTERN:
        return None
    try:
        validator = SchemaValidator(core_schema.str_schema(pattern=pattern))
    except PatternError:
        try:
            re.compile(pattern)
        except (re.error, RecursionError, OverflowError):
            raise UnsupportedSchema(f"the pattern {pattern[:80]!r} is wrong") from None
        except Warning:
            pass
        return None
    return lambda text: validator.isinstance_python(text)


def _inspect(schema: Any) -> None:
    """Check all keywords. Raises ``UnsupportedSchema``.

    Removes ``$schema`` below the root: it would replace the bounded keywords by others.
    """
    todo = [(schema, False)]
    while todo:
        node, is_map = todo.pop()
        if isinstance(node, list):
            todo += [(item, False) for item in node]
        if not isinstance(node, dict):
            continue
        if is_map:
            todo += [(item, False) for item in node.values()]
            continue
        if unusable := next((key for key in _REFUSED if key in node), None):
            raise UnsupportedSchema(f"{unusable} is not supported")
        if isinstance(pattern := node.get("pattern"), str):
            matcher(pattern)
        for pattern in node.get("patternProperties") or ():
            matcher(pattern)
        if node is not schema:
            node.pop("$schema", None)
        todo += [(value, key in _MAPS) for key, value in node.items() if key not in _VALUES]


@lru_cache(maxsize=16)
def _bounded(validator_class: Any) -> Any:
    keywords = {name: _counted(keyword) for name, keyword in validator_class.VALIDATORS.items()}
    ours = {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
        "uniqueItems": _unique_items,
    }
    return extend(validator_class, {**keywords, **{name: _counted(keyword) for name, keyword in ours.items()}})


def _counted(keyword: Any) -> Any:
    def counted(validator: Any, value: Any, instance: Any, schema: Any) -> Any:
        _count(1)
        return keyword(validator, value, instance, schema)

    return counted


def _count(steps: int) -> None:
    counter = _steps.get()
    counter[0] += steps
    if counter[0] > MAX_STEPS:
        raise TooManySteps("the validation takes too long")


def _matches(pattern: str, text: str) -> bool | None:
    """Return whether the pattern is in the text; ``None`` if that is not checked here."""
    search = matcher(pattern)
    return None if search is None else search(text)


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and _matches(pattern, instance) is False:
        yield ValidationError("does not match the pattern")


def _pattern_properties(validator: Any, patterns: Mapping[str, Any], instance: Any, schema: Any) -> Iterator[Any]:
    if not isinstance(instance, dict):
        return
    for pattern, subschema in patterns.items():
        _count(len(instance))
        for key, value in instance.items():
            if _matches(pattern, key):
                yield from validator.descend(value, subschema, path=key, schema_path=pattern)


def _additional_properties(validator: Any, allowed: Any, instance: Any, schema: Any) -> Iterator[Any]:
    if not isinstance(instance, dict):
        return
    patterns = schema.get("patternProperties", {})
    _count(len(instance) * len(patterns))
    extras = [key for key in instance if key not in schema.get("properties", {})]
    # A key that may match a pattern that is not checked here counts as known.
    extras = [key for key in extras if all(_matches(pattern, key) is False for pattern in patterns)]
    if isinstance(allowed, dict):
        for key in extras:
            yield from validator.descend(instance[key], allowed, path=key)
    elif not allowed and extras:
        yield ValidationError("additional properties are not allowed")


def _unique_items(validator: Any, unique: bool, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if unique and isinstance(instance, list):
        _count(len(instance))
        # Equal JSON values have equal canonical text. In JSON Schema, 1.0 equals 1.
        texts = {json.dumps(_canonical(item), sort_keys=True) for item in instance}
        if len(texts) < len(instance):
            yield ValidationError("the items are not unique")


def _canonical(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _canonical(item) for key, item in value.items()}
    return [_canonical(item) for item in value] if isinstance(value, list) else value
