"""The exception tree: everything that streamchat raises on purpose.

Every error carries ``user_message``, one sentence that a person understands, free of secrets and
tracebacks, and ``kind``, a short stable word for programs. Nothing here knows who raises or shows it.
"""

from __future__ import annotations


class StreamchatError(Exception):
    """Base of all. ``str(error)`` is the sentence that may be shown."""

    kind = "error"

    def __init__(self, user_message: str, *, kind: str | None = None) -> None:
        super().__init__(user_message)
        self.user_message = user_message
        if kind is not None:
            self.kind = kind


class SettingsError(StreamchatError):
    """A setting has a value that cannot work; the start stops with this sentence."""

    kind = "bad-setting"


class InvalidInput(StreamchatError):
    """What the caller sent is empty, too large or of the wrong type. Nothing was changed."""

    kind = "invalid-input"


class NotFound(StreamchatError):
    """No such conversation, run, message or model, or it belongs to somebody else (same answer)."""

    kind = "not-found"


class StorageError(StreamchatError):
    """The database is missing, corrupted, read-only, full or locked.

    ``transient``: the same call may work in a moment. ``reason``: which of these it is, a stable word.
    """

    kind = "storage"

    def __init__(self, user_message: str, *, reason: str = "failed", transient: bool = False) -> None:
        super().__init__(user_message)
        self.reason = reason
        self.transient = transient


class OutOfOrder(StreamchatError):
    """An event came after the ending, or belongs to a part that does not exist: a bug of the caller."""

    kind = "out-of-order"


class ProviderError(StreamchatError):
    """The provider refused or broke: the run ends as *failed* (or is retried before its first delta).

    ``retryable``: the same request may work later. ``retry_after``: seconds the provider asked to
    wait. ``status``: HTTP status where there was one.
    """

    kind = "provider"

    def __init__(
        self,
        user_message: str,
        *,
        kind: str | None = None,
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

    After the first delta the run ends as *interrupted* with the partial kept.
    """

    kind = "stream-broken"
