"""Location of the built page, and its build, which runs only if a source has changed.

Reflex's own prod mode compiles and bundles at each start. In a checkout a build is stored with a fingerprint of its
sources, and served as it is as long as the fingerprint matches. An installed package contains its page.
The page's packages are those of ``reflex.lock/``: ``bunfig.toml`` has Bun refuse others, so a build changes no lock.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path

from streamchat.environment import BUILD, child_environment
from streamchat.errors import StreamchatError

PACKAGE = Path(__file__).resolve().parent
ROOT = PACKAGE.parent
# In a wheel: the part of a checkout's folder .web that serving needs (hatch_build.py puts it there).
_PACKAGED = PACKAGE / "_page"
_STAMP = ".web/build/fingerprint"
_LOG = ".web/build.log"
_INPUTS = (
    "rxconfig.py",
    "streamchat/streamchat.py",
    "streamchat/reflex_internals.py",
    "streamchat/ui",
    "assets",
    "reflex.lock",
    "requirements/app.txt",
)

# Bun's error messages, and ours for them.
_REASONS = (
    ("lockfile is (frozen|out of sync)|No version matching", "its packages are not those of reflex.lock (`make lock`)"),
    ("IntegrityCheckFailed", "a downloaded package is not the one that is locked"),
    ("NoSpaceLeft|No space left|ENOSPC", "there is no space left on the disk"),
    ("AccessDenied|Permission denied|Read-only file system|EROFS|EACCES", "a folder cannot be written to"),
    (r" downloading (tarball|package manifest) |error: GET \S+ - \d", "the npm registry cannot be reached"),
)


class BuildError(StreamchatError):
    """The page could not be built."""

    kind = "build"


def is_checkout() -> bool:
    """Return whether this is a checkout, whose page is built locally, and not an installed package."""
    return not _PACKAGED.is_dir() and (ROOT / "rxconfig.py").is_file()


def web() -> Path:
    """Return the folder that the page is served from, in the layout of Reflex's ``.web``."""
    return ROOT / ".web" if is_checkout() else _PACKAGED


def published(name: str) -> Path:
    """Return the file of a script that is served as it is, at ``/<name>``."""
    return ROOT / "assets" / name if is_checkout() else _PACKAGED / "build" / "client" / name


def fingerprint(root: Path = ROOT) -> str:
    """Return a hash over the names and contents of all sources of the page."""
    digest = hashlib.sha256()
    for name in _INPUTS:
        path = root / name
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(f"{file.relative_to(root).as_posix()}\0".encode())
                digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def is_current(root: Path = ROOT) -> bool:
    """Return whether the stored build was made from the current sources."""
    stamp = root / _STAMP
    return stamp.is_file() and stamp.read_text() == fingerprint(root)


def build(root: Path = ROOT) -> None:
    """Build the page with Reflex, and store its fingerprint. Raises ``BuildError``, which names the log file."""
    before = fingerprint(root)
    command = [sys.executable, "-m", "reflex", "export", "--no-zip", "--loglevel", "warning"]
    done = subprocess.run(command, cwd=root, env=child_environment(BUILD), capture_output=True, text=True)
    if done.returncode:
        raise BuildError(explain(done.stdout + done.stderr, root))
    (root / _STAMP).write_text(before)


def explain(output: str, root: Path = ROOT) -> str:
    """Keep what a build that failed has said as its log, and return why it did in one sentence, which names that."""
    try:
        (root / _LOG).parent.mkdir(exist_ok=True)
        (root / _LOG).write_text(output)
    except OSError as error:
        return f"The page could not be built: {root / _LOG} cannot be written ({error.strerror})."
    unwrapped = " ".join(output.split())
    reason = next((f": {reason}" for pattern, reason in _REASONS if re.search(pattern, unwrapped)), "")
    return f"The page could not be built{reason}. Details: {_LOG}"
