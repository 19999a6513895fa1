"""What processes cost, read from outside them. Linux only, as the whole benchmark is."""

from __future__ import annotations

import os
import platform
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(pid: int) -> float:
    """User and system time of a process with all its threads, from the kernel's own clock for it."""
    return time.clock_gettime((~pid << 3) | 2)


def tree_cpu_seconds(pid: int) -> float:
    """The same, with its living children and theirs."""
    total = 0.0
    with suppress(OSError):
        total = cpu_seconds(pid)
        for child in children(pid):
            total += tree_cpu_seconds(child)
    return total


def children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):
            found += map(int, (task / "children").read_text().split())
    return found


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def timed(work: Callable[[], Awaitable[object]], times: int) -> list[float]:
    """Milliseconds that the work takes, each time but the first, which costs what only a first time does."""
    await work()
    taken: list[float] = []
    for _ in range(times):
        began = time.perf_counter()
        await work()
        taken.append((time.perf_counter() - began) * 1000)
    return taken


def machine() -> str:
    """One line about where this ran."""
    model = "unknown processor"
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    system = f"{os.cpu_count()} cores ({model}), {platform.system()}, Python {platform.python_version()}"
    return f"{system}; load before: {os.getloadavg()[0]:.1f}"
