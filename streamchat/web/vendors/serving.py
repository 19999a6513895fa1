"""A request of any shape, answered by a run: begun, read, and told in the shape's words.

Knows runs and the ``Dialect``, no vendor. Rules:

* Headers wait for the first content, so that an answer that fails before it has the vendor's status; but not longer
  than ``PATIENCE``.
* A client that goes away ends its reading, and never the run.
* After the first content, what goes wrong is the vendor's error inside the stream; no end mark follows it.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import Response

from streamchat.chat import events as e
from streamchat.chat.messages import Message, ReasoningPart, settled
from streamchat.errors import NotFound, StreamchatError
from streamchat.runs.log import Entry, Snapshot
from streamchat.web.encoding import COMMENT, json_bytes
from streamchat.web.reading import Reader
from streamchat.web.streaming import SSE_HEADERS, EventStream, client_of, streams
from streamchat.web.vendors.asked import Asked
from streamchat.web.vendors.begin import Place, begin
from streamchat.web.vendors.faults import RUN_BEGUN, error_of
from streamchat.web.vendors.told import Told
from streamchat.wiring import LOCAL_OWNER, services

PATIENCE = 15.0
Batch = list[Entry] | Snapshot | None


class Dialect(Protocol):
    """How one vendor's API tells an answer. Made for one request."""

    beat: bytes

    def begin(self, run_id: str, created: int, thoughts: int = 0) -> None:
        """``created``: Unix seconds. ``thoughts``: how many the answer began with."""
        ...

    def open(self) -> bytes:
        """What a stream begins with."""
        ...

    def add(self, event: e.Event) -> bytes:
        """What a stream says of this event; of an ending, all that is left."""
        ...

    def whole(self, message: Message) -> Mapping[str, Any]:
        """The body of an answer that has ended well."""
        ...

    def fault(self, error: StreamchatError, headers: Mapping[str, str]) -> Response:
        """The answer with an error status."""
        ...


@dataclass(frozen=True, slots=True)
class Answering:
    """A run that is read for one request."""

    dialect: Dialect
    reader: Reader
    told: Told
    headers: Mapping[str, str]


async def serve(request: Request, asked: Asked, dialect: Dialect) -> Response:
    """Begin the run, or find it again, and answer with it. Raises ``StreamchatError`` where none could be begun."""
    served = services()
    limit = served.settings.streams_per_client
    streams.check(client_of(request.scope), limit)
    place = Place(request.headers.get("x-conversation-id"), request.headers.get("idempotency-key") or uuid.uuid4().hex)
    begun, prefix = await begin(served, asked, place)
    dialect.begin(begun.run_id, int(time.time()), sum(isinstance(part, ReasoningPart) for part in prefix))
    reader = Reader(served.runs, LOCAL_OWNER, begun.run_id)
    empty = Message(begun.run_id, "assistant", settled(prefix), status="streaming", model=asked.model)
    headers = {"X-Run-Id": begun.run_id, "X-Conversation-Id": begun.conversation_id}
    return await respond(request, Answering(dialect, reader, Told(empty), headers), stream=asked.stream, limit=limit)


async def respond(request: Request, answering: Answering, *, stream: bool, limit: int, refuse: bool = True) -> Response:
    """The answer: as a stream that has its first content, or whole. ``refuse``: with an error status where it failed
    before that."""
    batches = answering.reader.batches()
    try:
        async with _reading(request, answering.reader, limit):
            first = await _first(batches, wait_for_all=not stream)
    except BaseException:
        await batches.aclose()
        raise
    events = [event for batch in first if batch is not None for event in answering.told.take(batch)]
    ending = events[-1] if events and isinstance(events[-1], e.ENDINGS) else None
    failed = ending is not None and not isinstance(ending, e.Finished)
    if ending is not None and failed and refuse and (not stream or not any(map(is_content, events))):
        await batches.aclose()
        return answering.dialect.fault(error_of(ending), {**answering.headers, **RUN_BEGUN})
    if not stream:
        await batches.aclose()
        body = answering.dialect.whole(answering.told.message)
        return Response(json_bytes(body), 200, answering.headers, "application/json")
    chunks = _chunks(answering, batches, events)
    return EventStream(chunks, gone=answering.reader.close, limit=limit, headers={**SSE_HEADERS, **answering.headers})


@asynccontextmanager
async def _reading(request: Request, reader: Reader, limit: int) -> AsyncIterator[None]:
    """What waits here counts as a stream of the client's, and ends when the client is gone."""

    async def watch() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        reader.close()

    client = client_of(request.scope)
    streams.enter(client, limit)
    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()
        streams.leave(client)


def is_content(event: e.Event) -> bool:
    """Whether this is something of the answer itself."""
    if isinstance(event, e.Notice):
        return event.kind == "refusal"
    return not isinstance(event, (e.UsageReported, *e.ENDINGS))


async def _first(batches: AsyncGenerator[Batch, None], *, wait_for_all: bool) -> Sequence[Batch]:
    """What comes until the first content; or all of it."""
    began, taken = time.monotonic(), []
    async for batch in batches:
        taken.append(batch)
        if _ends(batch):
            break
        if not wait_for_all and (_has_content(batch) or time.monotonic() - began > PATIENCE or batch is None):
            break
    return taken


def _ends(batch: Batch) -> bool:
    return batch.message.ended if isinstance(batch, Snapshot) else bool(batch) and batch[-1].last


def _has_content(batch: Batch) -> bool:
    if isinstance(batch, Snapshot):
        return bool(batch.message.parts)
    return any(is_content(entry.event) for entry in batch or ())


async def _chunks(
    answering: Answering, batches: AsyncGenerator[Batch, None], first: Sequence[e.Event]
) -> AsyncGenerator[bytes, None]:
    dialect = answering.dialect
    async with aclosing(batches):
        yield dialect.open() + b"".join(map(dialect.add, first))
        if first and isinstance(first[-1], e.ENDINGS):
            return
        try:
            async for batch in batches:
                if batch is None:
                    yield dialect.beat or COMMENT
                elif chunk := b"".join(map(dialect.add, answering.told.take(batch))):
                    yield chunk
        except NotFound as error:  # the conversation was deleted while it was read
            yield dialect.add(e.Failed(error.user_message, error.kind, retryable=False))
