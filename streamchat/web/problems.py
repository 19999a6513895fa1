"""What went wrong, as HTTP: ``{"error": {"message", "kind"}}`` and a status. One table for all endpoints.

Knows the exception tree, not the endpoints. Rules: the sentence of an error is shown, never its traceback, and never
what was sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.responses import Response

from streamchat.errors import InvalidInput, NotFound, ProviderError, StorageError, StreamchatError

# The first class that fits says the status; a kind of its own goes before its class.
STATUSES: tuple[tuple[type[StreamchatError], int], ...] = (
    (NotFound, 404),
    (InvalidInput, 422),
    (StorageError, 503),
    (ProviderError, 502),
    (StreamchatError, 500),
)
KINDS: Mapping[str, int] = {
    "bad-request": 400,
    "too-many-streams": 429,
    "not-stopped": 503,
    "too-slow": 408,
    "too-large": 413,
    "wrong-type": 415,
}
# What answers errors under a prefix in another shape than ours: a vendor's.
SHAPES: dict[str, Callable[[StreamchatError, int], Response]] = {}
_WORDS = {400: "bad-request", 404: "not-found", 405: "wrong-method"}
_SENTENCES = {404: "There is nothing at this address.", 405: "This address does not take this method."}
RETRY_SECONDS = 2


class BadRequest(StreamchatError):
    """What was sent cannot even be read: a broken number, broken JSON."""

    kind = "bad-request"


class TooManyStreams(StreamchatError):
    """This client reads as many streams as it may. ``retry_after``: seconds."""

    kind = "too-many-streams"
    retry_after = 5


def status_of(error: StreamchatError) -> int:
    """The HTTP status that says this error."""
    if error.kind in KINDS:
        return KINDS[error.kind]
    return next(status for kind, status in STATUSES if isinstance(error, kind))


def told(status: int, message: str, kind: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": {"message": message, "kind": kind}}, status, headers)


def answer(error: StreamchatError, status: int | None = None) -> JSONResponse:
    """The response for this error, in our shape."""
    status = status_of(error) if status is None else status
    return told(status, error.user_message, error.kind, retry_header(error, status))


def retry_header(error: StreamchatError, status: int) -> dict[str, str]:
    """``Retry-After`` where waiting helps."""
    after = getattr(error, "retry_after", None)
    if after is None and status == 503:
        after = RETRY_SECONDS
    return {"Retry-After": str(max(1, round(after)))} if after is not None and status in (429, 503) else {}


def answer_at(path: str, error: StreamchatError, status: int | None = None) -> Response:
    """The response for this error at this path: in our shape, or in that of the vendor whose path it is."""
    for prefix, shape in SHAPES.items():
        if path.startswith(prefix):
            return shape(error, status_of(error) if status is None else status)
    return answer(error, status)


def install(app: FastAPI) -> None:
    """Answer every exception of this app's endpoints with a sentence."""

    async def ours(request: Request, error: Exception) -> Response:
        assert isinstance(error, StreamchatError)
        return answer_at(request.url.path, error)

    async def shape(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return answer_at(request.url.path, _unfit(error))

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        status = error.status_code
        sentence = _SENTENCES.get(status, "The body is not JSON." if status == 400 else str(error.detail))
        return answer_at(request.url.path, StreamchatError(sentence, kind=_WORDS.get(status, "error")), status)

    async def unforeseen(request: Request, error: Exception) -> Response:
        sentence = "Something went wrong on the server."
        return answer_at(request.url.path, StreamchatError(sentence, kind="internal"))

    app.add_exception_handler(StreamchatError, ours)
    app.add_exception_handler(RequestValidationError, shape)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, unforeseen)


def _unfit(error: RequestValidationError) -> StreamchatError:
    first = error.errors()[0]
    where, kind = [str(place) for place in first["loc"]], first["type"]
    if kind == "json_invalid":
        return BadRequest("The body is not JSON.")
    if where == ["body"] and kind in ("model_attributes_type", "missing", "dict_type"):
        return InvalidInput("The body is to be a JSON object.")
    name = ".".join(where[1:]) or where[0]
    return InvalidInput(f"{name}: {first['msg'].removeprefix('Value error, ')}.")
