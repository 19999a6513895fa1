"""The exception tree: everything that streamchat raises on purpose.

Every error has a ``user_message``, an error message of one sentence without secrets or tracebacks, and a ``kind``, a
short stable identifier for programs. Nothing here knows who raises or shows it.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, cast

ErrorKind: TypeAlias = Literal[
    # of the program itself
    "error", "internal", "out-of-order", "bad-setting", "build", "unavailable", "storage", "redis", "busy", "shutdown",
    # of the request
    "bad-request", "invalid-input", "not-found", "no-model", "wrong-method", "wrong-type", "too-slow", "too-large",
    "too-long", "too-many", "still-answering", "too-many-streams", "unknown-host", "foreign-origin", "not-stopped",
    "not-kept",
    # of who asks
    "unauthorized", "not-allowed", "too-many-requests", "sign-in-unavailable",
    # of the provider's refusal
    "provider", "connect", "timeout", "bad-key", "forbidden", "model-not-found", "context-too-long", "rate-limited",
    "quota", "overloaded", "provider-broken", "refused", "not-an-api", "error-event",
    # of its stream
    "stream-broken", "cut", "reset", "stall", "gap", "spliced", "empty", "bad-json", "bad-encoding", "bad-event",
    "event-too-large", "too-many-calls", "incomplete", "first-token-timeout", "total-timeout",
    # of a run's ending
    "stopped", "process-gone",
    # of tools
    "tool", "bad-arguments", "bad-result",
    # of our clients
    "unreachable", "server", "not-streamchat",
]  # fmt: skip
"""All identifiers by which programs tell errors apart. Any other is a type error."""


def as_kind(text: str) -> ErrorKind:
    """Return the kind of an error that was stored or received. A newer version may have kinds that are not listed."""
    return cast("ErrorKind", text)


MAX_LINE = 300


def first_line(error: BaseException) -> str:
    """Return type and first line of an exception of other people's code, at most ``MAX_LINE`` characters of it.

    Some have a traceback in their text, which is left out. The line may have lone surrogates.
    """
    try:
        text = str(error).partition("Traceback (most recent call last)")[0].strip()
    except BaseException:  # its __str__ raises
        text = ""
    name = type(error).__name__
    return f"{name}: {text.splitlines()[0][:MAX_LINE]}" if text else f"{name}."


class StreamchatError(Exception):
    """Base class. ``str(error)`` is the error message, which may be shown."""

    kind: ErrorKind = "error"

    def __init__(self, user_message: str, *, kind: ErrorKind | None = None) -> None:
        super().__init__(user_message)
        self.user_message = user_message
        if kind is not None:
            self.kind = kind


class SettingsError(StreamchatError):
    """A setting has a value that cannot work; the start stops with this message."""

    kind = "bad-setting"


class InvalidInput(StreamchatError):
    """The caller's input is empty, too large or of the wrong type. Nothing was changed."""

    kind = "invalid-input"


class WrongArguments(InvalidInput):
    """Arguments do not fit. ``paths``: those that do not, from the outside in: ``("place", "lat")``."""

    def __init__(self, user_message: str, paths: tuple[tuple[str, ...], ...] = ()) -> None:
        super().__init__(user_message)
        self.paths = paths


class StillAnswering(InvalidInput):
    """Another answer is being written in this conversation: only one at a time is allowed."""

    kind = "still-answering"

    def __init__(
        self, user_message: str = "An answer is still being written here. Stop it first, or wait for its end."
    ) -> None:
        super().__init__(user_message)


class NotFound(StreamchatError):
    """No such conversation, run, message or model, or it belongs to another owner (the response is the same)."""

    kind = "not-found"


class Unauthorized(StreamchatError):
    """The credentials are missing, unknown, revoked or expired."""

    kind = "unauthorized"

    def __init__(self, user_message: str = "Sign in first.") -> None:
        super().__init__(user_message)


class NotAllowed(StreamchatError):
    """The caller is known, but needs another role or another scope for this."""

    kind = "not-allowed"


class TooManyRequests(StreamchatError):
    """A limit of requests is reached. ``retry_after``: seconds until the next one is taken."""

    kind = "too-many-requests"

    def __init__(self, user_message: str, retry_after: float) -> None:
        super().__init__(user_message)
        self.retry_after = retry_after


class StorageError(StreamchatError):
    """The database is missing, corrupted, read-only, full or locked.

    ``transient``: the same call may work in a moment. ``reason``: which of these it is, a stable identifier.
    """

    kind = "storage"

    def __init__(self, user_message: str, *, reason: str = "failed", transient: bool = False) -> None:
        super().__init__(user_message)
        self.reason = reason
        self.transient = transient


class OutOfOrder(StreamchatError):
    """An event after the ending, or for a part that does not exist: a bug of the caller."""

    kind = "out-of-order"


class ProviderError(StreamchatError):
    """The provider refused or failed: the run ends as *failed*, or is retried before its first delta.

    ``retryable``: the same request may work later. ``retry_after``: seconds that the provider asked to
    wait. ``status``: HTTP status, if there was one.
    """

    kind = "provider"

    def __init__(
        self,
        user_message: str,
        *,
        kind: ErrorKind | None = None,
        retryable: bool = False,
        retry_after: float | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(user_message, kind=kind)
        self.retryable = retryable
        self.retry_after = retry_after
        self.status = status


class StreamBroken(ProviderError):
    """The stream ended without its end marker, was reset, stalled or could not be decoded.

    After the first delta the run ends as *interrupted*, and the partial answer is kept.
    """

    kind = "stream-broken"
