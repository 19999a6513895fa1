"""The HTTP API as requests and responses, without I/O.

Knows paths, bodies and errors; knows no connection and no retry. Rules:

* A refusal becomes an error with the server's error message.
* ``retryable``: the same request may work later. A start may be sent twice: its client message id makes it one run.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from streamchat.backoff import Backoff
from streamchat.chat.files import FileInfo
from streamchat.chat.messages import FilePart, ImagePart, Message, Part
from streamchat.chat.wire import message_from_wire, part_to_wire
from streamchat.errors import ErrorKind, InvalidInput, NotFound, StreamchatError, as_kind

DEFAULT_URL = "http://127.0.0.1:3000"
CONNECT_SECONDS = 5.0
# The server sends a heartbeat every 10 s.
SILENCE_SECONDS = 35.0
HEADERS = {"Accept-Encoding": "identity"}


class Refused(StreamchatError):
    """The server refused the request. ``status``: HTTP status. ``retry_after``: seconds until a retry makes sense."""

    kind = "refused"
    retryable = False

    def __init__(
        self, message: str, *, status: int, kind: ErrorKind | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message, kind=kind)
        self.status = status
        self.retry_after = retry_after


class TooMany(Refused):
    """Too many requests or connections."""

    kind = "too-many"
    retryable = True


class ServerFailed(Refused):
    """The server, or a proxy in front of it, cannot answer now."""

    kind = "server"
    retryable = True


class Unreachable(StreamchatError):
    """The server cannot be reached, or the connection was lost and could not be restored."""

    kind = "unreachable"


class Incomplete(StreamchatError):
    """The answer failed or was cut off. ``message``: the partial answer."""

    kind = "incomplete"

    def __init__(self, message: Message) -> None:
        error = message.error
        super().__init__(error.message if error else "The answer is not complete.", kind=error.kind if error else None)
        self.message = message


@dataclass(frozen=True, slots=True)
class RunIds:
    """The ids of a run and of its conversation."""

    run_id: str
    conversation_id: str


def checked_url(url: str) -> str:
    """Return the address without a slash at its end. Raises ``InvalidInput`` if it is not one."""
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise InvalidInput(f"{url!r} is not an address like {DEFAULT_URL}.")
    return url.rstrip("/")


def is_loopback(url: str) -> bool:
    """Return whether the address is on this machine."""
    return urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1")


def new_id() -> str:
    """Return an id for a message that is about to be sent."""
    return str(uuid.uuid4())


def start_body(
    message: str | Sequence[Part],
    *,
    model: str | None,
    conversation_id: str | None,
    client_message_id: str,
    parent_id: str | None,
    system: str | None,
    options: Mapping[str, Any] | None,
    temporary: bool = False,
    preset: str | None = None,
    models: Sequence[str] | None = None,
    queue: bool = False,
) -> dict[str, Any]:
    """Return the body of ``POST /api/runs``."""
    content = message if isinstance(message, str) else [_part(part) for part in message]
    optional: dict[str, Any] = {
        "model": model,
        "conversation_id": conversation_id,
        "parent_id": parent_id,
        "system": system,
    }
    body: dict[str, Any] = {"message": content, "client_message_id": client_message_id}
    optional["options"] = options
    optional |= {"temporary": temporary or None, "preset": preset, "models": list(models) if models else None}
    optional["queue"] = queue or None
    return body | {name: value for name, value in optional.items() if value is not None}


def _part(part: Part) -> dict[str, Any]:
    if isinstance(part, ImagePart | FilePart) and part.file_id:
        return {"type": part.type, "file_id": part.file_id}  # the server knows the rest
    return part_to_wire(part)


def upload_form(source: str | PathLike[str] | bytes, name: str) -> dict[str, tuple[str, bytes]]:
    """Return the form of an upload: the content of a file at a path, or bytes. Raises ``OSError``."""
    if isinstance(source, bytes):
        return {"file": (name or "file", source)}
    path = Path(source)
    return {"file": (name or path.name, path.read_bytes())}


def part_from(body: bytes) -> ImagePart | FilePart:
    """Return the part that names an uploaded file."""
    fields = json_from(body)
    numbers = {key: fields.get(key, 0) for key in ("width", "height", "pages", "tokens")}
    return FileInfo(fields["id"], fields["name"], fields["media_type"], fields["bytes"], **numbers).part


def file_path(file_id: str) -> str:
    """Return the path of an uploaded file."""
    return f"/api/files/{quote(file_id, safe='')}"


def run_path(run_id: str) -> str:
    """Return the path of a run."""
    return f"/api/runs/{quote(run_id, safe='')}"


def decisions_path(run_id: str) -> str:
    """Return the path for decisions about a run's tool calls."""
    return f"{run_path(run_id)}/decisions"


