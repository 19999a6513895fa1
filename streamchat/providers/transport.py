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
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from math import inf
from typing import Any, Protocol

import httpx2

from streamchat.chat.events import Event
from streamchat.chat.sse import EventTooLarge, ServerSentEvent, SSEDecoder
from streamchat.errors import ProviderError, StreamBroken
from streamchat.providers import failures
from streamchat.providers.failures import Place, failure
from streamchat.providers.payload import decode
from streamchat.providers.speech import LIMITS, Limits, Speaker

_NONSENSE = (TypeError, AttributeError, KeyError, IndexError, ValueError, RecursionError)


class Normaliser(Protocol):
    """One vendor's wire events to ours, without I/O. Events collect in ``speaker``; see ``Speaker.take``."""

    speaker: Speaker
    error: Any
    """An error object that came inside an event; it ends the answer."""

    @property
    def patience(self) -> float | None:
        """Seconds to go on reading once the answer is complete: ``None`` before that, 0 when nothing can follow."""
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


# What both SDKs give for ``with_streaming_response``: entered, a response with ``iter_bytes``.
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
    def __init__(self, response: Any, normaliser: Normaliser, place: Place, limits: Limits) -> None:
        self._response = response
        self._normaliser = normaliser
        self._place = place
        self._limits = limits
        self._decoder = SSEDecoder(max_event_bytes=limits.event_bytes)
        self._bytes = self._events = 0
        self._whole: bytearray | None = None
        self._head: bytes | None = b""
        self._until = inf

    async def batches(self) -> AsyncGenerator[list[Event], None]:
        """What each piece of the body means, then what its end means."""
        take = self._normaliser.speaker.take
        try:
            async with aclosing(self._response.iter_bytes()) as pieces:
                while (chunk := await self._next(pieces)) is not None:
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

    async def _next(self, pieces: AsyncIterator[bytes]) -> bytes | None:
        """The next piece; ``None`` at the end, or where a complete answer has waited long enough for more."""
        patience = self._normaliser.patience
        if patience is None:
            self._until = inf
            return await anext(pieces, None)
        now = asyncio.get_running_loop().time()
        self._until = min(self._until, now + patience)
        if self._until <= now:
            return None
        try:
            async with asyncio.timeout_at(self._until):
                return await anext(pieces, None)
        except TimeoutError:
            return None

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
