"""``/ag-ui``: any of our models for front ends that speak AG-UI.

Rules:

* An answer is a run like any other: it is on the page, it outlives its client, and ``X-Run-Id`` names it. A client that
  has lost its stream sends the same request again, or reads ``GET /ag-ui/{run_id}``.
* Tools that the front end declares are offered instead of ours, and are never run here.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from streamchat.chat.messages import Message, ToolCallPart, close_open_calls
from streamchat.chat.request import NewRun, RunOptions
from streamchat.errors import InvalidInput, NotFound
from streamchat.limits import Slot
from streamchat.protocols.ag_ui import request as ag_ui
from streamchat.protocols.ag_ui.stream import AgUiWriter
from streamchat.protocols.conversation_in import ClientRequest
from streamchat.protocols.replay import Replay
from streamchat.protocols.vendor_stream import VendorEncoder
from streamchat.runs.approvals import Decision
from streamchat.runs.reader import FROM_SNAPSHOT, RunReader, encode
from streamchat.web.compat.start import check_model, check_request, with_results
from streamchat.web.compat.suspended import suspended
from streamchat.web.dependencies import Context
from streamchat.web.schemas import PROBLEMS
from streamchat.web.streaming import SSE_HEADERS, EventStream, release_on_error, streams
from streamchat.wiring.request_context import RequestContext

router = APIRouter(prefix="/ag-ui", tags=["ag-ui"])
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "AG-UI events, from `RUN_STARTED` to `RUN_FINISHED` or `RUN_ERROR`.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}


@router.post(
    "", response_class=EventStream, responses=_STREAM | PROBLEMS(400, 403, 404, 408, 409, 413, 415, 422, 429, 503)
)
async def run(
    context: Context, body: ag_ui.RunIn, model: Annotated[str | None, Query(max_length=200)] = None
) -> Response:
    """Run a model, and stream AG-UI events. The same thread and run again are the same answer, from its beginning."""
    with release_on_error(streams.take(context)) as slot:
        if body.resume:
            return await _resume(context, body, slot)
        models = await context.models()
        name = body.model or model or models.default
        check_model(models, name)
        request = ag_ui.client_request(body, name)
        check_request(models, request)
        new = await _new_run(context, body, request)
        started = await context.start(new)
        initial = Message(started.run_id, "assistant", close_open_calls(new.prefix), status="streaming", model=name)
        writer = AgUiWriter(
            body.threadId,
            body.runId,
            started.run_id,
            model=name,
            parent_id=body.parentRunId,
            parameters=partial(_parameters, context),
        )
        return _stream(context, writer, started.conversation_id, initial, 0, slot)


@router.get("/{run_id}", response_class=EventStream, responses=_STREAM | PROBLEMS(404, 422, 429, 503))
async def follow(run_id: Annotated[str, Path(max_length=64)], context: Context) -> Response:
    """Stream an answer, whoever started it, from its beginning. `run_id` is that of `X-Run-Id`."""
    conversation_id, current = await context.runs.get(context.owner, run_id)
    initial = Message(run_id, "assistant", status="streaming", model=current.message.model)
    writer = AgUiWriter(
        conversation_id, run_id, run_id, model=current.message.model, parameters=partial(_parameters, context)
    )
    return _stream(context, writer, conversation_id, initial, FROM_SNAPSHOT, streams.take(context))


async def _new_run(context: RequestContext, body: ag_ui.RunIn, request: ClientRequest) -> NewRun:
    """Return the run with the thread's history: the stored one, or the client's."""
    new = NewRun(
        client_message_id=ag_ui.idempotency_key(body),
        model=request.model,
        options=RunOptions(request.system, request.options, request.tools or None),
    )
    conversation_id = await _conversation(context, body.threadId)
    if conversation_id is None:
        if request.results:
            raise InvalidInput("A tool result refers to a call that is not among the messages.")
        new_id = ag_ui.conversation_id(context.owner, body.threadId)
        return replace(
            new,
            new_conversation_id=new_id,
            parts=request.question,
            history=request.earlier,
            prefix=() if request.question else request.prefix,
        )
    conversation = await context.store.conversation(context.owner, conversation_id)
    stored = {message.id: message for message in conversation.messages}
    new = replace(new, conversation_id=conversation_id)
    if request.question:
        before = ag_ui.last_answer(body)
        return replace(new, parts=request.question, parent_id=before if before in stored else None)
    last = conversation.messages[-1] if conversation.messages else None
    if last is None or last.role != "assistant":
        raise InvalidInput("No answer in this thread waits for a tool result.")
    return replace(new, prefix=with_results(last.parts, request.answers))


async def _conversation(context: RequestContext, thread_id: str) -> str | None:
    """Return the identifier of the thread's conversation, or ``None`` if it is not stored yet."""
    for candidate in (thread_id, ag_ui.conversation_id(context.owner, thread_id)):
        with suppress(NotFound, InvalidInput):
            await context.store.choices(context.owner, candidate)
            return candidate
    return None


async def _resume(context: RequestContext, body: ag_ui.RunIn, slot: Slot) -> Response:
    """Apply the decisions, and stream the answer from where the interrupted run ended."""
    answers = ag_ui.answers(body.resume or ())
    run_id = answers[0].run_id
    if any(one.run_id != run_id for one in answers):
        raise InvalidInput("resume: all interrupts must be of the same run.")
    conversation_id, current = await context.runs.get(context.owner, run_id)
    calls = {part.id: part for part in current.message.parts if isinstance(part, ToolCallPart)}
    if unknown := {one.call_id for one in answers} - set(calls):
        raise InvalidInput(f"resume: there is no interrupt {ag_ui.interrupt_id(run_id, sorted(unknown)[0])[:120]}.")
    waiting = {call_id for call_id, part in calls.items() if part.state == "awaiting-approval"}
    if left := waiting - {one.call_id for one in answers}:
        raise InvalidInput(f"resume: it leaves the interrupt {ag_ui.interrupt_id(run_id, sorted(left)[0])[:120]} open.")
    before = await suspended(context, run_id, current)
    for one in answers:
        if one.call_id in waiting:
            decision = Decision(one.approved, one.arguments if one.approved else None, one.reason)
            await context.runs.decide(context.owner, run_id, one.call_id, decision)
    message = before.message
    writer = AgUiWriter(
        body.threadId,
        body.runId,
        run_id,
        model=message.model,
        continues=message,
        parent_id=body.parentRunId,
        parameters=partial(_parameters, context),
    )
    return _stream(context, writer, conversation_id, message, before.seq, slot)


def _parameters(context: RequestContext, name: str) -> Mapping[str, Any] | None:
    """Return the schema of the arguments of a tool, for whoever decides about a call of it."""
    tool = context.services.tools.get(name)
    return None if tool is None else tool.spec.parameters


def _stream(
    context: RequestContext, writer: AgUiWriter, conversation_id: str, initial: Message, after: int, slot: Slot
) -> Response:
    """Stream a run after entry ``after``; with ``FROM_SNAPSHOT`` a snapshot comes first. ``initial``: the client's."""
    reader = RunReader(context.runs, context.owner, initial.id, after)
    headers = {**SSE_HEADERS, "X-Run-Id": initial.id, "X-Conversation-Id": conversation_id}
    encoder = VendorEncoder(writer, Replay(initial), ends_waiting=True)
    encoder.headers_sent = True
    return EventStream(encode(reader, encoder), gone=reader.close, slot=slot, headers=headers)
