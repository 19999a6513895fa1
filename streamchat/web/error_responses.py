"""Errors as HTTP responses: ``{"error": {"message", "kind"}}`` and a status, the same for all endpoints.

Knows the exception tree, not the endpoints. Rule: a response contains the error message, never a traceback and never
the request's data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.responses import Response

from streamchat.errors import ErrorKind, InvalidInput, StreamchatError
from streamchat.protocols.http_status import retry_header, status_of

# Path prefix to the function that builds its error responses, where these have a vendor's shape instead of ours.
SHAPES: dict[str, Callable[[StreamchatError, int], Response]] = {}
# Characters of an error message, and of each name in the path of an invalid value: the client chose some of them.
MAX_MESSAGE, MAX_NAME = 300, 60
_KINDS: dict[int, ErrorKind] = {400: "bad-request", 404: "not-found", 405: "wrong-method"}
_MESSAGES = {404: "There is nothing at this address.", 405: "This address does not support this method."}


class BadRequest(StreamchatError):
    """The request cannot be parsed: invalid JSON, or a number that is none."""

    kind = "bad-request"


class TooManyStreams(StreamchatError):
    """The client reads as many streams as it may. ``retry_after``: seconds."""

    kind = "too-many-streams"
    retry_after = 5


def error_response(
    status: int, message: str, kind: ErrorKind, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Return ``{"error": {"message", "kind"}}`` with this status."""
    return JSONResponse(error_body(message, kind), status, headers)


def error_body(message: str, kind: ErrorKind) -> dict[str, dict[str, str]]:
    """Return an error in our shape."""
    return {"error": {"message": message, "kind": kind}}


def response_of(error: StreamchatError, status: int | None = None) -> JSONResponse:
    """Return the response for an error in our shape. ``status`` overrides that of the error's kind."""
    status = status_of(error) if status is None else status
    return error_response(status, error.user_message, error.kind, retry_header(error, status))


def response_at(path: str, error: StreamchatError, status: int | None = None) -> Response:
    """Return the response for an error at this path: in our shape, or in that of the vendor whose path it is."""
    error = _one_line(error)
    for prefix, shape in SHAPES.items():
        if path.startswith(prefix):
            return shape(error, status_of(error) if status is None else status)
    return response_of(error, status)


def install(app: FastAPI) -> None:
    """Register the exception handlers: every exception of an endpoint becomes an error response."""

    async def own(request: Request, error: Exception) -> Response:
        assert isinstance(error, StreamchatError)
        return response_at(request.url.path, error)

    async def validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return response_at(request.url.path, _invalid(error))

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        status = error.status_code
        message = _MESSAGES.get(status, "The body is not JSON." if status == 400 else str(error.detail))
        return response_at(request.url.path, StreamchatError(message, kind=_KINDS.get(status, "error")), status)

    async def unexpected(request: Request, error: Exception) -> Response:
        message = "Something went wrong on the server."
        return response_at(request.url.path, StreamchatError(message, kind="internal"))

    app.add_exception_handler(StreamchatError, own)
    app.add_exception_handler(RequestValidationError, validation)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, unexpected)


def _invalid(error: RequestValidationError) -> StreamchatError:
    first = error.errors()[0]
    location, kind = [str(item) for item in first["loc"]], first["type"]
    if kind == "json_invalid":
        return BadRequest("The body is not JSON.")
    if location == ["body"] and kind in ("model_attributes_type", "missing", "dict_type"):
        return InvalidInput("The body must be a JSON object.")
    name = ".".join(item[:MAX_NAME] for item in location[1:5]) or location[0]
    return InvalidInput(f"{name}: {first['msg'].removeprefix('Value error, ')}.")


def _one_line(error: StreamchatError) -> StreamchatError:
    """Return the error with a short message of one line, whatever of the request is quoted in it."""
    line = " ".join(error.user_message.split())
    if len(line) > MAX_MESSAGE:
        line = line[:MAX_MESSAGE] + "…"
    if line != error.user_message:
        error.user_message = line
    return error
