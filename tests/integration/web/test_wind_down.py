"""A server hears of the signal that ends it once the answers are stored, whatever kind of server it is."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from types import FrameType, SimpleNamespace
from typing import cast

import pytest

from streamchat.web.wind_down import SIGNALS, WindDown
from streamchat.wiring import ServiceHolder

pytestmark = pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(), reason="signals reach the main thread only"
)


class Answers:
    """Stands for the runs of a server: closing them lasts until ``stored`` is set."""

    def __init__(self, heard: list[str]) -> None:
        self.heard = heard
        self.closing, self.stored = asyncio.Event(), asyncio.Event()

    async def close(self) -> None:
        self.closing.set()
        await self.stored.wait()
        self.heard.append("stored")


@pytest.fixture
def heard() -> list[str]:
    return []


@pytest.fixture
async def answers(heard: list[str]) -> Answers:
    return Answers(heard)


@pytest.fixture
async def wind_down(answers: Answers) -> WindDown:
    return WindDown(cast(ServiceHolder, SimpleNamespace(services=SimpleNamespace(runs=answers))))


@contextmanager
def on_the_loop(heard: list[str]) -> Iterator[None]:
    """The handler of a server that gives it to its loop, as granian and hypercorn do."""
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, heard.append, number.name)
    yield
    for number in SIGNALS:
        loop.remove_signal_handler(number)


@contextmanager
def by_itself(heard: list[str]) -> Iterator[None]:
    """The handler of a server that sets it by itself, as uvicorn does."""

    def hear(number: int, frame: FrameType | None) -> None:
        heard.append(signal.Signals(number).name)

    before = {number: signal.signal(number, hear) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(params=[on_the_loop, by_itself])
async def server(request: pytest.FixtureRequest, heard: list[str]) -> AsyncIterator[None]:
    with request.param(heard):
        yield


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.usefixtures("server")
async def test_the_server_hears_of_it_last(
    wind_down: WindDown, answers: Answers, heard: list[str], number: signal.Signals
):
    """One signal or several: the answers are stored once, and then the server gets one."""
    async with wind_down.on_signal():
        for _ in range(3):
            os.kill(os.getpid(), number)
            await asyncio.wait_for(answers.closing.wait(), 60)
        assert heard == []
        answers.stored.set()
        await until(lambda: len(heard) > 1)
        assert heard == ["stored", number.name]
        os.kill(os.getpid(), number)
        await until(lambda: len(heard) > 2)
    assert heard == ["stored", number.name, number.name]


@pytest.mark.usefixtures("server")
async def test_without_a_signal_nothing_is_held(wind_down: WindDown, heard: list[str]):
    """A server that ends without one has its handlers back."""
    async with wind_down.on_signal():
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    await until(lambda: heard)
    assert heard == ["SIGTERM"]


@pytest.mark.usefixtures("server")
async def test_a_server_that_calls_it_has_its_signals(wind_down: WindDown, answers: Answers, heard: list[str]):
    """Our own server ends in an order of its own."""
    wind_down.called_by_server = True
    async with wind_down.on_signal():
        os.kill(os.getpid(), signal.SIGTERM)
        await until(lambda: heard)
    assert heard == ["SIGTERM"]
    assert not answers.closing.is_set()
