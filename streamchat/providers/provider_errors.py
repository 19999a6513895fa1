"""Translation of providers' errors into an error kind and a message for the user.

Knows no SDK and no stream: bodies, statuses and transport errors in, ``ProviderError`` out. Rules:

* Classified by the content of the error (type, code, message) before its status: an overload inside a
  stream comes with status 200, a used-up quota with 429.
* No key, no HTML, no control character and no traceback gets into a message; a quoted text is short.
"""

from __future__ import annotations

import re
import ssl
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import Any
from urllib.parse import urlsplit

import httpx2

from streamchat.errors import ErrorKind, ProviderError, StreamBroken

MAX_QUOTE = 240
_KEY_LIKE = re.compile(
    r"\b(?:sk|pk|rk|gsk|xai|hf|r8|tgp|csk|pplx|nvapi|key|org|proj)[-_][\w*.…-]{3,}"
    r"|\bAIza[\w-]{8,}|\beyJ[\w-]{8,}(?:\.[\w-]+)*|(?i:bearer)\s+\S+|\S{0,64}\*{3,}\S*"
)


@dataclass(frozen=True, slots=True)
class ErrorContext:
    """What an error message may mention of a request. ``secrets`` never appear in one."""

    base_url: str
    model: str = ""
    secrets: tuple[str, ...] = ()
    largest: str = ""
    vendor: str = ""

    @property
    def host(self) -> str:
        """The host, with its port if the URL has one."""
        parts = urlsplit(self.base_url)
        try:
            return f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname or "the provider"
        except ValueError:
            return parts.hostname or "the provider"

    @property
    def who(self) -> str:
        """The vendor's name at its own address, else the server's."""
        return self.vendor or f"the server at {self.host}"

    @property
    def local(self) -> bool:
        """Whether the server is on this machine."""
        host = urlsplit(self.base_url).hostname or ""
        return host == "localhost" or host.startswith("127.") or host in ("::1", "0.0.0.0")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of error. ``retryable``: the same request may succeed later. ``message``: template for the user."""

    retryable: bool
    message: str
    quote: bool = True


KINDS: dict[ErrorKind, Kind] = {
    "connect": Kind(True, "Cannot reach {host}.", quote=False),
    "timeout": Kind(True, "{who} did not answer in time.", quote=False),
    "bad-key": Kind(False, "{who} rejected the API key. It is wrong, or no longer valid.", quote=False),
    "forbidden": Kind(False, "{who} does not allow this with the configured API key."),
    "model-not-found": Kind(False, "The model {model} is not available at {host}. Choose another one."),
    "context-too-long": Kind(False, "The conversation is too long for {model}. Shorten it or start a new chat."),
    "too-large": Kind(False, "The message is too large for {who}{largest}."),
    "rate-limited": Kind(True, "{who} is limiting requests{wait}."),
    "quota": Kind(False, "The quota of the API key at {host} is used up. Check the plan and billing."),
    "overloaded": Kind(True, "{who} is overloaded{wait}. Try again or choose another model.", quote=False),
    "provider-broken": Kind(True, "{who} failed{status}. Try again or choose another model."),
    "refused": Kind(False, "The content filter of {who} refused this request."),
    "bad-request": Kind(False, "{who} did not accept the request."),
    "not-an-api": Kind(False, "The server at {host} is not a model API. Check the base URL."),
    "error-event": Kind(True, "{who} ended the answer with an error."),
}

# The first match holds; for a provider's generic codes the status decides.
_WORDS: tuple[tuple[ErrorKind, str], ...] = (
    ("quota", r"insufficient_quota|exceeded your current quota|billing|credit balance|spend_limit|spending limit"),
    (
        "context-too-long",
        r"context_length|context length|maximum context|context window|context size|prompt is too long"
        r"|too many tokens|input is too long|max_tokens.{0,40}exceed context|exceed_context_size",
    ),
    (
        "too-large",
        r"request_too_large|too large|payload.{0,20}size|above_max_length|exceeds the maximum size",
    ),
    ("quota", r"balance is (?:not sufficient|insufficient)|insufficient.{0,10}(?:balance|funds|credit)"),
    ("overloaded", r"overloaded|over capacity|at capacity|slow_down"),
    ("rate-limited", r"rate_limit|rate limit|too many requests|resource_exhausted"),
    ("bad-key", r"authentication_error|invalid_api_key|incorrect api key|api key not valid|invalid x-api-key"),
    ("forbidden", r"permission_error|permission_denied|unsupported_country"),
    ("model-not-found", r"model.{0,80}not.{0,5}(?:found|exist)|not_found_error.{0,40}model"),
    ("refused", r"content_filter|content filter|content_policy|content management policy|safety system"),
)
_BY_WORD: list[tuple[ErrorKind, re.Pattern[str]]] = [(kind, re.compile(pattern)) for kind, pattern in _WORDS]
_GENERIC: tuple[tuple[ErrorKind, re.Pattern[str]], ...] = (
    ("timeout", re.compile(r"timeout_error|timed out")),
    ("provider-broken", re.compile(r"api_error|server_error|internal error|service_unavailable")),
)
# Fields whose presence is an error, fields of an answer, and fields with codes and messages.
ERROR_FIELDS = ("error", "errors", "err", "error_msg", "error_message", "errorMessage")
# Bedrock names the field after the error.
ERROR_FIELDS += (
    "internalServerException",
    "modelStreamErrorException",
    "modelTimeoutException",
    "serviceUnavailableException",
    "throttlingException",
    "validationException",
)
_MESSAGE_FIELDS = (
    "message",
    "msg",
    "detail",
    "error_msg",
    "error_message",
    "errorMessage",
    "status_msg",
    "reason",
    "description",
    "title",
    "details",
)
_WORD_FIELDS = ("type", "__type", "code", "status", "error_code", "errorCode", "status_code")
_ANSWER_FIELDS = frozenset(
    ("choices", "output", "content", "response", "item", "delta", "part", "candidates", "content_block", "item_id")
)
_CODE_FIELDS = ("__type", "code", "error_code", "errorCode", "status_code", "statusCode", "status")
_GOOD = frozenset(("none", "", "0", "200", "ok", "success", "true", "in_progress", "queued", "processing", "pending"))
_BARE = frozenset((*_MESSAGE_FIELDS, "type", "id", "request_id", "requestId", "trace_id", "timestamp", "path", "ok"))
# No event without one of these is an error: the reader checks them first.
SIGNS = frozenset((*ERROR_FIELDS, *_MESSAGE_FIELDS, "base_resp", "status"))
_BY_STATUS: dict[int, ErrorKind] = {
    400: "bad-request", 401: "bad-key", 402: "quota", 403: "forbidden", 404: "model-not-found", 408: "timeout",
    413: "too-large", 429: "rate-limited", 503: "overloaded", 504: "timeout", 524: "timeout", 529: "overloaded",
}  # fmt: skip


def failure(
    kind: ErrorKind,
    context: ErrorContext,
    *,
    quote: str = "",
    status: int | None = None,
    retry_after: float | None = None,
) -> ProviderError:
    """Return an error of this kind, with its message. ``retry_after``: seconds."""
    entry = KINDS[kind]
    text = entry.message.format(
        host=context.host,
        who=context.who,
        model=redact(context.model, context) or "the model",
        largest=f"; its largest attachment is {redact(context.largest, context)}" if context.largest else "",
        status=f" (HTTP {status})" if status and status >= 500 else "",
        wait=f"; it asks to wait {_duration(retry_after)}" if retry_after else "",
    )
    text = text[0].upper() + text[1:]
    if kind == "connect" and context.local:
        text += " Is the local server running?"
    if entry.quote and (quote := redact(quote, context)):
        text += f" It says: “{quote}”"
    return ProviderError(text, kind=kind, retryable=entry.retryable, retry_after=retry_after, status=status)


def from_status(status: int, body: Any, headers: Mapping[str, str], context: ErrorContext) -> ProviderError:
    """Return the error of a response with an error status. ``body``: decoded JSON, or the text."""
    words, message = read_error(body)
    html = isinstance(body, str) and body.lstrip()[:1] == "<"
    if html:
        words = message = ""
    kind = _by_words(words, message) or _by_status(status)
    if 300 <= status < 400 or (status in (404, 405) and kind == _by_status(status) and "model" not in message.lower()):
        kind = "not-an-api"
    return failure(kind, context, quote=message, status=status, retry_after=retry_after(headers))


def from_event(error: Any, context: ErrorContext) -> ProviderError:
    """Return the error inside a stream that started well. ``error``: an error object, or whatever came in its place."""
    words, message = read_error(error)
    kind: ErrorKind | None = _by_words(words, message) or next(
        (k for k, p in _GENERIC if p.search(f"{words} {message}"[:4000].lower())), None
    )
    if kind is None:
        code = next((int(word) for word in words.split() if word.isdecimal() and len(word) == 3), 0)
        kind = _by_status(code) if code > 400 else "error-event"
    return failure(kind, context, quote=message)


def from_transport(error: Exception, context: ErrorContext, *, started: bool) -> ProviderError:
    """Return the error of a connection that could not be opened, or that broke. ``started``: the response had begun."""
    if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.UnsupportedProtocol | httpx2.ProxyError):
        if _has_cause(error, ssl.SSLCertVerificationError):
            return ProviderError(f"The certificate of {context.host} is not trusted.", kind="connect")
        return failure("connect", context)
    if not started:
        if isinstance(error, httpx2.TimeoutException):
            return failure("timeout", context)
        text = f"The connection to {context.host} broke before the answer started."
        return StreamBroken(text, kind="reset", retryable=True)
    if isinstance(error, httpx2.TimeoutException):
        return StreamBroken("The provider stopped sending in the middle of the answer.", kind="stall", retryable=True)
    if isinstance(error, httpx2.DecodingError):
        return StreamBroken("The answer could not be decompressed.", kind="bad-encoding", retryable=True)
    kind = "cut" if isinstance(error, httpx2.RemoteProtocolError) else "reset"
    return StreamBroken("The connection broke in the middle of the answer.", kind=kind, retryable=True)


def find_error(data: Any) -> Any:
    """Return the error in an event or a body, in any of its shapes; ``None`` if there is none.

    Of a list, the first error in it. An object with a part of an answer is an error only if it has an explicit error
    field.
    """
    if isinstance(data, list):
        return next((error for item in data[:8] if (error := find_error(item)) is not None), None)
    if not isinstance(data, Mapping):
        return None
    for key in ERROR_FIELDS:
        if error := data.get(key):
            return error
    if data.get("type") == "error" or data.get("object") == "error":
        return data
    for key in ("base_resp", "status"):
        status = data.get(key)
        if isinstance(status, Mapping) and (status.get("status_code") or status.get("code")):
            return status
    if not _ANSWER_FIELDS.isdisjoint(data) or str(data.get("type") or "")[:9] in (
        "response.",
        "content_b",
        "message_d",
    ):
        return None
    if not any(isinstance(data.get(key), str | list) and data[key] for key in _MESSAGE_FIELDS):
        return None
    has_error_code = (
        any(str(data.get(key)).lower() not in _GOOD for key in _CODE_FIELDS) or data.get("success") is False
    )
    return data if has_error_code or _BARE.issuperset(data) else None


def is_error_of_an_api(data: Any) -> bool:
    """Return whether an error has more than a bare message, which any web server may send."""
    return not (isinstance(data, Mapping) and set(data) <= {"detail", "message", "msg"})


def read_error(body: Any) -> tuple[str, str]:
    """Return the type and code identifiers of an error in any of its shapes, and its message."""
    words, message = [], ""
    for _ in range(6):
        if isinstance(body, str):
            message = message or body
            break
        if isinstance(body, list):
            body = next((item for item in body if item), None)
            continue
        if not isinstance(body, Mapping):
            break
        words += [str(body[key]) for key in _WORD_FIELDS if isinstance(body.get(key), str | int)]
        inner = next((body[key] for key in (*ERROR_FIELDS, "base_resp") if body.get(key)), None)
        text = next((body[key] for key in _MESSAGE_FIELDS if body.get(key)), None)
        if isinstance(text, str):
            # An inner object is more specific than the message around it; a string beside the message is a code.
            message = text
            if isinstance(inner, str):
                words.append(inner)
                break
        body = text if inner is None and not isinstance(text, str) else inner
    return " ".join(words), message


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds to wait, from ``Retry-After-Ms`` or ``Retry-After`` (seconds or an HTTP date), or ``None``."""
    for name, unit in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            seconds = float(headers.get(name, "")) / unit
        except ValueError:
            continue
        return max(0.0, seconds) if isfinite(seconds) else None
    try:
        until = parsedate_to_datetime(headers.get("retry-after", ""))
        now = parsedate_to_datetime(headers.get("date", "")) if headers.get("date") else None
        return max(0.0, (until - (now or until.now(until.tzinfo))).total_seconds())
    except (ValueError, TypeError):
        return None


