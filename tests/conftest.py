"""Servers that several packages of tests use."""

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
