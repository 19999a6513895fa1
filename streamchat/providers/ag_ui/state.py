"""The state of an agent, which it changes by JSON Patch (RFC 6902)."""

from __future__ import annotations

from typing import Any, TypeAlias

from jsonpatch import JsonPatchException, JsonPointerException, apply_patch

from streamchat.chat.json_depth import MAX_DEPTH

Json: TypeAlias = Any
MAX_OPERATIONS = 10_000


class PatchError(ValueError):
    """The patch does not fit the state, or is larger or deeper than an agent's may be."""


def patched(state: Json, operations: Json) -> Json:
    """Return the state after these operations. Raises ``PatchError``, after which ``state`` is of no use.

    ``state`` is changed: a copy of all of it costs more than the operations, at each of many.
    """
    if not isinstance(operations, list) or len(operations) > MAX_OPERATIONS:
        raise PatchError("a patch is a list of operations")
    try:
        if any(one["path"].count("/") > MAX_DEPTH for one in operations):
            raise PatchError("a path is too deep")
        return apply_patch(state, operations, in_place=True)
    except (JsonPatchException, JsonPointerException, LookupError, TypeError, AttributeError) as error:
        raise PatchError("an operation does not fit") from error
