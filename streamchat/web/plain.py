"""The plain forms that tutorials teach: one GET that asks and streams the answer's text.

``/stream`` and ``/stream-chat`` send text, ``/stream-with-meta`` small JSON objects. Rules:

* ``id: <run>:<seq>`` names where the reader is, so that an ``EventSource`` that reconnects goes on with its answer and
  does not ask again. One that reconnects after the end gets 204 and stops.
* Line breaks in a piece travel as several ``data`` lines. A piece that reads ``[DONE]`` is split: the end is ours.
* What went wrong is said in an event of its own, so that text is only ever the model's.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response

from streamchat.chat.events import ENDINGS, Event, Failed, Finished, Interrupted, TextDelta
from streamchat.chat.messages import TextPart
from streamchat.errors import NotFound
from streamchat.runs.log import Entry, Snapshot
from streamchat.web import encoding
from streamchat.web.event_schema import plain_events
from streamchat.web.problems import BadRequest
from streamchat.web.reading import Reader, ending_of, look
from streamchat.web.runs import position
from streamchat.web.shapes import PROBLEMS
from streamchat.web.streaming import EventStream, client_of, streams
from streamchat.wiring import LOCAL_OWNER, services

PATHS = ("/stream", "/stream-chat", "/stream-with-meta")
router = APIRouter(tags=["plain"])
_PLACE = re.compile(r"([A-Za-z0-9_-]{1,64}):(\d{1,16})")
NOT_KEPT = "The rest of this answer is not kept piece by piece any more. All of it is at /api/runs/{}."
_LINE = re.compile("\r\n|\r|\n")
RESPONSES = {
    200: {
        "description": "The answer's text as events, then `data: [DONE]`.",
        "content": plain_events('A piece of text, or `{"type": "token", …}` where there is more to it.'),
    },
    204: {"description": "The reader that reconnects has seen the end."},
} | PROBLEMS(400, 403, 404, 422, 429, 503)
Query_ = Annotated[str, Query(min_length=1, max_length=20_000, description="The question.")]
Model = Annotated[str | None, Query(max_length=200, description="A model id; the default one without it.")]
Place = Annotated[str | None, Header(alias="Last-Event-ID", description="`<run>:<seq>`: go on from there.")]
Form = Callable[[bytes, str, int], bytes]


@router.get("/stream", response_class=EventStream, responses=RESPONSES)
@router.get("/stream-chat", response_class=EventStream, responses=RESPONSES)
async def stream(request: Request, query: Query_, model: Model = None, last_event_id: Place = None) -> Response:
    """Each piece of text as `data: <text>`."""
    return await _answer(request, query, model, last_event_id, _text)


@router.get("/stream-with-meta", response_class=EventStream, responses=RESPONSES)
async def stream_with_meta(
    request: Request, query: Query_, model: Model = None, last_event_id: Place = None
) -> Response:
    """Each piece of text as `{"type": "token", "content": …, "token_num": n}`."""
    return await _answer(request, query, model, last_event_id, _token)


async def _answer(request: Request, query: str, model: str | None, place: str | None, form: Form) -> Response:
    served = services()
    limit = served.settings.streams_per_client
    streams.check(client_of(request.scope), limit)  # before anything is asked
    if place:
        run_id, after = _read(place)
        _, snapshot = await look(served.runs, LOCAL_OWNER, run_id)
        if snapshot.message.ended and after == snapshot.seq:
            return Response(None, 204)
    else:
        begun = await served.runs.start(
            LOCAL_OWNER,
            conversation_id=None,
            client_message_id=uuid.uuid4().hex,
            parts=(TextPart(query),),
            model=model or served.models.default,
        )
        run_id, after = begun.run_id, 0
    reader = Reader(served.runs, LOCAL_OWNER, run_id, after)
    chunks = _chunks(run_id, reader, form, resumed=after > 0)
    return EventStream(chunks, gone=reader.close, limit=limit)


def _read(place: str) -> tuple[str, int]:
    match = _PLACE.fullmatch(place)
    if match is None:
        raise BadRequest("The place to go on from is not one of this stream.")
    return match[1], position(match[2])


async def _chunks(run_id: str, reader: Reader, form: Form, resumed: bool) -> AsyncGenerator[bytes, None]:
    yield encoding.RETRY
    number = 0
    try:
        async with aclosing(reader.batches()) as batches:
            async for batch in batches:
                if batch is None:
                    yield encoding.COMMENT
                    continue
                if isinstance(batch, Snapshot) and resumed:
                    yield _end(run_id, batch.seq, Interrupted(NOT_KEPT.format(run_id), kind="not-kept"))
                    break
                for seq, event in _told(batch):
                    if isinstance(event, TextDelta) and event.text:
                        number += 1
                        yield form(_id(run_id, seq), event.text, number)
                    elif isinstance(event, ENDINGS):
                        yield _end(run_id, seq, event)
    except NotFound as error:
        yield encoding.sse_unnumbered(Failed(error.user_message, error.kind, retryable=False))
    if not reader.closed:
        yield encoding.DONE


def _told(batch: list[Entry] | Snapshot) -> list[tuple[int, Event]]:
    if not isinstance(batch, Snapshot):
        return [(entry.seq, entry.event) for entry in batch]
    text: list[tuple[int, Event]] = [(batch.seq, TextDelta(batch.message.text))]
    return [*text, (batch.seq, ending_of(batch.message))] if batch.message.ended else text


def _id(run_id: str, seq: int) -> bytes:
    return f"id: {run_id}:{seq}\n".encode()


def _end(run_id: str, seq: int, event: Event) -> bytes:
    """The id of the end, by which a reconnect is known; and what went wrong, if something did."""
    if isinstance(event, Failed | Interrupted) or (isinstance(event, Finished) and event.reason not in ("stop",)):
        return _id(run_id, seq) + encoding.sse_unnumbered(event)
    return _id(run_id, seq) + b"\n"


def _text(place: bytes, text: str, number: int) -> bytes:
    if text == "[DONE]":
        return _data(b"", "[DO") + _data(place, "NE]")
    return _data(place, text)


def _data(place: bytes, text: str) -> bytes:
    lines = "".join(f"data: {line}\n" for line in _LINE.split(text))
    return place + lines.encode("utf-8", "replace") + b"\n"


def _token(place: bytes, text: str, number: int) -> bytes:
    token = encoding.json_bytes({"type": "token", "content": text, "token_num": number})
    return b"%bdata: %b\n\n" % (place, token)
