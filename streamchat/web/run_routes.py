"""``/api/runs``: start, get, follow and stop runs, and decide about tool calls.

Knows schemas and streams; the work is done by ``RunService``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request
from starlette.responses import Response

from streamchat.chat.request import NewRun
from streamchat.chat.wire import message_to_wire
from streamchat.protocols.encoding import FinalEncoder, SseEncoder, json_bytes
from streamchat.runs.log import Snapshot
from streamchat.runs.ports import Begun
from streamchat.runs.reader import FROM_SNAPSHOT, RunReader, encode
from streamchat.web.dependencies import Context
from streamchat.web.error_responses import BadRequest, error_body
from streamchat.web.event_schema import run_events
from streamchat.web.read_limits import ENDED, Turn, not_modified
from streamchat.web.schemas import PROBLEMS, DecisionIn, RunIn, RunOut, Started, SteerIn
from streamchat.web.streaming import SSE_HEADERS, EventStream, streams
from streamchat.wiring.request_context import RequestContext

router = APIRouter(prefix="/api/runs", tags=["runs"])
RunId = Annotated[str, Path(description="The id of a run, which is that of its answer.")]
JSON_HEADERS = SSE_HEADERS | {"Content-Type": "application/json"}
MAX_SEQ = 2**53 - 1  # the largest integer of a browser
EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The events, each with `id: <seq>` and `event: <type>`; after the ending `data: [DONE]`.",
        "content": run_events() | {"application/json": {}},
        "model": RunOut,
    },
    204: {"description": "The client has already received the ending and must not reconnect."},
}


def json_response(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return the value as JSON, written by the encoder of the streams."""
    return Response(json_bytes(value), status, headers, "application/json")


def run_json(conversation_id: str, snapshot: Snapshot) -> dict[str, Any]:
    """Return a run in the form of ``RunOut``."""
    message = snapshot.message
    wire = message_to_wire(message)
    run: dict[str, Any] = {
        "run_id": message.id,
        "conversation_id": conversation_id,
        "status": message.status,
        "seq": snapshot.seq,
        "message": wire,
    }
    if message.timing is not None:
        run["timing"] = dict(message.timing)
    if message.usage is not None and message.usage.cost_usd is not None:
        run["cost_usd"] = message.usage.cost_usd
    return run


@router.post("", status_code=201, response_model=Started, responses={200: {"model": Started}} | PROBLEMS(
    400, 403, 404, 408, 409, 413, 415, 422, 429, 503
))  # fmt: skip
async def start(request: RunIn, context: Context) -> Response:
    """Start an answer, or one by each of `models`. The same `client_message_id` again: 200 with the same run."""
    new = await context.begin_with(request.new_run((await context.models()).default), request.preset)
    return await start_response(context, new, request.models)


async def start_response(context: RequestContext, new: NewRun, models: Sequence[str] | None) -> Response:
    """Start an answer, or one by each of ``models``, and return the response. Raises as ``RequestContext.start``."""
    if not models:
        return started_response(context, await context.start(new))
    begun = await context.compare(new, models)
    runs = [started_json(context, one) | {"model": one.answer.model} for one in begun]
    return started_response(context, begun[0], {"runs": runs})


def started_response(context: RequestContext, started: Begun, more: Mapping[str, Any] | None = None) -> Response:
    """Return the response for a run that was started (201), or found again (200). ``more``: further fields."""
    body = started_json(context, started) | {"conversation_id": started.conversation_id} | dict(more or {})
    return json_response(body, 201 if started.created else 200, {"X-Run-Id": started.run_id})


def started_json(context: RequestContext, started: Begun) -> dict[str, Any]:
    """Return the ids of a run that was started."""
    return {
        "run_id": started.run_id,
        "message_id": started.run_id,
        "events_url": f"{context.settings.public_path}/api/runs/{started.run_id}/events",
    }


UNCHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "The client has it: it did not change."}}


@router.get("/{run_id}", response_model=RunOut, responses=UNCHANGED | PROBLEMS(404, 422, 429, 503))
async def get(run_id: RunId, context: Context, turn: Turn, request: Request) -> Response:
    """The answer so far, live or stored. One that has ended does not change, and may be kept."""
    conversation_id, snapshot = await context.runs.get(context.owner, run_id)
    if not snapshot.message.ended:
        return json_response(run_json(conversation_id, snapshot))
    return kept_response(request, snapshot, run_json(conversation_id, snapshot), ENDED)


