"""``STREAMCHAT_WORKERS=2``: two processes on one port, and the one that looks after them."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from devservers.app import Served, completed
from devservers.ports import free_port
from devservers.redis import RedisServer
from tests.support.counting_model import COUNTING
from tests.support.reader import tab

MODEL = "simulator:tour"


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def children(pid: int, of: str) -> list[int]:
    """The processes that this one started and whose command line has these words."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if parent_of(int(folder.name)) == pid and of in (folder / "cmdline").read_text():
                found.append(int(folder.name))
    return found


def alive(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


async def until(true: Callable[[], object], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.05)


@pytest.fixture(scope="module")
def served(redis_session: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server for these tests, which take turns in killing parts of it."""
    redis_session.ask("FLUSHALL")
    settings = {"STREAMCHAT_WORKERS": "2", "STREAMCHAT_REDIS_URL": redis_session.url, **COUNTING}
    server = Served(tmp_path_factory.mktemp("workers") / "data", settings).start()
    try:
        yield server
    finally:
        pids = [*children(server.pid, "streamchat"), server.pid]
        server.kill()
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


async def test_two_workers_share_a_port_and_a_simulator(served: Served):
    """Many tabs on one port, answered at once by the one simulator; a worker that is killed is replaced."""
    await until(lambda: "with 2 workers" in served.log)
    workers = children(served.pid, "streamchat.workers")
    assert len(workers) == 2
    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(answered(served, 50))
    simulators = children(served.pid, "simulator")
    assert len(simulators) == 1
    os.kill(workers[0], signal.SIGKILL)
    await until(lambda: "Worker 0 was killed by signal 9; starting another one." in served.log)
    await until(lambda: len(children(served.pid, "streamchat.workers")) == 2)
    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(answered(served, 20))
    assert children(served.pid, "simulator") == simulators


async def answered(served: Served, count: int) -> None:
    async with tab(served.port) as one:
        await one.ask(f"kind=numbered n={count} rate=100", MODEL)
        await one.until(lambda: one.path != "/" and one.messages and one.answer.status == "finished")
        assert one.answer.text.strip() == " ".join(f"w{n:06}" for n in range(1, count + 1))


async def test_all_workers_are_killed(served: Served):
    """Both workers are killed in the middle: the page that comes back finds the answer *interrupted*, with what had
    reached Redis, and can ask."""
    async with tab(served.port) as writer:
        await writer.ask("5000 50", "python:count")
        await writer.until(lambda: writer.path != "/" and writer.messages and len(writer.answer.text) > 100)
        # Half a second of words later it is in Redis, which is what survives: the newest words are on their way there.
        shown = writer.answer.text
        await writer.until(lambda: len(writer.answer.text) > len(shown) + 200)
        for pid in children(served.pid, "streamchat.workers"):
            os.kill(pid, signal.SIGKILL)
    # Connections wait in the meantime, they are not refused.
    async with asyncio.timeout(60), tab(served.port, writer.path) as again:
        await again.until(lambda: again.answer.status == "interrupted")
        assert again.answer.text.startswith(shown)
        await again.ask("3 100", "python:count")
        await again.until(lambda: again.answer.status == "finished")


async def test_all_end_with_their_parent(served: Served):
    """``kill -9`` of the parent leaves nobody behind. SIGTERM: ``test_package.py::test_several_workers_serve``."""
    everybody = children(served.pid, "streamchat")
    assert len(everybody) >= 3
    served.kill()
    await until(lambda: not any(map(alive, everybody)), 30)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"STREAMCHAT_WORKERS": "2"}, "STREAMCHAT_REDIS_URL"),
        ({"STREAMCHAT_REDIS_URL": "redis://:CANARY@127.0.0.1:1/0"}, "127.0.0.1:1"),
        ({"STREAMCHAT_REDIS_URL": "redis://:CANARY@127.0.0.1:1/0", "STREAMCHAT_WORKERS": "2"}, "cannot be reached"),
        ({"STREAMCHAT_REDIS_URL": "localhost:6379"}, "STREAMCHAT_REDIS_URL"),
    ],
)
def test_what_cannot_work_is_one_sentence(settings: dict[str, str], told: str, tmp_path: Path):
    """No Redis where one is needed, or none that answers: the start stops and says which."""
    own = {"PORT": str(free_port()), "STREAMCHAT_DATA_DIR": str(tmp_path)}
    done = completed("run", **own, **settings)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert told in line
    assert line.endswith(".")
    assert "CANARY" not in done.stdout + done.stderr
