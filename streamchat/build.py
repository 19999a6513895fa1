"""Builds the page, and only when something it is made of has changed.

Reflex's own prod mode compiles and bundles at each start. A build is kept here with a fingerprint of
what went into it, and mounted as it is while that is still true.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from streamchat.errors import StreamchatError

ROOT = Path(__file__).resolve().parent.parent
_STAMP = ".web/build/fingerprint"
_INPUTS = ("rxconfig.py", "streamchat/streamchat.py", "streamchat/ui", "assets", "reflex.lock", "requirements/app.txt")


class BuildError(StreamchatError):
    """The page could not be built."""

    kind = "build"


def fingerprint(root: Path = ROOT) -> str:
    """A hash over the names and contents of everything the page is made of."""
    digest = hashlib.sha256()
    for name in _INPUTS:
        path = root / name
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(f"{file.relative_to(root).as_posix()}\0".encode())
                digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def is_current(root: Path = ROOT) -> bool:
    """Whether the build on disk was made from what is there now."""
    stamp = root / _STAMP
    return stamp.is_file() and stamp.read_text() == fingerprint(root)


def build(root: Path = ROOT) -> None:
    """Build the page with Reflex and remember of what. Raises ``BuildError`` with the end of its output."""
    before = fingerprint(root)
    command = [sys.executable, "-m", "reflex", "export", "--no-zip", "--loglevel", "warning"]
    done = subprocess.run(command, cwd=root, env=os.environ, capture_output=True, text=True)
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-30:])
        raise BuildError(f"The page could not be built:\n{tail}")
    # Reflex may refresh its own lock while it installs.
    stamp = root / _STAMP
    stamp.write_text(fingerprint(root) if before != fingerprint(root) else before)
