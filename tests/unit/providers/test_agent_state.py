"""The state of an agent: the operations of RFC 6902 and its pointers, and what does not fit."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from streamchat.providers.ag_ui.state import MAX_COPIED, PatchError, Patches

CASES: dict[str, tuple[Any, list[dict[str, Any]], Any]] = {
    "add-member": ({"a": 1}, [{"op": "add", "path": "/b", "value": 2}], {"a": 1, "b": 2}),
    "add-element": ([1, 3], [{"op": "add", "path": "/1", "value": 2}], [1, 2, 3]),
    "append": ({"a": [1]}, [{"op": "add", "path": "/a/-", "value": 2}], {"a": [1, 2]}),
    "replace": ({"a": {"b": 1}}, [{"op": "replace", "path": "/a/b", "value": None}], {"a": {"b": None}}),
    "replace-element": ([1, 2], [{"op": "replace", "path": "/1", "value": 3}], [1, 3]),
    "replace-all": ({"a": 1}, [{"op": "replace", "path": "", "value": [1]}], [1]),
    "remove": ({"a": [1, 2]}, [{"op": "remove", "path": "/a/0"}], {"a": [2]}),
    "move": ({"a": 1, "b": {}}, [{"op": "move", "from": "/a", "path": "/b/c"}], {"b": {"c": 1}}),
    "copy": ({"a": [1]}, [{"op": "copy", "from": "/a", "path": "/b"}], {"a": [1], "b": [1]}),
    "test": ({"a": [1.0]}, [{"op": "test", "path": "/a", "value": [1]}], {"a": [1.0]}),
    "escapes": ({"a/b": 1, "~": 2}, [{"op": "remove", "path": "/a~1b"}, {"op": "remove", "path": "/~0"}], {}),
    "empty-name": ({"": 1}, [{"op": "replace", "path": "/", "value": 2}], {"": 2}),
}
BAD: dict[str, tuple[Any, Any]] = {
    "no-list": ({}, {"op": "add", "path": "/a", "value": 1}),
    "no-operation": ({}, ["add"]),
    "unknown": ({}, [{"op": "append", "path": "/a", "value": 1}]),
    "no-value": ({}, [{"op": "add", "path": "/a"}]),
    "no-path": ({}, [{"op": "add", "value": 1}]),
    "relative": ({}, [{"op": "add", "path": "a", "value": 1}]),
    "no-parent": ({}, [{"op": "add", "path": "/a/b", "value": 1}]),
    "replaces-nothing": ({}, [{"op": "replace", "path": "/a", "value": 1}]),
    "removes-nothing": ({"a": []}, [{"op": "remove", "path": "/a/0"}]),
    "beyond": ([1], [{"op": "add", "path": "/2", "value": 1}]),
    "leading-zero": ([1, 2], [{"op": "remove", "path": "/01"}]),
    "into-a-text": ({"a": "b"}, [{"op": "add", "path": "/a/0", "value": 1}]),
    "into-itself": ({"a": {"b": {}}}, [{"op": "move", "from": "/a", "path": "/a/b/c"}]),
    "test": ({"a": 1}, [{"op": "test", "path": "/a", "value": True}]),
    "a-number-as-path": ({}, [{"op": "add", "path": 1, "value": 1}]),
    "copies-of-copies": ({"a": 1}, [{"op": "copy", "from": "", "path": f"/{n}"} for n in range(60)]),
    "copies-of-text": ({"a": "x" * MAX_COPIED}, [{"op": "copy", "from": "/a", "path": f"/{n}"} for n in range(2)]),
    "copies-no-pointer": ({}, [{"op": "copy", "from": 1, "path": "/a"}]),
    "copies-nothing": ({}, [{"op": "copy", "from": "/b", "path": "/a"}]),
    "too-deep": ({}, [{"op": "add", "path": "/a" * 1000, "value": 1}]),
}


@pytest.mark.parametrize("name", CASES)
def test_operations(name: str) -> None:
    """The result."""
    value, operations, expected = deepcopy(CASES[name])
    assert Patches().apply(value, operations) == expected


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit(name: str) -> None:
    """One error, whatever is wrong."""
    value, operations = deepcopy(BAD[name])
    with pytest.raises(PatchError):
        Patches().apply(value, operations)


def test_copies_count_over_all_patches_of_an_answer() -> None:
    """One doubling per event is no way around the bound."""
    state, patches = {"a": 1}, Patches()
    with pytest.raises(PatchError):
        for n in range(60):
            state = patches.apply(state, [{"op": "copy", "from": "", "path": f"/{n}"}])
