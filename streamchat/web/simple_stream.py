"""The simple streams of tutorials: one GET that asks a question and streams the answer's text.

``/stream`` and ``/stream-chat`` send text, ``/stream-with-meta`` small JSON objects. Rule: ``id: <run>:<seq>`` is the
client's position, so that an ``EventSource`` that reconnects resumes its answer instead of asking again. After the end
it gets 204 and stops.
"""

from __future__ import annotations

import re
import uuid
from typing import Annotated

from fastapi import APIRouter, Header, Query
from starlette.responses import Response

from streamchat.chat.messages import TextPart
from streamchat.chat.request import NewRun
from streamchat.protocols.plain.stream import Form, PlainEncoder, text_form, token_form
from streamchat.runs.reader import RunReader, encode
from streamchat.web.dependencies import Context
from streamchat.web.error_responses import BadRequest
from streamchat.web.event_schema import plain_events
from streamchat.web.run_routes import position
from streamchat.web.schemas import PROBLEMS
from streamchat.web.streaming import EventStream, release_on_error, streams
from streamchat.wiring.request_context import RequestContext

PATHS = ("/stream", "/stream-chat", "/stream-with-meta")
router = APIRouter(tags=["plain"])
_EVENT_ID = re.compile(r"([A-Za-z0-9_-]{1,64}):(\d{1,16})")
RESPONSES = {
    200: {
        "description": "The answer's text as events, then `data: [DONE]`.",
        "content": plain_events('A piece of text, or `{"type": "token", …}` with metadata.'),
    },
    204: {"description": "The client has already received the end."},
} | PROBLEMS(400, 403, 404, 409, 422, 429, 503)
Query_ = Annotated[str, Query(min_length=1, max_length=20_000, description="The question.")]
Model = Annotated[str | None, Query(max_length=200, description="A model id. Default: the server's default model.")]
LastEventId = Annotated[str | None, Header(alias="Last-Event-ID", description="`<run>:<seq>`: resume from there.")]


@router.get("/stream", response_class=EventStream, responses=RESPONSES)
@router.get("/stream-chat", response_class=EventStream, responses=RESPONSES)
async def stream(context: Context, query: Query_, model: Model = None, last_event_id: LastEventId = None) -> Response:
    """Each piece of text as `data: <text>`."""
    return await _answer(context, query, model, last_event_id, text_form)


@router.get("/stream-with-meta", response_class=EventStream, responses=RESPONSES)
async def stream_with_meta(
    context: Context, query: Query_, model: Model = None, last_event_id: LastEventId = None
) -> Response:
    """Each piece of text as `{"type": "token", "content": …, "token_num": n}`."""
    return await _answer(context, query, model, last_event_id, token_form)


async def _answer(
    context: RequestContext, query: str, model: str | None, last_event_id: str | None, form: Form
) -> Response:
    with release_on_error(streams.take(context)) as slot:
        if last_event_id:
            run_id, after = _parse(last_event_id)
            _, snapshot = await context.runs.get(context.owner, run_id)
            if snapshot.message.ended and after == snapshot.seq:
                slot.release()
                return Response(None, 204)
        else:
            new = NewRun(
                client_message_id=uuid.uuid4().hex,
                model=model or (await context.models()).default,
                parts=(TextPart(query),),
            )
            started = await context.start(new)
            run_id, after = started.run_id, 0
        reader = RunReader(context.runs, context.owner, run_id, after)
        batches = encode(reader, PlainEncoder(run_id, form, resumed=after > 0))
        return EventStream(batches, gone=reader.close, slot=slot)


def _parse(event_id: str) -> tuple[str, int]:
    match = _EVENT_ID.fullmatch(event_id)
    if match is None:
        raise BadRequest("The position to resume from is not an event id of this stream.")
    return match[1], position(match[2])
