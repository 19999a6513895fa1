"""``make soak`` runs the long version of some tests: more of what is generated, and for longer."""

from __future__ import annotations

import os

LONG = "SOAK_SECONDS" in os.environ


def examples(count: int) -> int:
    """How many examples a property is tried with: a quarter of them in the short version."""
    return count if LONG else count // 4
