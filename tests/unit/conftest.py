"""The rule of this tier: no network and no database. What needs one belongs to ``integration``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

_guarded = False


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if _guarded and (
        event == "sqlite3.connect" or (event in ("socket.connect", "socket.bind") and isinstance(arguments[1], tuple))
    ):
        raise AssertionError(f"a unit test opens no socket and no database: {event} {arguments[1:]}")


sys.addaudithook(_refuse)


@pytest.fixture(autouse=True)
def guarded() -> Iterator[None]:
    """Nothing here talks to a server."""
    global _guarded
    _guarded = True
    yield
    _guarded = False
