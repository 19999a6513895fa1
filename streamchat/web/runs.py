"""``/api/runs``: start, look, follow, stop.

Knows the shapes and the stream; the work is that of ``wiring.services().runs``.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request
from starlette.responses import Response

from streamchat.chat.wire import message_to_wire
from streamchat.runs.log import Snapshot
from streamchat.web.encoding import json_bytes
from streamchat.web.event_schema import run_events
from streamchat.web.problems import BadRequest
from streamchat.web.reading import Reader, look
from streamchat.web.shapes import PROBLEMS, DecisionIn, RunIn, RunOut, Started
from streamchat.web.streaming import SSE_HEADERS, EventStream, sse
from streamchat.wiring import LOCAL_OWNER, services

router = APIRouter(prefix="/api/runs", tags=["runs"])
RunId = Annotated[str, Path(description="The id of a run: that of its answer.")]
JSON_HEADERS = SSE_HEADERS | {"Content-Type": "application/json"}
MAX_SEQ = 2**53 - 1  # what a browser can count
EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The events, each with `id: <seq>` and `event: <type>`; after the ending `data: [DONE]`.",
        "content": run_events() | {"application/json": {}},
        "model": RunOut,
    },
    204: {"description": "The reader that reconnects has seen the ending: it is to stop."},
}


def json_response(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(json_bytes(value), status, headers, "application/json")


def run_json(conversation_id: str, snapshot: Snapshot) -> dict[str, Any]:
    message = snapshot.message
    wire = message_to_wire(message)
    return {
        "run_id": message.id,
        "conversation_id": conversation_id,
        "status": message.status,
        "seq": snapshot.seq,
        "message": wire,
    }


@router.post("", status_code=201, response_model=Started, responses={200: {"model": Started}} | PROBLEMS(
    400, 403, 404, 408, 413, 415, 422, 503
))  # fmt: skip
async def start(asked: RunIn) -> Response:
    """Begin an answer. The same ``client_message_id`` again answers 200 with the same run."""
    served = services()
    begun = await served.runs.start(
        LOCAL_OWNER,
        conversation_id=asked.conversation_id,
        client_message_id=asked.client_message_id or uuid.uuid4().hex,
        parts=asked.parts(),
        model=asked.model or served.models.default,
        system=asked.system,
        options=asked.options.options() if asked.options else None,
    )
    body = {
        "run_id": begun.run_id,
        "conversation_id": begun.conversation_id,
        "message_id": begun.run_id,
        "events_url": f"/api/runs/{begun.run_id}/events",
    }
    return json_response(body, 201 if begun.created else 200, {"X-Run-Id": begun.run_id})


@router.get("/{run_id}", response_model=RunOut, responses=PROBLEMS(404, 422, 503))
async def get(run_id: RunId) -> Response:
    """The answer so far, live or stored."""
    return json_response(run_json(*await look(services().runs, LOCAL_OWNER, run_id)))


@router.delete("/{run_id}", response_model=RunOut, responses=PROBLEMS(403, 404, 422, 503))
async def stop(run_id: RunId) -> Response:
    """Stop it, and wait until it has stopped. Nothing happens to one that has ended."""
    runs = services().runs
    await runs.cancel(LOCAL_OWNER, run_id)
    return json_response(run_json(*await look(runs, LOCAL_OWNER, run_id)))


@router.post("/{run_id}/decisions", response_model=RunOut, responses=PROBLEMS(400, 403, 404, 408, 413, 415, 422, 503))
async def decision(run_id: RunId, said: DecisionIn) -> Response:
    """Approve or deny a tool call that waits for it. The run goes on when no other one waits."""
    runs = services().runs
    await runs.decide(LOCAL_OWNER, run_id, said.call_id, said.decision())
    return json_response(run_json(*await look(runs, LOCAL_OWNER, run_id)))


@router.get("/{run_id}/events", response_class=EventStream, responses=EVENTS | PROBLEMS(400, 404, 422, 429, 503))
async def events(
    request: Request,
    run_id: RunId,
    after: Annotated[str | None, Query(description="Send what came after this `seq`.")] = None,
    buffer: Annotated[bool, Query(description="No events: the whole answer, once it has ended.")] = False,
    last_event_id: Annotated[str | None, Header(description="As `after`, and before it.")] = None,
) -> Response:
    """Follow the answer from any number on, to its end."""
    served = services()
    begins = position(last_event_id or after)
    conversation_id, snapshot = await look(served.runs, LOCAL_OWNER, run_id)
    if buffer and snapshot.message.ended:
        return json_response(run_json(conversation_id, snapshot))
    if last_event_id and snapshot.message.ended and begins == snapshot.seq:
        return Response(None, 204)
    reader = Reader(served.runs, LOCAL_OWNER, run_id, begins)
    chunks = whole(run_id, reader) if buffer else sse(served.runs, LOCAL_OWNER, run_id, reader)
    kind = JSON_HEADERS if buffer else SSE_HEADERS
    return EventStream(chunks, gone=reader.close, limit=served.settings.streams_per_client, headers=kind)


def position(said: str | None) -> int:
    """Where a reader is. Raises ``BadRequest`` for what is no such number."""
    if not said:
        return 0
    if not (said.isascii() and said.isdigit() and len(said) <= 16 and int(said) <= MAX_SEQ):
        raise BadRequest("The place to go on from is not a number of this stream.")
    return int(said)


async def whole(run_id: str, reader: Reader) -> AsyncGenerator[bytes, None]:
    """The answer as one JSON document, once it has ended; until then white space, so that no proxy gives up."""
    async with aclosing(reader.batches()) as batches:
        async for batch in batches:
            if batch is None:
                yield b" "
    if not reader.closed:
        yield json_bytes(run_json(*await look(services().runs, LOCAL_OWNER, run_id)))
