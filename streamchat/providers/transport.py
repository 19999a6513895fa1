"""From an SDK's open response to our events: bytes, server-sent events, JSON, a normaliser.

Knows no vendor: an adapter gives the opening of the request and its ``Normaliser``. Rules:

* Nothing but ``ProviderError`` and its kinds leaves; what was said before an error leaves first.
* The end of the bytes says nothing: only the normaliser knows whether the provider ended the answer.
  Once it did, a missing end marker, an open socket or a reset change nothing any more.
* Closing the generator closes the connection. Nothing is retried and nothing sleeps.
* Bytes, events and depth are capped; what is over a cap breaks the answer off.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from functools import cache
from typing import Any, Protocol

import httpx2

from streamchat.chat.events import Event
from streamchat.chat.sse import EventTooLarge, ServerSentEvent, SSEDecoder
from streamchat.errors import ProviderError, StreamBroken
from streamchat.providers import failures
from streamchat.providers.failures import Place, failure
from streamchat.providers.network import use_backend
from streamchat.providers.payload import decode
from streamchat.providers.speech import LIMITS, Limits, Speaker

MAX_ERROR_BYTES = 64 * 1024
ERROR_BODY_SECONDS = 3.0
_NONSENSE = (TypeError, AttributeError, KeyError, IndexError, ValueError, RecursionError)


class Normaliser(Protocol):
    """One vendor's wire events to ours, without I/O. Events collect in ``speaker``; see ``Speaker.take``."""

    speaker: Speaker
    error: Any
    """An error object that came inside an event; it ends the answer."""

    @property
    def patience(self) -> float | None:
        """Seconds to go on reading: ``None`` while the answer is not complete, 0 when nothing can follow."""
        ...

    def feed(self, name: str, data: dict[str, Any]) -> None:
        """One event: its name and its JSON. Raises ``ProviderError`` and its kinds."""
        ...

    def whole(self, data: dict[str, Any]) -> None:
        """A message that was not streamed, as if it had been."""
        ...

    def done(self) -> None:
        """The ``[DONE]`` marker."""
        ...

    def finish(self) -> None:
        """The stream is over: say ``Finished``, or raise ``StreamBroken`` because it is not complete."""
        ...

    def flush(self) -> None:
        """The stream broke: say what was held back."""
        ...


class Opened(Protocol):
    """What both SDKs give for ``with_streaming_response``."""

    @property
    def headers(self) -> httpx2.Headers: ...
    def iter_bytes(self) -> AsyncIterator[bytes]: ...


Opening = Callable[[], AbstractAsyncContextManager[Any]]


async def speak(
    opening: Opening, normaliser: Normaliser, place: Place, limits: Limits = LIMITS
) -> AsyncGenerator[Event, None]:
    """Open the response and yield the events of the answer. Raises ``ProviderError`` and its kinds."""
    started = False
    try:
        async with opening() as response:
            started = True
            async with aclosing(_Reading(response, normaliser, place, limits).batches()) as batches:
                async for batch in batches:
                    for event in batch:
                        yield event
    except ProviderError:
        raise
    except Exception as error:
        raise translate(error, place, started=started) from None


