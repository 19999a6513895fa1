"""Servers that several packages of tests use, and the patience that whole systems get."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.redis_server import RedisServer, why_not


@pytest.fixture(scope="session")
def redis_session() -> Iterator[RedisServer]:
    """One server for the session."""
    if reason := why_not():
        pytest.skip(reason)
    server = RedisServer()
    server.start()
    yield server
    server.remove()


@pytest.fixture
def redis(redis_session: RedisServer) -> RedisServer:
    """That server, empty."""
    redis_session.ask("FLUSHALL")
    return redis_session


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of a browser or of several processes start servers, and share their machine with other work: they get more
    time, and a second try, which the report shows. The others get one."""
    for item in items:
        if {"e2e", "page", "cluster", "soak", "examples"} & set(item.path.relative_to(item.config.rootpath).parts):
            item.add_marker(pytest.mark.flaky(reruns=1))
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(180))
