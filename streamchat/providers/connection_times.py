"""When a request got its connection: told by the HTTP client to whoever made the request.

A context variable, because the SDK is between the two. The client's task is that of the request.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar


def _nobody(at: float) -> None:
    """Do nothing: nobody measures this request."""


ON_CONNECTION: ContextVar[Callable[[float], None]] = ContextVar("on_connection", default=_nobody)
"""Called with the time, by ``time.monotonic()``, at which the headers of the request begin to be sent."""
