"""One machine for all tests of the cluster: what a test kills, it starts again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from devservers.cluster import Machine, why_not


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    if reason := why_not():
        pytest.skip(reason)
    made = Machine()
    try:
        yield made.start()
    finally:
        made.remove()
