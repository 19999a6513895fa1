"""A server with accounts, and people on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest
from argon2 import PasswordHasher

from streamchat.accounts import passwords
from tests.integration.web.conftest import Api, MakeApi, make_api
from tests.support.people import Person

__all__ = ["make_api"]
MakePerson = Callable[..., Person]


@pytest.fixture(autouse=True)
def quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes that cost next to nothing, where 0.1 s of CPU is the point of a real one."""
    hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "_hasher", lambda: hasher)


@pytest.fixture
async def api(make_api: MakeApi) -> AsyncIterator[Api]:
    async with make_api(STREAMCHAT_ACCOUNTS="open") as made:
        yield made


@pytest.fixture
async def person(api: Api) -> AsyncIterator[MakePerson]:
    """``person("anna")``: a browser without a session, of somebody of this name."""
    async with AsyncExitStack() as stack:

        def make(name: str = "anna", **more: str) -> Person:
            made = Person(api.url, name, **more)
            stack.push_async_exit(made)
            return made

        yield make
