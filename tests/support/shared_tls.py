"""One TLS context for all HTTP clients of a process of tests: to read the certificates takes 20 ms of CPU, and several
thousand clients are made that never speak TLS. A client with a context of its own keeps it."""

from __future__ import annotations

from functools import cache

import httpx._transports.default
import httpx2._transports.default


def share() -> None:
    """From now on."""
    for transport in (httpx._transports.default, httpx2._transports.default):
        transport.create_ssl_context = cache(transport.create_ssl_context)