class _Reading:
    def __init__(self, response: Opened, normaliser: Normaliser, place: Place, limits: Limits) -> None:
        self._response = response
        self._normaliser = normaliser
        self._place = place
        self._limits = limits
        self._decoder = SSEDecoder(max_event_bytes=limits.event_bytes)
        self._bytes = self._events = 0
        self._whole: bytearray | None = None
        self._head: bytes | None = b""

    async def batches(self) -> AsyncGenerator[list[Event], None]:
        """What each piece of the body means, then what its end means."""
        take = self._normaliser.speaker.take
        try:
            async with aclosing(self._response.iter_bytes()) as pieces:  # pyright: ignore[reportArgumentType]
                while (chunk := await _next(pieces, self._normaliser.patience)) is not None:
                    self._read(chunk)
                    if batch := take():
                        yield batch
            self._end()
        except Exception as error:
            if isinstance(error, httpx2.HTTPError) and self._normaliser.patience is not None:
                self._normaliser.finish()
            else:
                self._normaliser.flush()
                if batch := take():
                    yield batch
                raise
        if batch := take():
            yield batch

    def _read(self, chunk: bytes) -> None:
        self._bytes += len(chunk)
        if self._bytes > self._limits.total_bytes:
            raise StreamBroken("The answer is longer than allowed.", kind="too-long")
        if self._head is not None:
            chunk = self._sniff(self._head + chunk)
        if self._whole is not None:
            self._whole += chunk
            if len(self._whole) > self._limits.event_bytes:
                raise StreamBroken("The answer is longer than allowed.", kind="too-long")
            return
        try:
            events, broken = self._decoder.feed(chunk), None
        except EventTooLarge as error:
            events, broken = error.events, StreamBroken(error.user_message, kind=error.kind)
        for event in events:
            self._event(event)
        if broken is not None:
            raise broken

    def _sniff(self, head: bytes) -> bytes:
        """Whether this is a stream at all: by its first character, for content types lie."""
        self._head, head = head, head.removeprefix(b"\xef\xbb\xbf").lstrip()
        if not head and len(self._head) < 1024:
            return b""
        if head[:1] == b"<":
            raise failure("not-an-api", self._place)
        if head[:1] == b"{":
            self._whole = bytearray()
        self._head, head = None, self._head
        return head

    def _event(self, event: ServerSentEvent) -> None:
        self._events += 1
        if self._events > self._limits.events:
            raise StreamBroken("The answer has more pieces than allowed.", kind="too-long")
        raw = event.raw
        if not raw or raw.isspace():
            return
        if raw[:6] == b"[DONE]":
            return self._normaliser.done()
        try:
            data, halves = decode(raw)
        except ValueError:
            if event.event == "error":
                raise failures.from_event(event.data, self._place) from None
            raise _undecodable(raw) from None
        if not isinstance(data, dict):
            if event.event == "error":
                raise failures.from_event(data, self._place)
            if data is None:
                return None
            raise StreamBroken("The provider sent something that is no event.", kind="bad-json", retryable=True)
        if halves:
            self._normaliser.speaker.halves = True
        if event.event == "error" or data.get("type") == "error" or data.get("error"):
            if isinstance(data.get("choices"), list):
                self._feed(event.event, data)
            raise failures.from_event(data, self._place)
        self._feed(event.event, data)

    def _feed(self, name: str, data: dict[str, Any]) -> None:
        try:
            self._normaliser.feed(name, data)
        except _NONSENSE:
            raise StreamBroken("The provider sent an event that makes no sense.", kind="bad-event") from None
        if self._normaliser.error is not None:
            raise failures.from_event(self._normaliser.error, self._place)

    def _end(self) -> None:
        if self._whole is not None:
            return self._end_whole(bytes(self._whole))
        if self._head is not None or not self._events:
            raise ProviderError(f"{self._place.host} answered with nothing.", kind="empty", retryable=True, status=200)
        self._normaliser.finish()

    def _end_whole(self, body: bytes) -> None:
        try:
            data, self._normaliser.speaker.halves = decode(body.removeprefix(b"\xef\xbb\xbf"))
            if not isinstance(data, dict):
                raise ValueError
        except ValueError:
            raise failure("not-an-api", self._place) from None
        if data.get("error") or data.get("type") == "error":
            raise failures.from_event(data, self._place)
        try:
            self._normaliser.whole(data)
        except _NONSENSE:
            raise failure("not-an-api", self._place) from None
        if self._normaliser.error is not None:
            raise failures.from_event(self._normaliser.error, self._place)
        self._normaliser.finish()


async def _next(pieces: AsyncIterator[bytes], patience: float | None) -> bytes | None:
    """The next piece; ``None`` at the end, or where a complete answer has nothing more for us."""
    if patience is None:
        return await anext(pieces, None)
    if patience <= 0:
        return None
    try:
        async with asyncio.timeout(patience):
            return await anext(pieces, None)
    except TimeoutError:
        return None


def _undecodable(raw: bytes) -> StreamBroken:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return StreamBroken("The provider sent characters that are not UTF-8.", kind="bad-encoding", retryable=True)
    return StreamBroken("The provider sent something that is not JSON.", kind="bad-json", retryable=True)


def translate(error: Exception, place: Place, *, started: bool) -> ProviderError:
    """Any error of an SDK or of the connection. SDK errors are known by what they carry, not by their class."""
    response, status = getattr(error, "response", None), getattr(error, "status_code", None)
    if isinstance(response, httpx2.Response) and isinstance(status, int):
        body = getattr(error, "body", None)
        return failures.from_status(status, body if body is not None else "", response.headers, place)
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, httpx2.HTTPError | httpx2.InvalidURL):
            return failures.from_transport(seen, place, started=started)
        seen = seen.__cause__ or seen.__context__
    return ProviderError(f"The request to {place.host} failed ({type(error).__name__}).", kind="provider")


def http_client(connect_timeout: float) -> httpx2.AsyncClient:
    """The client that an SDK is given. Only connecting has a deadline here; the run has those for the rest.

    A redirect is an error: it would take the key elsewhere.
    """
    client = httpx2.AsyncClient(
        verify=_tls(),
        timeout=httpx2.Timeout(None, connect=connect_timeout, write=max(connect_timeout, 60.0)),
        limits=httpx2.Limits(max_connections=1000, max_keepalive_connections=100),
        follow_redirects=False,
        event_hooks={"response": [_bound_error]},
    )
    use_backend(client)
    return client


@cache
def _tls() -> ssl.SSLContext:
    """One for all: reading the certificates takes longer than everything else at the start."""
    return httpx2.create_ssl_context()


async def _bound_error(response: httpx2.Response) -> None:
    """The SDKs read the body of an error to its end before they raise: let it end."""
    if response.status_code >= 300:
        response.stream = _Bounded(response.stream)


class _Bounded(httpx2.AsyncByteStream):
    """The first bytes of a body, as far as they come in a few seconds and the connection holds."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        until = asyncio.get_running_loop().time() + ERROR_BODY_SECONDS
        room, pieces = MAX_ERROR_BYTES, aiter(self._stream)
        while room > 0:
            try:
                async with asyncio.timeout_at(until):
                    chunk = await anext(pieces, None)
            except (TimeoutError, httpx2.HTTPError):
                return
            if chunk is None:
                return
            yield chunk[:room]
            room -= len(chunk)

    async def aclose(self) -> None:
        await self._stream.aclose()
