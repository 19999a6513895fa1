"""Responses of the vendor-compatible endpoints: starts a run, reads it, and writes it in the vendor's shape.

Knows runs and the ``Dialect``, no vendor. Rules:

* Headers are held back until the first content, so that an answer that fails before it gets the vendor's error status;
  but at most ``PATIENCE`` seconds.
* A client that disconnects ends its stream, and never the run, unless it asked for that (``X-Stop-On-Disconnect``).
* An error after the first content is the vendor's error event inside the stream; no end marker follows it.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, replace

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from streamchat.chat.events import Ending, Finished
from streamchat.chat.messages import Message, ReasoningPart, close_open_calls
from streamchat.chat.outcome import ending_of
from streamchat.errors import StreamchatError
from streamchat.limits import Slot
from streamchat.protocols.conversation_in import ClientRequest
from streamchat.protocols.encoding import FinalEncoder, json_bytes
from streamchat.protocols.replay import Replay, parts_after
from streamchat.protocols.vendor_errors import RUN_STARTED, Failure, error_of
from streamchat.protocols.vendor_stream import Dialect, VendorEncoder
from streamchat.runs.reader import RunReader, encode
from streamchat.web.compat.start import Place, start
from streamchat.web.streaming import SSE_HEADERS, EventStream, release_on_error, streams
from streamchat.wiring.request_context import RequestContext

PATIENCE = 15.0
STOP_HEADER = "x-stop-on-disconnect"
ARCHIVE_HEADER = "x-archive"
_stops: set[asyncio.Task[None]] = set()
Batches = AsyncGenerator[Iterable[bytes], None]


@dataclass(frozen=True, slots=True)
class Answering:
    """A run that is read for one request. ``slot``: among the client's streams. ``gone``: the client disconnected."""

    request: Request
    reader: RunReader
    dialect: Dialect
    headers: Mapping[str, str]
    slot: Slot
    gone: Callable[[], None]


async def serve(request: Request, context: RequestContext, client_request: ClientRequest, dialect: Dialect) -> Response:
    """Start the run, or find it again, and respond with it. Raises ``StreamchatError`` if none could be started."""
    with release_on_error(streams.take(context)) as slot:
        key = request.headers.get("idempotency-key") or uuid.uuid4().hex
        started, prefix = await start(context, client_request, _place(request, context), key)
        dialect.begin(started.run_id, int(time.time()), sum(isinstance(part, ReasoningPart) for part in prefix))
        reader = RunReader(context.runs, context.owner, started.run_id)
        empty = Message(
            started.run_id, "assistant", close_open_calls(prefix), status="streaming", model=client_request.model
        )
        headers = {"X-Run-Id": started.run_id, "X-Conversation-Id": started.conversation_id}
        headers |= {"X-Request-Id": started.run_id, "Request-Id": started.run_id}  # OpenAI's, and Anthropic's
        answering = Answering(
            request, reader, dialect, headers, slot, on_leave(request, context, reader, started.run_id)
        )
        return await (stream(answering, Replay(empty)) if client_request.stream else whole(answering, empty))


async def stream(answering: Answering, replay: Replay, *, refuse: bool = True) -> Response:
    """Return the answer as a stream. ``refuse``: return an error status if it fails before its first content."""
    encoder = VendorEncoder(answering.dialect, replay)
    batches = encode(answering.reader, encoder)
    first: list[bytes] = []
    try:
        async with _reading(answering):
            began = time.monotonic()
            async for chunks in batches:
                first += chunks
                waited = encoder.had_heartbeat or time.monotonic() - began > PATIENCE
                if encoder.has_content or encoder.ending or waited:
                    break
    except BaseException:
        await batches.aclose()
        raise
    if refuse and not encoder.has_content and (refusal := _refusal(answering, encoder.ending)):
        await batches.aclose()
        answering.slot.release()
        return refusal
    encoder.headers_sent = True
    headers = {**SSE_HEADERS, **answering.headers}
    body = _joined(first, batches)
    return EventStream(body, gone=answering.gone, slot=answering.slot, headers=headers)


async def whole(answering: Answering, initial: Message) -> Response:
    """Wait for the end, and return the answer as one document without the parts of ``initial``."""
    encoder = FinalEncoder(lambda final: b"")
    with answering.slot:
        async with _reading(answering), aclosing(encode(answering.reader, encoder)) as batches:
            async for _ in batches:
                pass
    if encoder.final is None:
        return Response(status_code=499)  # the client has disconnected
    message = encoder.final.message
    if refusal := _refusal(answering, ending_of(message)):
        return refusal
    message = replace(message, parts=parts_after(initial.parts, message.parts))
    return Response(json_bytes(answering.dialect.whole(message)), 200, answering.headers, "application/json")


def failure_response(failure: Failure, headers: Mapping[str, str] | None = None) -> Response:
    """Return an error in a vendor's shape as a response."""
    return JSONResponse(dict(failure.body), failure.status, {**failure.headers, **(headers or {})})


def _refusal(answering: Answering, ending: Ending | None) -> Response | None:
    """Return the error response for an ending that is not *finished*."""
    if ending is None or isinstance(ending, Finished):
        return None
    return failure_response(answering.dialect.failure(error_of(ending)), {**answering.headers, **RUN_STARTED})


def _place(request: Request, context: RequestContext) -> Place:
    archived = context.settings.archive_api_calls or _is_set(request, ARCHIVE_HEADER)
    return Place(request.headers.get("x-conversation-id"), archived)


def _is_set(request: Request, header: str) -> bool:
    return request.headers.get(header, "").lower() in ("1", "true")


def on_leave(request: Request, context: RequestContext, reader: RunReader, run_id: str) -> Callable[[], None]:
    """Return what is to be done when the client disconnects: the reader ends, and the run too if the request says so.

    A stream whose end the client has read is not left early.
    """
    if not _is_set(request, STOP_HEADER):
        return reader.close

    async def stop() -> None:
        with suppress(StreamchatError):
            await context.runs.cancel(context.owner, run_id)

    def gone() -> None:
        if not reader.ended:
            task = asyncio.create_task(stop(), name=f"stop {run_id}")
            _stops.add(task)
            task.add_done_callback(_stops.discard)
        reader.close()

    return gone


async def _joined(first: list[bytes], batches: Batches) -> Batches:
    async with aclosing(batches):
        yield (b"".join(first),)
        async for chunks in batches:
            yield chunks


@asynccontextmanager
async def _reading(answering: Answering) -> AsyncIterator[None]:
    """End the reader if the client disconnects while its response waits."""
    request = answering.request

    async def watch() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        answering.gone()

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()
