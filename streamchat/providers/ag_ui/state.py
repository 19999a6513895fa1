"""The state of an agent, which it changes by JSON Patch (RFC 6902)."""

from __future__ import annotations

from typing import Any, TypeAlias

from jsonpatch import JsonPatchException, JsonPointer, JsonPointerException, apply_patch

from streamchat.chat.json_depth import MAX_DEPTH

Json: TypeAlias = Any
MAX_OPERATIONS = 10_000
MAX_COPIED = 1_000_000


class PatchError(ValueError):
    """The patch does not fit the state, or is larger or deeper than an agent's may be."""


class Patches:
    """The patches of one answer. What they copy is bounded in all: copies of copies grow without end."""

    def __init__(self) -> None:
        self._room = MAX_COPIED

    def apply(self, state: Json, operations: Json) -> Json:
        """Return the state after these operations. Raises ``PatchError``, after which ``state`` is of no use.

        ``state`` is changed: a copy of all of it costs more than the operations, at each of many.
        """
        if not isinstance(operations, list) or len(operations) > MAX_OPERATIONS:
            raise PatchError("a patch is a list of operations")
        try:
            for operation in operations:
                if operation["path"].count("/") > MAX_DEPTH:
                    raise PatchError("a path is too deep")
                if operation["op"] == "copy":
                    self._count(JsonPointer(operation["from"]).resolve(state))
                state = apply_patch(state, [operation], in_place=True)
        except (JsonPatchException, JsonPointerException, LookupError, TypeError, AttributeError) as error:
            raise PatchError("an operation does not fit") from error
        return state

    def _count(self, value: Json) -> None:
        """Take the size of a value, values and characters, from what may still be copied."""
        left = [value]
        while left:
            one = left.pop()
            self._room -= 1 + (len(one) if isinstance(one, str) else 0)
            if self._room < 0:
                raise PatchError("it copies more than allowed")
            if isinstance(one, dict):
                self._room -= sum(map(len, one))
                left += one.values()
            elif isinstance(one, list):
                left += one
