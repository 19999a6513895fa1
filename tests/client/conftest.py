"""Servers that fail as they are told, and both clients behind one face."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.client.api import Api
from tests.e2e.loop import LoopThread
from tests.web.conftest import api, make_api

__all__ = ["api", "make_api"]


@pytest.fixture(scope="session")
def loop() -> Iterator[LoopThread]:
    thread = LoopThread()
    yield thread
    thread.close()


@pytest.fixture
def serve(loop: LoopThread) -> Iterator[Callable[[Api], str]]:
    started: list[Api] = []

    def serve(api: Api) -> str:
        started.append(api)
        return api.serve(loop)

    yield serve
    for one in started:
        one.close(loop)
