"""Servers that fail as they are told, and both clients behind one face."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.integration.client.api import Api
from tests.integration.web.conftest import api, make_api
from tests.support.loop import LoopThread

__all__ = ["api", "make_api"]


@pytest.fixture
def serve(loop: LoopThread) -> Iterator[Callable[[Api], str]]:
    started: list[Api] = []

    def serve(api: Api) -> str:
        started.append(api)
        return api.serve(loop)

    yield serve
    for one in started:
        one.close(loop)
