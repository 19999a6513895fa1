"""One TLS context for all HTTP clients of a process of tests: to read the certificates takes 20 ms of CPU, and several
thousand clients are made that never speak TLS. A client with a context of its own keeps it."""

from __future__ import annotations

from functools import cache

from httpx._transports import default as httpx_transport
from httpx2._transports import default as httpx2_transport


def share() -> None:
    """From now on."""
    for transport in (httpx_transport, httpx2_transport):
        shared = cache(transport.create_ssl_context)
        transport.create_ssl_context = shared