def redact(text: str, context: ErrorContext) -> str:
    """Return the text as one short line without secrets, HTML or control characters."""
    text = text[: 8 * MAX_QUOTE]
    for secret in context.secrets:
        if len(secret) > 3:
            text = text.replace(secret, "…")
    text = _KEY_LIKE.sub("…", text)
    text = "".join(" " if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp", "Cs") else c for c in text)
    text = " ".join(text.split())
    if re.search(r"<\s*(?:!doctype|html|head|body|script)", text, re.IGNORECASE):
        return ""
    return text if len(text) <= MAX_QUOTE else text[:MAX_QUOTE] + "…"


def _has_cause(error: BaseException | None, kind: type[BaseException]) -> bool:
    while error is not None and not isinstance(error, kind):
        error = error.__cause__ or error.__context__
    return error is not None


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{round(seconds)} s"
    return f"{round(seconds / 60)} min" if seconds < 7200 else f"{round(seconds / 3600)} h"


def _by_words(words: str, message: str) -> ErrorKind | None:
    for source in (words[:4000].lower(), f"{words} {message}"[:4000].lower()):
        for kind, pattern in _BY_WORD:
            if pattern.search(source):
                return kind
    return None


def _by_status(status: int) -> ErrorKind:
    return _BY_STATUS.get(status) or ("provider-broken" if status >= 500 else "bad-request")
