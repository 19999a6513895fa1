"""The HTTP status of each error, for every protocol: one table."""

from __future__ import annotations

from collections.abc import Mapping

from streamchat.errors import ErrorKind, InvalidInput, NotFound, ProviderError, StorageError, StreamchatError

# The first class that fits decides; an entry for the kind takes precedence over its class.
STATUSES: tuple[tuple[type[StreamchatError], int], ...] = (
    (NotFound, 404),
    (InvalidInput, 422),
    (StorageError, 503),
    (ProviderError, 502),
    (StreamchatError, 500),
)
KINDS: Mapping[ErrorKind, int] = {
    "bad-request": 400,
    "unauthorized": 401,
    "not-allowed": 403,
    "too-many-requests": 429,
    "sign-in-unavailable": 503,
    "too-many-streams": 429,
    "not-stopped": 503,
    "busy": 503,
    "too-slow": 408,
    "still-answering": 409,
    "too-large": 413,
    "wrong-type": 415,
}
RETRY_SECONDS = 2


def status_of(error: StreamchatError) -> int:
    """Return the HTTP status of this error."""
    if error.kind in KINDS:
        return KINDS[error.kind]
    return next(status for kind, status in STATUSES if isinstance(error, kind))


def retry_header(error: StreamchatError, status: int) -> dict[str, str]:
    """Return ``Retry-After`` (seconds) if waiting helps, and ``WWW-Authenticate`` if a key is needed."""
    if status == 401:
        return {"WWW-Authenticate": "Bearer"}
    after = getattr(error, "retry_after", None)
    if after is None and status == 503:
        after = RETRY_SECONDS
    return {"Retry-After": str(max(1, round(after)))} if after is not None and status in (429, 503) else {}