def kept_response(request: Request, snapshot: Snapshot, body: Any, caching: Mapping[str, str]) -> Response:
    """Return JSON of an answer that has ended, with how it may be cached."""
    etag = etag_of(snapshot)
    return not_modified(request, etag, caching) or json_response(body, headers={"ETag": etag, **caching})


def etag_of(snapshot: Snapshot) -> str:
    """Return the ``ETag`` of an answer that has ended."""
    return f'"{snapshot.message.id}-{snapshot.seq}"'


@router.delete("/{run_id}", response_model=RunOut, responses=PROBLEMS(403, 404, 422, 503))
async def stop(run_id: RunId, context: Context) -> Response:
    """Stop the run and wait until it has stopped. A run that has ended stays as it is."""
    await context.runs.cancel(context.owner, run_id)
    return json_response(run_json(*await context.runs.get(context.owner, run_id)))


@router.post("/{run_id}/steer", status_code=201, response_model=Started, responses={200: {"model": Started}} | PROBLEMS(
    400, 403, 404, 408, 409, 413, 415, 422, 429, 503
))  # fmt: skip
async def steer(run_id: RunId, body: SteerIn, context: Context) -> Response:
    """Stop the run, keep what it wrote, and answer this message next. A run that has ended stays as it is.

    With `at: round` the run goes on until its next round of tools has run. The answer's first entries tell the outcome.
    """
    conversation_id = await context.runs.conversation_of(context.owner, run_id)
    new = body.message_in().run_in(conversation_id).new_run((await context.models()).default)
    return started_response(context, await context.steer(run_id, new, at_round=body.at == "round"))


@router.post("/{run_id}/decisions", response_model=RunOut, responses=PROBLEMS(400, 403, 404, 408, 413, 415, 422, 503))
async def decision(run_id: RunId, body: DecisionIn, context: Context) -> Response:
    """Approve or deny a tool call that waits for approval. The run resumes when no other call waits."""
    await context.runs.decide(context.owner, run_id, body.call_id, body.decision())
    return json_response(run_json(*await context.runs.get(context.owner, run_id)))


@router.get(
    "/{run_id}/events", response_class=EventStream, responses=EVENTS | UNCHANGED | PROBLEMS(400, 404, 422, 429, 503)
)
async def events(
    run_id: RunId,
    context: Context,
    request: Request,
    after: Annotated[str | None, Query(description="Send the events after this `seq`.")] = None,
    buffer: Annotated[bool, Query(description="No events, but the whole answer once it has ended.")] = False,
    last_event_id: Annotated[str | None, Header(description="As `after`; takes precedence over it.")] = None,
) -> Response:
    """Follow the answer from any event number to its end. The events of one that has ended may be kept."""
    start_after = position(last_event_id or after)
    conversation_id, snapshot = await context.runs.get(context.owner, run_id)
    if buffer and snapshot.message.ended:
        return kept_response(request, snapshot, run_json(conversation_id, snapshot), ENDED)
    if last_event_id and snapshot.message.ended and start_after == snapshot.seq:
        return Response(None, 204)
    reader = RunReader(context.runs, context.owner, run_id, FROM_SNAPSHOT if buffer else start_after)
    if buffer:
        encoder = FinalEncoder(
            lambda final: json_bytes(run_json(conversation_id, final)),
            filler=b" ",
            gone=lambda error: json_bytes(error_body(error.user_message, error.kind)),
        )
    else:
        encoder = SseEncoder(run_id)
    headers = JSON_HEADERS if buffer else SSE_HEADERS
    if snapshot.message.ended and not last_event_id:
        # Weak: after a while a snapshot stands for the same events.
        etag = f"W/{etag_of(snapshot)}"
        if response := not_modified(request, etag_of(snapshot), ENDED):
            return response
        headers = {**headers, "ETag": etag, **ENDED}
    slot = streams.take(context)
    return EventStream(encode(reader, encoder), gone=reader.close, slot=slot, headers=headers)


def position(text: str | None) -> int:
    """Parse an event number; none is 0. Raises ``BadRequest``."""
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= 16 and int(text) <= MAX_SEQ):
        raise BadRequest("The position to resume from is not an event number.")
    return int(text)