def decision_body(
    call_id: str, approve: bool, arguments: Mapping[str, Any] | None, reason: str, always: bool
) -> dict[str, Any]:
    """Return the body of ``POST /api/runs/{run_id}/decisions``."""
    body = {"call_id": call_id, "approve": approve, "reason": reason, "always": always}
    return body if arguments is None else body | {"arguments": dict(arguments)}


def conversation_path(conversation_id: str, call: str = "") -> str:
    """Return the path of a conversation, or of a call about it."""
    return f"/api/conversations/{quote(conversation_id, safe='')}{call}"


def preset_path(preset_id: str) -> str:
    """Return the path of a preset or a prompt."""
    return f"/api/presets/{quote(preset_id, safe='')}"


def message_path(message_id: str, call: str = "") -> str:
    """Return the path of a message, or of a call about it."""
    return f"/api/messages/{quote(message_id, safe='')}{call}"


def query(path: str, **parameters: Any) -> str:
    """Return the path with those parameters that are not ``None``."""
    given = {name: str(value).lower() if value is True else value for name, value in parameters.items()}
    return f"{path}?{urlencode({name: value for name, value in given.items() if value not in (None, False)})}"


def json_from(body: bytes) -> dict[str, Any]:
    """Read a JSON object. Raises ``ServerFailed`` if it is none."""
    data = _json(body)
    if not isinstance(data, dict):
        raise not_streamchat()
    return data


def events_path(run_id: str) -> str:
    """Return the path of a run's event stream."""
    return f"{run_path(run_id)}/events"


def run_ids_from(body: bytes) -> RunIds:
    """Read the response to a start. Raises ``ServerFailed`` if it is not one."""
    data = _json(body)
    try:
        return RunIds(str(data["run_id"]), str(data["conversation_id"]))
    except (KeyError, TypeError):
        raise not_streamchat() from None


def compared_from(body: bytes) -> list[tuple[RunIds, str]]:
    """Read the response to a comparison: the ids of each run, and its model. Raises ``ServerFailed``."""
    data = _json(body)
    try:
        return [(RunIds(str(one["run_id"]), str(data["conversation_id"])), str(one["model"])) for one in data["runs"]]
    except (KeyError, TypeError):
        raise not_streamchat() from None


def run_from(body: bytes) -> tuple[RunIds, int, Message]:
    """Read a run: its ids, the number of its last event, its message. Raises ``ServerFailed``."""
    data = _json(body)
    try:
        return run_ids_from(body), int(data["seq"]), message_from_wire(data["message"])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise not_streamchat() from None


def check(status: int, headers: Mapping[str, str], body: bytes) -> None:
    """Raise the error that the HTTP status stands for; nothing for 2xx."""
    if status < 300:
        return
    message, kind = _error_of(body)
    if status == 404:
        raise NotFound(message or "There is no such thing here.", kind=kind)
    if status in (400, 409, 413, 415, 422):
        raise InvalidInput(message or "The server did not understand the request.", kind=kind)
    after = _seconds(headers.get("retry-after"))
    if status == 429:
        raise TooMany(message or "The server has too much to do.", status=status, kind=kind, retry_after=after)
    if status >= 500:
        message = message or f"The server cannot answer just now (HTTP {status})."
        raise ServerFailed(message, status=status, kind=kind, retry_after=after)
    raise Refused(message or f"The server refused the request (HTTP {status}).", status=status, kind=kind)


def not_streamchat() -> ServerFailed:
    """Return the error for a response of another program."""
    error = ServerFailed("What answers there is not streamchat.", status=200, kind="not-streamchat")
    error.retryable = False
    return error


def unreachable(url: str, error: Exception) -> Unreachable:
    """Return the error for a server that cannot be reached."""
    return Unreachable(f"Cannot reach streamchat at {url} ({type(error).__name__}). Is it running?")


def _error_of(body: bytes) -> tuple[str | None, ErrorKind | None]:
    """Return message and kind of ``{"error": {"message", "kind"}}``; ``None`` for any other body."""
    try:
        error = json.loads(body)["error"]
        return str(error["message"]), as_kind(str(error["kind"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None, None


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise not_streamchat() from None


def _seconds(text: str | None) -> float | None:
    return float(text) if text and text.isascii() and text.isdigit() and len(text) < 7 else None


def pause_after(backoff: Backoff, error: Exception, url: str, now: float, retry_after: float | None = None) -> float:
    """Return the seconds until the same request makes sense again. Raises the error if it does not."""
    if isinstance(error, Refused):
        if not error.retryable:
            raise error
        retry_after = error.retry_after or retry_after
    pause = backoff.pause(now, retry_after)
    if pause is None:
        raise error if isinstance(error, StreamchatError) else unreachable(url, error) from None
    return pause
