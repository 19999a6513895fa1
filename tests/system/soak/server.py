"""A served app that tells what its process is doing, and what it holds."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

from devservers.app import Served

TELL_SECONDS = 60
# Begun with the first reader: so many for all of them.
LAZY = {
    "StateManagerMemory._expire_states StateManagerMemory": 1,
    "AsyncServer._service_task": 1,
    "Event.wait": 1,
    "_run_forever reflex_ensure_task": 3,
}
# A follower looks every 5 s whether its tab is there, and Reflex pings every 10 s: then their tasks are gone.
REST_SECONDS = 120


class Watched(Served):
    """``Served`` as ``watched_app``."""

    arguments = ("-m", "tests.system.soak.watched_app", "run")

    def __init__(self, data_dir: Path, settings: dict[str, str], port: int | None = None) -> None:
        self._report = data_dir.parent / f"{data_dir.name}.report.json"
        super().__init__(data_dir, settings | {"SOAK_REPORT": str(self._report)}, port)

    def report(self) -> dict[str, Any]:
        """``tasks``: how many of each kind; ``files``; ``threads``; ``resident``: bytes of memory."""
        self._report.unlink(missing_ok=True)
        os.kill(self.pid, signal.SIGUSR1)
        end = time.monotonic() + TELL_SECONDS
        while not self._report.exists():
            assert time.monotonic() < end, "the server does not tell what it is doing"
            time.sleep(0.02)
        told = json.loads(self._report.read_text())
        return told | {"tasks": Counter(told["tasks"]), "resident": self.resident}

    def kinds(self) -> set[str]:
        """The tasks of a server that nobody has read from yet: ``at_rest`` compares with them."""
        return {*self.report()["tasks"], *LAZY}

    def at_rest(self, kinds: set[str]) -> dict[str, Any]:
        """What it tells when nobody reads any more, and no task is left of those who did."""
        end = time.monotonic() + REST_SECONDS
        while True:
            report = self.report()
            if all(kind in kinds and count <= LAZY.get(kind, 1) for kind, count in report["tasks"].items()):
                return report
            assert time.monotonic() < end, f"tasks that nobody waits for: {report['tasks']}; at rest: {kinds}"
            time.sleep(1)

    @property
    def resident(self) -> int:
        """Bytes of memory that are in use."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
