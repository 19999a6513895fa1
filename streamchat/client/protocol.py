"""The HTTP API as requests and answers, without sending them.

Knows paths, bodies and errors; knows no connection and no retry. Rules:

* What the server refuses becomes an error with the server's sentence; what it says beside is left out.
* ``retryable``: the same request may work in a moment. A start may be sent twice: its client message id makes it one.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from streamchat.chat.messages import Message, Part
from streamchat.chat.wire import message_from_wire, part_to_wire
from streamchat.client.backoff import Backoff
from streamchat.errors import InvalidInput, NotFound, StreamchatError

DEFAULT_URL = "http://127.0.0.1:3000"
CONNECT_SECONDS = 5.0
# The server says something every 10 s, be it a comment.
SILENCE_SECONDS = 35.0
HEADERS = {"Accept-Encoding": "identity"}


class Refused(StreamchatError):
    """The server said no. ``status``: its HTTP status. ``retry_after``: seconds until it makes sense to come again."""

    kind = "refused"
    retryable = False

    def __init__(
        self, sentence: str, *, status: int, kind: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(sentence, kind=kind)
        self.status = status
        self.retry_after = retry_after


class TooMany(Refused):
    """Too many requests or connections."""

    kind = "too-many"
    retryable = True


class ServerFailed(Refused):
    """The server, or a proxy before it, cannot answer just now."""

    kind = "server"
    retryable = True


class Unreachable(StreamchatError):
    """The server cannot be reached, or the connection to it broke and could not be taken up again."""

    kind = "unreachable"


class Incomplete(StreamchatError):
    """The answer failed or was cut off. ``message``: what there is of it."""

    kind = "incomplete"

    def __init__(self, message: Message) -> None:
        error = message.error
        super().__init__(error.message if error else "The answer is not complete.", kind=error.kind if error else None)
        self.message = message


@dataclass(frozen=True, slots=True)
class Begun:
    """A run that the server has begun, or had begun before for the same client message id."""

    run_id: str
    conversation_id: str


def checked_url(url: str) -> str:
    """The address without a slash at its end. Raises ``InvalidInput`` for what is none."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise InvalidInput(f"{url!r} is not an address like {DEFAULT_URL}.")
    return url.rstrip("/")


def is_loopback(url: str) -> bool:
    return urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1")


def new_id() -> str:
    """An id for a message that is about to be sent."""
    return str(uuid.uuid4())


def start_body(
    message: str | Sequence[Part],
    *,
    model: str | None,
    conversation_id: str | None,
    client_message_id: str,
    system: str | None,
    options: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The body of ``POST /api/runs``."""
    said = message if isinstance(message, str) else [part_to_wire(part) for part in message]
    given = {"model": model, "conversation_id": conversation_id, "system": system, "options": options}
    body: dict[str, Any] = {"message": said, "client_message_id": client_message_id}
    return body | {name: value for name, value in given.items() if value is not None}


def run_path(run_id: str) -> str:
    return f"/api/runs/{quote(run_id, safe='')}"


def decisions_path(run_id: str) -> str:
    return f"{run_path(run_id)}/decisions"


def decision_body(
    call_id: str, approve: bool, arguments: Mapping[str, Any] | None, reason: str, always: bool
) -> dict[str, Any]:
    """The body of ``POST /api/runs/{run_id}/decisions``."""
    body = {"call_id": call_id, "approve": approve, "reason": reason, "always": always}
    return body if arguments is None else body | {"arguments": dict(arguments)}


def events_path(run_id: str) -> str:
    return f"{run_path(run_id)}/events"


def begun_from(body: bytes) -> Begun:
    """Raises ``ServerFailed`` where this is no such answer."""
    data = _json(body)
    try:
        return Begun(str(data["run_id"]), str(data["conversation_id"]))
    except (KeyError, TypeError):
        raise not_ours() from None


def run_from(body: bytes) -> tuple[Begun, int, Message]:
    """A run: what it is, the number of its last event, and its message. Raises ``ServerFailed``."""
    data = _json(body)
    try:
        return begun_from(body), int(data["seq"]), message_from_wire(data["message"])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise not_ours() from None


def check(status: int, headers: Mapping[str, str], body: bytes) -> None:
    """Raises what the status means: nothing for 2xx."""
    if status < 300:
        return
    sentence, kind = _told(body)
    if status == 404:
        raise NotFound(sentence or "There is no such thing here.", kind=kind)
    if status in (400, 409, 413, 415, 422):
        raise InvalidInput(sentence or "The server did not understand the request.", kind=kind)
    after = _seconds(headers.get("retry-after"))
    if status == 429:
        raise TooMany(sentence or "The server has too much to do.", status=status, kind=kind, retry_after=after)
    if status >= 500:
        sentence = sentence or f"The server cannot answer just now (HTTP {status})."
        raise ServerFailed(sentence, status=status, kind=kind, retry_after=after)
    raise Refused(sentence or f"The server refused the request (HTTP {status}).", status=status, kind=kind)


def not_ours() -> ServerFailed:
    """What answered is not streamchat."""
    error = ServerFailed("What answers there is not streamchat.", status=200, kind="not-streamchat")
    error.retryable = False
    return error


def unreachable(url: str, error: Exception) -> Unreachable:
    return Unreachable(f"Cannot reach streamchat at {url} ({type(error).__name__}). Is it running?")


def _told(body: bytes) -> tuple[str | None, str | None]:
    """The sentence and the kind of ``{"error": {"message", "kind"}}``, where it is one."""
    try:
        error = json.loads(body)["error"]
        return str(error["message"]), str(error["kind"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None, None


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise not_ours() from None


def _seconds(text: str | None) -> float | None:
    return float(text) if text and text.isascii() and text.isdigit() and len(text) < 7 else None


def pause_after(backoff: Backoff, error: Exception, url: str, now: float, asked: float | None = None) -> float:
    """Seconds until the same request makes sense again. Raises what was wrong where it does not."""
    if isinstance(error, Refused):
        if not error.retryable:
            raise error
        asked = error.retry_after or asked
    pause = backoff.pause(now, asked)
    if pause is None:
        raise error if isinstance(error, StreamchatError) else unreachable(url, error) from None
    return pause
