"""A number of tokens as a provider reports it. Knows no vendor."""

from __future__ import annotations

from typing import Any

# More is a mistake of the server; and sums of such numbers stay within the 64 bits of databases and of gRPC.
MOST_TOKENS = 10**12


def count(value: Any) -> int | None:
    """Return the number, or ``None`` if this is none."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return value if is_number and 0 <= value <= MOST_TOKENS else None
