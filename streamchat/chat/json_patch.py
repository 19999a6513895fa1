"""JSON Patch (RFC 6902): a list of operations applied to a JSON value. Pure; the value itself is never changed.

Rule: all operations apply, or ``PatchError`` is raised. A patch is of strangers: its length is bounded, and it nests
nothing deeper than ``MAX_DEPTH``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from streamchat.chat.json_depth import MAX_DEPTH

Json: TypeAlias = Any
MAX_OPERATIONS = 10_000


class PatchError(ValueError):
    """The patch does not fit the value."""


def apply_patch(value: Json, operations: Sequence[Mapping[str, Json]]) -> Json:
    """Return the value after these operations. Raises ``PatchError``."""
    if not isinstance(operations, list | tuple) or len(operations) > MAX_OPERATIONS:
        raise PatchError("a patch is a list of operations")
    for operation in operations:
        try:
            value = _apply(value, operation)
        except (KeyError, IndexError, TypeError, AttributeError):
            raise PatchError("an operation does not fit") from None
    return value


def _apply(value: Json, operation: Mapping[str, Json]) -> Json:
    path = _steps(operation["path"])
    match operation["op"]:
        case "add":
            return _put(value, path, operation["value"])
        case "replace":
            _get(value, path)
            return _put(value, path, operation["value"], replaces=True)
        case "remove":
            return _remove(value, path)
        case "move":
            source = _steps(operation["from"])
            if path[: len(source)] == source and path != source:
                raise PatchError("a value cannot move into itself")
            moved = _get(value, source)
            return _put(_remove(value, source), path, moved)
        case "copy":
            return _put(value, path, _get(value, _steps(operation["from"])))
        case "test" if _equal(_get(value, path), operation["value"]):
            return value
    raise PatchError("an operation does not fit")


def _steps(pointer: Json) -> tuple[str, ...]:
    """Return the steps of a JSON pointer (RFC 6901)."""
    if pointer == "":
        return ()
    first, *steps = pointer.split("/")
    if first or len(steps) > MAX_DEPTH:
        raise PatchError("this is no path")
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in steps)


def _get(value: Json, path: Sequence[str]) -> Json:
    for step in path:
        value = value[_index(step, len(value) - 1)] if isinstance(value, list) else dict.__getitem__(value, step)
    return value


def _put(value: Json, path: Sequence[str], new: Json, *, replaces: bool = False) -> Json:
    if not path:
        return new

    def change(container: Json, step: str) -> Json:
        if isinstance(container, dict):
            return {**container, step: new}
        index = len(container) if step == "-" and not replaces else _index(step, len(container) - replaces)
        return [*container[:index], new, *container[index + replaces :]]

    return _inside(value, path, change)


def _remove(value: Json, path: Sequence[str]) -> Json:
    if not path:
        return None

    def change(container: Json, step: str) -> Json:
        if isinstance(container, dict):
            container[step]
            return {key: item for key, item in container.items() if key != step}
        index = _index(step, len(container) - 1)
        return [*container[:index], *container[index + 1 :]]

    return _inside(value, path, change)


def _inside(value: Json, path: Sequence[str], change: Callable[[Json, str], Json]) -> Json:
    """Return the value with the container that the last step is in changed."""
    step, *rest = path
    if not isinstance(value, dict | list):
        raise TypeError
    if not rest:
        return change(value, step)
    if isinstance(value, dict):
        return {**value, step: _inside(value[step], rest, change)}
    index = _index(step, len(value) - 1)
    return [*value[:index], _inside(value[index], rest, change), *value[index + 1 :]]


def _index(step: str, last: int) -> int:
    if not (step.isascii() and step.isdigit()) or (len(step) > 1 and step[0] == "0") or int(step) > last:
        raise PatchError("there is no such element")
    return int(step)


def _equal(left: Json, right: Json) -> bool:
    """Return whether two JSON values are equal: ``true`` is not 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_equal(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_equal, left, right))
    return left == right
