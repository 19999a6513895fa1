"""``python -m tests.system.soak.watched_app …`` is ``python -m streamchat …``, and tells on SIGUSR1 what it is doing.

One JSON object into the file that ``SOAK_REPORT`` names: the kinds of tasks and how many of each, open files, threads,
and how many tabs' states Reflex holds.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import re
import runpy
import signal
import threading
from collections import Counter
from pathlib import Path
from typing import Any


def tell(*_: object) -> None:
    """Runs between two steps of the event loop's thread, so nothing changes meanwhile. Memory is what is still held
    then, not what the garbage collector has not come to."""
    gc.collect()
    tasks = Counter(_kind(task) for task in asyncio.all_tasks())
    files = len(os.listdir("/proc/self/fd"))
    told = {"tasks": tasks, "files": files, "threads": threading.active_count(), "states": _states()}
    report = Path(os.environ["SOAK_REPORT"])
    unfinished = report.with_suffix(".part")
    unfinished.write_text(json.dumps(told))
    unfinished.replace(report)


_managers: list[Any] = []


def _states() -> int:
    if not _managers:  # looked for once: there are a million objects
        _managers.extend(thing for thing in gc.get_objects() if type(thing).__name__ == "StateManagerMemory")
    return sum(len(manager.states) for manager in _managers)


def _kind(task: asyncio.Task) -> str:
    work = task.get_coro()
    name = getattr(work, "__qualname__", type(work).__name__)
    # Names carry ids and tokens; where they are the library's numbers they say nothing.
    own = "" if task.get_name().startswith("Task-") else re.split(r"[ |:]", task.get_name())[0]
    return f"{name} {own}".strip()


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, tell)
    runpy.run_module("streamchat", run_name="__main__", alter_sys=True)
