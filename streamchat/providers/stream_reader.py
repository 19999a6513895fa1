"""The pipeline from an SDK's open response to our events: bytes, server-sent events, JSON, a normaliser.

Knows no vendor: an adapter opens the request and brings its ``Normaliser``. Rules:

* Nothing but ``ProviderError`` and its kinds leaves; events from before an error are yielded first.
* The end of the bytes means nothing: only the normaliser knows whether the provider ended the answer.
  Once it did, a missing end marker, an open socket, a reset or invalid data change nothing any more; text that
  follows nevertheless belongs to the answer, and the time to linger is counted from the last of it.
* On top of the decoder, which follows the standard: a last event without its blank line counts if it is complete,
  events
  with only one newline between them are split if each parses, and a field named ``error`` is an event of that name.
* Closing the generator closes the connection, unless the answer is complete: then the rest of the body is left to
  the client. Nothing is retried and nothing sleeps.
* Bytes, events and depth are limited; exceeding a limit aborts the answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from math import inf
from time import monotonic
from typing import Any, Protocol

import httpx2
import jiter

from streamchat.chat.events import Event
from streamchat.chat.sse import EventTooLarge, ServerSentEvent, SSEDecoder
from streamchat.chat.timing import Stopwatch
from streamchat.errors import ProviderError, StreamBroken
from streamchat.providers import provider_errors
from streamchat.providers.connection_times import ON_CONNECTION
from streamchat.providers.event_builder import LIMITS, EventBuilder, Limits
from streamchat.providers.provider_errors import SIGNS, ErrorContext, failure
from streamchat.providers.response_body import MAX_TAIL_BYTES, body_of
from streamchat.providers.tolerant_json import decode

NONSENSE = (TypeError, AttributeError, KeyError, IndexError, ValueError, RecursionError)


class Normaliser(Protocol):
    """One vendor's wire events to ours, without I/O. Events collect in ``builder``; see ``EventBuilder.drain``."""

    builder: EventBuilder
    error: Any
    """An error object from inside an event; it ends the answer."""

    @property
    def patience(self) -> float | None:
        """Seconds to continue reading once the answer is complete: ``None`` before that, 0 if nothing can follow."""
        ...

    def feed(self, name: str, data: dict[str, Any]) -> None:
        """Process one event: its name and its JSON. Raises ``ProviderError`` and its kinds."""
        ...

    def whole(self, data: dict[str, Any]) -> None:
        """Process a message that was not streamed, as if it had been."""
        ...

    def done(self) -> None:
        """Process the ``[DONE]`` marker."""
        ...

    def finish(self) -> None:
        """Process the end of the stream: emit ``Finished``, or raise ``StreamBroken`` because the answer is not
        complete.
        """
        ...

    def flush(self) -> None:
        """Emit what was held back, because the stream broke."""
        ...


# The type of both SDKs' ``with_streaming_response``: a context manager of a response around that of our client.
Opening = Callable[[], AbstractAsyncContextManager[Any]]


async def read_stream(
    opening: Opening,
    normaliser: Normaliser,
    context: ErrorContext,
    limits: Limits = LIMITS,
    watch: Stopwatch | None = None,
) -> AsyncGenerator[Event, None]:
    """Open the response and yield the events of the answer. Raises ``ProviderError`` and its kinds.

    ``watch``: is told the times of the request, of its connection and of the first byte of the body.
    """
    started = False
    if watch is not None:
        watch.asked(monotonic(), context.model)
        ON_CONNECTION.set(watch.connected)
    try:
        async with opening() as response:
            started = True
            async with aclosing(_Reading(response, normaliser, context, limits, watch).batches()) as batches:
                async for batch in batches:
                    for event in batch:
                        yield event
    except ProviderError:
        raise
    except Exception as error:
        raise translate(error, context, started=started) from None


