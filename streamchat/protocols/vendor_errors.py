"""Errors in each vendor's terms: status, type, code.

Knows the kinds of our errors (``errors.ErrorKind``), not the endpoints. Rules:

* The message is ours, everything that a program evaluates is the vendor's.
* Nothing here makes a client retry by itself if a run was started: it was retried already, and every new
  request would be another conversation (``RUN_STARTED``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from streamchat.chat.events import Ending, Failed, Interrupted
from streamchat.errors import ErrorKind, StreamchatError
from streamchat.protocols.http_status import retry_header, status_of

RUN_STARTED = {"x-should-retry": "false"}
STOPPED = "The answer was stopped."
# Kinds that are more specific than our own status.
STATUSES: Mapping[ErrorKind, int] = {
    "no-model": 404, "model-not-found": 404, "bad-key": 401, "forbidden": 403, "context-too-long": 400,
    "too-large": 413, "rate-limited": 429, "quota": 429, "refused": 400, "bad-request": 400, "invalid-input": 400,
    "overloaded": 503, "timeout": 504, "first-token-timeout": 504, "stopped": 503, "connect": 502,
}  # fmt: skip
_OPENAI_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_OPENAI_CODES: Mapping[ErrorKind, str] = {
    "no-model": "model_not_found",
    "model-not-found": "model_not_found",
    "bad-key": "invalid_api_key",
    "context-too-long": "context_length_exceeded",
    "rate-limited": "rate_limit_exceeded",
    "quota": "insufficient_quota",
    "refused": "content_filter",
    "internal": "server_error",
}
_ANTHROPIC_TYPES = {
    400: "invalid_request_error", 401: "authentication_error", 402: "billing_error", 403: "permission_error",
    404: "not_found_error", 413: "request_too_large", 429: "rate_limit_error", 504: "timeout_error",
    529: "overloaded_error",
}  # fmt: skip


def error_of(ending: Ending) -> StreamchatError:
    """Return an unsuccessful ending as an error."""
    if isinstance(ending, Failed | Interrupted):
        error = StreamchatError(ending.message, kind=ending.kind)
        if isinstance(ending, Failed) and ending.retry_after is not None:
            error.retry_after = ending.retry_after  # pyrefly: ignore[missing-attribute]
        return error
    return StreamchatError(STOPPED, kind="stopped")


def openai_status(error: StreamchatError, status: int | None = None) -> int:
    """Return the HTTP status. ``status``: that of our own format, if it is known."""
    known = STATUSES.get(error.kind)
    if known is not None:
        return known
    if status is None:
        # An ending of a run: by default, the provider or its stream failed.
        broke = type(error) is StreamchatError and error.kind not in ("internal", "error")
        status = 502 if broke else status_of(error)
    return 400 if status == 422 else status


def openai_error(error: StreamchatError, status: int) -> dict[str, Any]:
    """Return ``{"error": …}``, as a response body and as a chunk of a stream."""
    kind = "insufficient_quota" if error.kind == "quota" else _OPENAI_TYPES.get(status)
    kind = kind or ("invalid_request_error" if status < 500 else "server_error")
    code = _OPENAI_CODES.get(error.kind, error.kind.replace("-", "_"))
    param = "model" if error.kind in ("no-model", "model-not-found") else None
    return {"error": {"message": error.user_message, "type": kind, "param": param, "code": code}}


def anthropic_status(error: StreamchatError, status: int | None = None) -> int:
    """Return the HTTP status. ``status``: that of our own format, if it is known."""
    return {"overloaded": 529, "quota": 402}.get(error.kind) or openai_status(error, status)


def anthropic_error(error: StreamchatError, status: int) -> dict[str, Any]:
    """Return ``{"type": "error", …}``, as a response body and as an event of a stream."""
    kind = _ANTHROPIC_TYPES.get(status) or ("invalid_request_error" if status < 500 else "api_error")
    body: dict[str, Any] = {"type": kind, "message": error.user_message}
    if details := getattr(error, "details", None):  # what a program evaluates beside the type
        body["details"] = dict(details)
    return {"type": "error", "error": body, "request_id": None}


class Failure(NamedTuple):
    """An error in a vendor's format, as an HTTP response."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str]


def openai_failure(error: StreamchatError, status: int | None = None) -> Failure:
    """Return the response to an error. ``status``: that of our own format, if it is known."""
    status = openai_status(error, status)
    return Failure(status, openai_error(error, status), retry_header(error, status))


def anthropic_failure(error: StreamchatError, status: int | None = None) -> Failure:
    """Return the response to an error. ``status``: that of our own format, if it is known."""
    status = anthropic_status(error, status)
    return Failure(status, anthropic_error(error, status), retry_header(error, status))
