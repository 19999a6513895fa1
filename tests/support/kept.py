"""Environments with packages from an index, which stay from run to run.

Each time they are brought to what the index has today. What is imported there was compiled by an earlier run: half of
what it costs to import the packages of clients.
"""

from __future__ import annotations

import fcntl
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from tests import ROOT

FOLDER = ROOT / ".pytest_cache" / "environments"


def kept(name: str, install: Callable[[Path], str | None]) -> tuple[Path, str | None]:
    """Return the folder of this name once ``install`` has brought it up to date, and the reason if it could not. One
    that was left in the middle of that is made anew."""
    folder = FOLDER / f"{name}-{sys.version_info.major}.{sys.version_info.minor}"
    whole = folder.with_name(f"{folder.name}.whole")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not whole.exists():
            shutil.rmtree(folder, ignore_errors=True)
        whole.unlink(missing_ok=True)
        reason = install(folder)
        if reason is None:
            whole.touch()
    return folder, reason