class _Reading:
    def __init__(
        self,
        response: Any,
        normaliser: Normaliser,
        context: ErrorContext,
        limits: Limits,
        watch: Stopwatch | None = None,
    ) -> None:
        self._watch = watch
        self._response = response
        self._normaliser = normaliser
        self._context = context
        self._limits = limits
        self._decoder = SSEDecoder(max_event_bytes=limits.event_bytes, data_fields=frozenset((b"error",)))
        self._bytes = self._events = self._complete_at = 0
        self._json_body: bytearray | None = None
        self._head: bytes | None = b""
        self._body = body_of(response.http_response)
        self._deadline = inf
        self._stopped = self._failing = False

    async def batches(self) -> AsyncGenerator[list[Event], None]:
        """Yield the events of each chunk of the body, then those of its end."""
        drain = self._normaliser.builder.drain
        try:
            async with aclosing(self._response.http_response.aiter_bytes()) as pieces:
                while self._should_read() and (chunk := await anext(pieces, None)) is not None:
                    self._read(chunk)
                    if batch := drain():
                        self._deadline = inf
                        yield batch
            self._end()
        except Exception as error:
            if isinstance(error, httpx2.HTTPError):
                self._last_event()
            if isinstance(error, httpx2.HTTPError) and self._normaliser.patience is not None:
                self._normaliser.finish()
            else:
                self._normaliser.flush()
                if batch := drain():
                    yield batch
                raise
        if batch := drain():
            yield batch

    def _should_read(self) -> bool:
        """Return whether to read on. A complete answer waits for more only for a while; then the rest of its body is
        left.
        """
        if (patience := self._normaliser.patience) is None:
            if self._deadline != inf:
                self._deadline = inf
                self._body.end_by(None)
            return True
        now = asyncio.get_running_loop().time()
        if self._deadline == inf:
            self._complete_at = self._bytes
        self._deadline = min(self._deadline, now + patience)
        if not self._stopped and self._deadline > now and self._bytes - self._complete_at <= MAX_TAIL_BYTES:
            self._body.end_by(self._deadline)
            return True
        self._body.leave()
        return False

    def _read(self, chunk: bytes) -> None:
        if self._watch is not None:
            self._watch.first_byte(monotonic())
            self._watch = None
        self._bytes += len(chunk)
        if self._bytes > self._limits.total_bytes:
            raise StreamBroken("The answer is longer than allowed.", kind="too-long")
        if self._head is not None:
            chunk = self._sniff(self._head + chunk)
        if self._json_body is not None:
            self._json_body += chunk
            if len(self._json_body) > self._limits.event_bytes:
                raise StreamBroken("The answer is longer than allowed.", kind="too-long")
            return
        try:
            events, broken = self._decoder.feed(chunk), None
        except EventTooLarge as error:
            events, broken = error.events, StreamBroken(error.user_message, kind=error.kind)
        for event in events:
            self._event(event)
        if broken is not None:
            if self._normaliser.patience is None:
                raise broken
            self._stopped = True

    def _sniff(self, head: bytes) -> bytes:
        """Find out by its first character whether the body is a stream at all: content types are unreliable."""
        self._head, head = head, head.removeprefix(b"\xef\xbb\xbf").lstrip()
        if not head and len(self._head) < 1024:
            return b""
        if head[:1] == b"<":
            raise failure("not-an-api", self._context)
        if head[:1] in (b"{", b"["):
            self._json_body = bytearray()
        self._head, head = None, self._head
        return head

    def _event(self, event: ServerSentEvent) -> None:
        """Process one event. Almost all are an object without any sign of an error: those take a short path."""
        name = event.event
        try:
            self._events += 1
            if self._events > self._limits.events:
                raise StreamBroken("The answer has more pieces than allowed.", kind="too-long")
            try:
                data = jiter.from_json(event.raw)
            except ValueError:
                data = None
            if type(data) is dict and name != "error" and data.get("type") != "error" and SIGNS.isdisjoint(data):
                self._feed(name, data)
            else:
                self._unusual_event(event)
        except ProviderError:
            if self._failing or self._normaliser.patience is None:
                raise
            self._stopped = True  # the answer is complete: nothing that follows can break it

    def _last_event(self) -> None:
        """Process the complete event at the end of the body that lacks its blank line."""
        for event in self._decoder.rest() if self._json_body is None else ():
            if isinstance(_decode(event.raw), dict) or event.raw[:6] == b"[DONE]":
                self._event(event)
                continue
            for line in event.raw.split(b"\n"):
                if not _is_whole(line):
                    return
                self._event(ServerSentEvent("message", line))

    def _unusual_event(self, event: ServerSentEvent) -> None:
        raw = event.raw
        if not raw or raw.isspace():
            return
        if raw[:6] == b"[DONE]":
            return self._normaliser.done()
        try:
            data, halves = decode(raw)
        except ValueError:
            lines = raw.split(b"\n")
            if len(lines) > 1 and all(_is_whole(line) for line in lines):
                for line in lines:
                    self._event(ServerSentEvent("message", line))
                return None
            if event.event == "error":
                raise provider_errors.from_event(event.data, self._context) from None
            raise _undecodable(raw) from None
        if not isinstance(data, dict):
            if event.event == "error" or provider_errors.find_error(data) is not None:
                raise provider_errors.from_event(data, self._context)
            if data is None:
                return None
            raise StreamBroken("The provider sent something that is not an event.", kind="bad-json", retryable=True)
        if halves:
            self._normaliser.builder.has_halves = True
        if event.event == "error" or data.get("type") == "error":
            raise provider_errors.from_event(data, self._context)
        if not SIGNS.isdisjoint(data) and provider_errors.find_error(data) is not None:
            if isinstance(data.get("choices"), list):
                self._failing = True  # the answer continues with an error, even if it seemed complete
                self._feed(event.event, data)
            raise provider_errors.from_event(data, self._context)
        self._feed(event.event, data)

    def _feed(self, name: str, data: dict[str, Any]) -> None:
        try:
            self._normaliser.feed(name, data)
        except NONSENSE:
            raise StreamBroken("The provider sent an invalid event.", kind="bad-event") from None
        if self._normaliser.error is not None:
            raise provider_errors.from_event(self._normaliser.error, self._context)

    def _end(self) -> None:
        if self._json_body is not None:
            return self._end_whole(bytes(self._json_body))
        self._last_event()
        if self._head is not None or not self._events:
            raise ProviderError(
                f"{self._context.host} sent an empty response.", kind="empty", retryable=True, status=200
            )
        self._normaliser.finish()

    def _end_whole(self, body: bytes) -> None:
        try:
            data, self._normaliser.builder.has_halves = decode(body.removeprefix(b"\xef\xbb\xbf"))
        except ValueError:
            raise failure("not-an-api", self._context) from None
        if provider_errors.find_error(data) is not None:
            error = provider_errors.from_event(data, self._context)
            if error.kind == "error-event" and not provider_errors.is_error_of_an_api(data):
                raise failure("not-an-api", self._context, quote=provider_errors.read_error(data)[1])
            raise error
        if not isinstance(data, dict):
            raise failure("not-an-api", self._context)
        try:
            self._normaliser.whole(data)
        except NONSENSE:
            raise failure("not-an-api", self._context) from None
        if self._normaliser.error is not None:
            raise provider_errors.from_event(self._normaliser.error, self._context)
        self._normaliser.finish()


