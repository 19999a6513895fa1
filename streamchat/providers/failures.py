"""What went wrong, as one sentence and one stable word: the provider's errors, translated.

Knows no SDK and no stream: bodies, statuses and transport errors in, ``ProviderError`` out. Rules:

* Classified by what the error says (type, code, message) before its status: an overload inside a
  stream comes with status 200, a used-up quota with 429.
* No key, no HTML, no control character and no traceback gets into a sentence; a quoted text is short.
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

from streamchat.errors import ProviderError, StreamBroken

MAX_QUOTE = 240
_KEY_LIKE = re.compile(
    r"\b(?:sk|pk|rk|gsk|xai|hf|r8|tgp|csk|pplx|nvapi|key|org|proj)[-_][\w*.…-]{3,}"
    r"|\bAIza[\w-]{8,}|\beyJ[\w-]{8,}(?:\.[\w-]+)*|(?i:bearer)\s+\S+|\S*\*{3,}\S*"
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request goes, as far as a sentence may tell. ``secrets`` never appear in one."""

    base_url: str
    model: str = ""
    secrets: tuple[str, ...] = ()
    largest: str = ""
    vendor: str = ""

    @property
    def host(self) -> str:
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
        host = urlsplit(self.base_url).hostname or ""
        return host == "localhost" or host.startswith("127.") or host in ("::1", "0.0.0.0")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of failure: whether the same request may work later, and what a person is told."""

    retryable: bool
    sentence: str
    quote: bool = True


KINDS: dict[str, Kind] = {
    "connect": Kind(True, "Cannot reach {host}.", quote=False),
    "timeout": Kind(True, "{who} did not answer in time.", quote=False),
    "bad-key": Kind(False, "{who} refused the key. Check it in the settings.", quote=False),
    "forbidden": Kind(False, "{who} does not allow this with the key that is set."),
    "model-not-found": Kind(False, "The model {model} is not available at {host}. Choose another one."),
    "context-too-long": Kind(False, "The conversation is too long for {model}. Shorten it or start a new chat."),
    "too-large": Kind(False, "The message is too large for {who}{largest}."),
    "rate-limited": Kind(True, "{who} limits how often it may be asked{wait}."),
    "quota": Kind(False, "The quota of the key at {host} is used up. Check the plan and its billing."),
    "overloaded": Kind(True, "{who} is overloaded{wait}. Try again or choose another model.", quote=False),
    "provider-broken": Kind(True, "{who} failed{status}. Try again or choose another model."),
    "refused": Kind(False, "The content filter of {who} refused this request."),
    "bad-request": Kind(False, "{who} did not accept the request."),
    "not-an-api": Kind(False, "What answers at {host} is not a model API. Check the base URL.", quote=False),
    "error-event": Kind(True, "{who} broke the answer off with an error."),
}

# The first match holds; what the provider means by its generic words is left to the status.
_BY_WORD: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        ("quota", r"insufficient_quota|exceeded your current quota|billing|credit balance|spend_limit|spending limit"),
        (
            "context-too-long",
            r"context_length|context length|maximum context|context window|context size|prompt is too long"
            r"|too many tokens|input is too long|max_tokens.{0,40}exceed context",
        ),
        (
            "too-large",
            r"request_too_large|too large|payload.{0,20}size|above_max_length|exceeds the maximum size",
        ),
        ("overloaded", r"overloaded|over capacity|at capacity|slow_down"),
        ("rate-limited", r"rate_limit|rate limit|too many requests|resource_exhausted"),
        ("bad-key", r"authentication_error|invalid_api_key|incorrect api key|api key not valid|invalid x-api-key"),
        ("forbidden", r"permission_error|permission_denied|unsupported_country"),
        ("model-not-found", r"model.{0,80}not.{0,5}(?:found|exist)|not_found_error.{0,40}model"),
        ("refused", r"content_filter|content filter|content_policy|content management policy|safety system"),
    )
)
_GENERIC = (
    ("timeout", re.compile(r"timeout_error|timed out")),
    ("provider-broken", re.compile(r"api_error|server_error|internal error|service_unavailable")),
)
_BY_STATUS = {
    400: "bad-request", 401: "bad-key", 402: "quota", 403: "forbidden", 404: "model-not-found", 408: "timeout",
    413: "too-large", 429: "rate-limited", 503: "overloaded", 504: "timeout", 524: "timeout", 529: "overloaded",
}  # fmt: skip


def failure(
    kind: str, place: Place, *, quote: str = "", status: int | None = None, retry_after: float | None = None
) -> ProviderError:
    """An error of this kind, with its sentence."""
    entry = KINDS[kind]
    text = entry.sentence.format(
        host=place.host,
        who=place.who,
        model=redact(place.model, place) or "the model",
        largest=f"; its largest attachment is {redact(place.largest, place)}" if place.largest else "",
        status=f" (HTTP {status})" if status and status >= 500 else "",
        wait=f"; it asks to wait {_duration(retry_after)}" if retry_after else "",
    )
    text = text[0].upper() + text[1:]
    if kind == "connect" and place.local:
        text += " Is the local server running?"
    if entry.quote and (quote := redact(quote, place)):
        text += f" It says: “{quote}”"
    return ProviderError(text, kind=kind, retryable=entry.retryable, retry_after=retry_after, status=status)


def from_status(status: int, body: Any, headers: Mapping[str, str], place: Place) -> ProviderError:
    """An answer with an error status. ``body``: decoded JSON, or the text."""
    words, message = read_error(body)
    html = isinstance(body, str) and body.lstrip()[:1] == "<"
    if html:
        words = message = ""
    kind = _by_words(words, message) or _by_status(status)
    if 300 <= status < 400 or (status in (404, 405) and kind == _by_status(status) and "model" not in message.lower()):
        kind = "not-an-api"
    return failure(kind, place, quote=message, status=status, retry_after=retry_after(headers))


def from_event(error: Any, place: Place) -> ProviderError:
    """An error inside a stream that began well: an ``error`` object, or whatever came in its place."""
    words, message = read_error(error)
    kind = _by_words(words, message) or next((k for k, p in _GENERIC if p.search(f"{words} {message}".lower())), None)
    if kind is None:
        code = next((int(word) for word in words.split() if word.isdecimal() and len(word) == 3), 0)
        kind = _by_status(code) if code > 400 else "error-event"
    return failure(kind, place, quote=message)


def from_transport(error: Exception, place: Place, *, started: bool) -> ProviderError:
    """A connection that could not be opened, or that broke."""
    if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.UnsupportedProtocol | httpx2.ProxyError):
        if _has_cause(error, ssl.SSLCertVerificationError):
            return ProviderError(f"The certificate of {place.host} is not trusted.", kind="connect")
        return failure("connect", place)
    if not started:
        if isinstance(error, httpx2.TimeoutException):
            return failure("timeout", place)
        text = f"The connection to {place.host} broke before an answer came."
        return StreamBroken(text, kind="reset", retryable=True)
    if isinstance(error, httpx2.TimeoutException):
        return StreamBroken("The provider fell silent in the middle of the answer.", kind="stall", retryable=True)
    if isinstance(error, httpx2.DecodingError):
        return StreamBroken("The answer could not be decompressed.", kind="bad-encoding", retryable=True)
    kind = "cut" if isinstance(error, httpx2.RemoteProtocolError) else "reset"
    return StreamBroken("The connection broke in the middle of the answer.", kind=kind, retryable=True)


def read_error(body: Any) -> tuple[str, str]:
    """The type and code words of an error in any of its shapes, and its message."""
    found = body
    for _ in range(3):
        if isinstance(found, Mapping) and found.get("error"):
            found = found["error"]
        elif isinstance(found, list) and found:
            found = found[0]
    if not isinstance(found, Mapping):
        return "", found if isinstance(found, str) else ""
    words = " ".join(str(found.get(key)) for key in ("type", "code", "status") if isinstance(found.get(key), str | int))
    message = next((found[key] for key in ("message", "detail", "msg") if isinstance(found.get(key), str)), "")
    return words, message


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from ``Retry-After-Ms`` or ``Retry-After`` (seconds or an HTTP date); ``None`` without."""
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


def redact(text: str, place: Place) -> str:
    """One short line without secrets, HTML or control characters."""
    text = text[: 8 * MAX_QUOTE]
    for secret in place.secrets:
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


def _by_words(words: str, message: str) -> str | None:
    for source in (words.lower(), f"{words} {message}".lower()[:4000]):
        for kind, pattern in _BY_WORD:
            if pattern.search(source):
                return kind
    return None


def _by_status(status: int) -> str:
    return _BY_STATUS.get(status) or ("provider-broken" if status >= 500 else "bad-request")
