"""Limit on the nesting of JSON values. Knows nothing of where a value comes from.

Rules:

* One limit for every entrance: arguments, request bodies, results. It is that of the parsers (jiter, pydantic-core),
  which count while they read, at no extra cost.
* Code that walks over a value may recurse: no value from outside is nested deeper, and older stored ones are cut.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic_core import from_json

MAX_DEPTH = 200
CUT = "(nested too deeply)"


class TooDeep(ValueError):
    """The value is nested deeper than ``MAX_DEPTH``."""


def parse_json(text: str | bytes) -> Any:
    """Return the value. Raises ``TooDeep``, or ``ValueError`` if the text is not JSON."""
    try:
        return from_json(text)
    except TypeError:  # text with a lone surrogate
        pass
    except ValueError as error:
        if "recursion limit" in str(error):
            raise TooDeep("nested too deeply") from None
    # The standard parser takes more: lone surrogates, and bytes with a byte order mark or in UTF-16.
    try:
        value = json.loads(text)
    except RecursionError:
        raise TooDeep("nested too deeply") from None
    if is_too_deep(value):
        raise TooDeep("nested too deeply")
    return value


def is_too_deep(value: Any, limit: int = MAX_DEPTH) -> bool:
    """Return whether a value that was parsed elsewhere is nested deeper than the limit. Does not recurse."""
    level = [value]
    for _ in range(limit + 1):
        level = [item for container in level for item in _items(container) if isinstance(item, dict | list)]
        if not level:
            return False
    return True


def _items(container: Any) -> Any:
    if isinstance(container, dict):
        return container.values()
    return container if isinstance(container, list) else ()