def _decode(raw: bytes) -> Any:
    """Return the JSON value, ``None`` if it is invalid."""
    try:
        return decode(raw)[0]
    except ValueError:
        return None


def _is_whole(line: bytes) -> bool:
    """Return whether this line is a complete event."""
    return line[:6] == b"[DONE]" or isinstance(_decode(line), dict)


def _undecodable(raw: bytes) -> StreamBroken:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return StreamBroken("The provider sent characters that are not UTF-8.", kind="bad-encoding", retryable=True)
    return StreamBroken("The provider sent something that is not JSON.", kind="bad-json", retryable=True)


def translate(error: Exception, context: ErrorContext, *, started: bool) -> ProviderError:
    """Return an error of an SDK or of the connection as ours. SDK errors are recognised by their fields, not by their
    class.
    """
    response, status = getattr(error, "response", None), getattr(error, "status_code", None)
    if isinstance(response, httpx2.Response) and isinstance(status, int):
        body = getattr(error, "body", None)
        return provider_errors.from_status(status, body if body is not None else "", response.headers, context)
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, httpx2.HTTPError | httpx2.InvalidURL):
            return provider_errors.from_transport(cause, context, started=started)
        cause = cause.__cause__ or cause.__context__
    return ProviderError(f"The request to {context.host} failed ({type(error).__name__}).", kind="provider")
