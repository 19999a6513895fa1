"""The wheel, built once, and what it installs: only the core, and everything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from devservers import installation
from devservers.installation import Installation
from streamchat import build, protos


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not build.is_current():
        build.build()
    protos.generate()
    return installation.build(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def core(wheel: Path) -> Iterator[Installation]:
    """Without any extra."""
    made = Installation(wheel)
    yield made
    made.remove()
