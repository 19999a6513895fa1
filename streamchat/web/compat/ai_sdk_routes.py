"""``/api/chat``: the endpoint of the AI SDK's ``useChat``, so that a front end built on it works with this server.

Knows runs and the store. Rules:

* A chat is a conversation: the one with its identifier, or one that its first message starts. The stored messages are
  the history; those of the client count only for a chat that is not stored yet.
* Our own tools run here. Those that the front end declares are offered instead of them, and run there: their outputs
  come in the next request, and the same message goes on. A client that stops reading does not stop the answer;
  ``DELETE /api/runs/{id}`` does.
* Resuming replays the whole answer, as the client expects it.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from streamchat.chat.messages import Message, Part, ToolCallPart
from streamchat.chat.request import NewRun
from streamchat.errors import InvalidInput, NotFound
from streamchat.limits import Slot
from streamchat.protocols.ai_sdk import request as ui
from streamchat.protocols.ai_sdk.stream import HEADERS, UIMessageWriter
from streamchat.protocols.conversation_in import ClientRequest, Result
from streamchat.protocols.replay import Replay
from streamchat.protocols.vendor_stream import VendorEncoder
from streamchat.runs.approvals import Decision
from streamchat.runs.ports import Begun
from streamchat.runs.reader import FROM_SNAPSHOT, RunReader, encode
from streamchat.web.compat.respond import on_leave
from streamchat.web.compat.start import check_request, with_results
from streamchat.web.compat.suspended import suspended
from streamchat.web.dependencies import Context
from streamchat.web.schemas import PROBLEMS
from streamchat.web.streaming import SSE_HEADERS, EventStream, release_on_error, streams
from streamchat.wiring.request_context import RequestContext

router = APIRouter(prefix="/api/chat", tags=["ai-sdk"])
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The UI message stream of the AI SDK, then `data: [DONE]`.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}


@router.post(
    "", response_class=EventStream, responses=_STREAM | PROBLEMS(400, 403, 404, 408, 409, 413, 415, 422, 429, 503)
)
async def chat(request: Request, context: Context, body: ui.ChatIn) -> Response:
    """Send a message, regenerate an answer, or decide about tool calls; the answer is streamed."""
    with release_on_error(streams.take(context)) as slot:
        conversation_id = await _conversation(context, body.id)
        if decisions := ui.decisions(body):
            return await _decide(request, context, body.all[-1].id, decisions, slot)
        started, prefix = await _start(context, body, conversation_id)
        begun = Message(started.run_id, "assistant", prefix, status="streaming", model=started.answer.model)
        name = body.all[-1].id if prefix else started.run_id
        place = (started.conversation_id, begun, 0, slot)
        return await _stream(request, context, *place, name=name, goes_on=bool(prefix))


@router.get("/{chat_id}/stream", response_class=EventStream, responses=_STREAM | PROBLEMS(404, 422, 429, 503) | {
    204: {"description": "No answer is being written in this chat."}
})  # fmt: skip
async def resume(request: Request, chat_id: Annotated[str, Path(max_length=200)], context: Context) -> Response:
    """Stream the answer that is being written in a chat, from its beginning."""
    conversation_id = await _conversation(context, chat_id)
    rows = await context.store.answering(context.owner) if conversation_id else []
    run = next((row.run_id for row in reversed(rows) if row.conversation_id == conversation_id), None)
    if conversation_id is None or run is None:
        return Response(None, 204)
    empty = Message(run, "assistant", status="streaming")
    return await _stream(request, context, conversation_id, empty, FROM_SNAPSHOT, streams.take(context))


async def _conversation(context: RequestContext, chat_id: str) -> str | None:
    """Return the identifier of the chat's conversation, or ``None`` if it is not stored yet."""
    for candidate in (chat_id, ui.conversation_id(context.owner, chat_id)):
        with suppress(NotFound, InvalidInput):
            await context.store.choices(context.owner, candidate)
            return candidate
    return None


async def _start(
    context: RequestContext, body: ui.ChatIn, conversation_id: str | None
) -> tuple[Begun, tuple[Part, ...]]:
    """Start the answer. Returns it, and the parts with which it begins: those that the client has."""
    models = await context.models()
    model = body.chosen_model or models.default
    if body.trigger == "regenerate-message" and conversation_id is not None:
        key = uuid.uuid4().hex
        answer = await _last_answer(context, body, conversation_id)
        return await context.retry(answer, key, model, continue_partial=False), ()
    options = body.run_options()
    check_request(models, ClientRequest(model, (), options=options.options, tools=options.tools or (), names=ui.NAMES))
    if results := ui.results(body):
        new = await _with_results(context, body, conversation_id, results)
    else:
        new = NewRun(
            client_message_id=ui.idempotency_key(body),
            model=model,
            parts=ui.question(body),
            conversation_id=conversation_id,
            history=() if conversation_id else ui.turns(body.all[:-1]),
        )
    new = replace(new, model=model, options=options, new_conversation_id=ui.conversation_id(context.owner, body.id))
    return await context.start(new), tuple(new.prefix)


async def _with_results(
    context: RequestContext, body: ui.ChatIn, conversation_id: str | None, results: Mapping[str, Result]
) -> NewRun:
    """Return the run that continues the answer whose calls the front end has run."""
    new = NewRun(client_message_id=ui.idempotency_key(body), model="", conversation_id=conversation_id)
    if conversation_id is None:
        *earlier, answer = ui.turns(body.all)
        return replace(new, history=earlier, prefix=answer.parts)
    messages = (await context.store.conversation(context.owner, conversation_id)).messages
    parts = messages[-1].parts if messages and messages[-1].role == "assistant" else ()
    calls = {part.id: part for part in parts if isinstance(part, ToolCallPart)}
    if unknown := set(results) - set(calls):
        raise InvalidInput(f"No call of the last answer has the id {sorted(unknown)[0][:80]}.")
    if all(calls[call_id].state in ("done", "error") for call_id in results):
        if not await context.store.known(context.owner, new.client_message_id):
            raise InvalidInput("messages: the last answer waits for no output. Send a user message.")
        return replace(new, prefix=parts[: 1 + max(parts.index(calls[call_id]) for call_id in results)])
    open_calls = {i: result for i, result in results.items() if calls[i].state not in ("done", "error")}
    return replace(new, prefix=with_results(parts, open_calls))


async def _last_answer(context: RequestContext, body: ui.ChatIn, conversation_id: str) -> str:
    """Return the identifier of the answer to regenerate: the requested one, or the last."""
    conversation = await context.store.conversation(context.owner, conversation_id)
    answers = [message.id for message in conversation.messages if message.role == "assistant"]
    if not answers:
        raise InvalidInput("There is no answer yet that could be regenerated.")
    return body.messageId if body.messageId in answers else answers[-1]


async def _decide(
    request: Request, context: RequestContext, run_id: str, decisions: Sequence[ui.Decision], slot: Slot
) -> Response:
    """Apply the decisions, and stream the answer from where the client's previous stream ended."""
    conversation_id, current = await context.runs.get(context.owner, run_id)
    before = await suspended(context, run_id, current)
    waiting = {p.id for p in current.message.parts if isinstance(p, ToolCallPart) and p.state == "awaiting-approval"}
    for one in decisions:
        if one.call_id in waiting:
            decision = Decision(one.approved, reason=one.reason)
            await context.runs.decide(context.owner, run_id, one.call_id, decision)
    return await _stream(request, context, conversation_id, before.message, before.seq, slot, resumes=True)


async def _stream(
    request: Request,
    context: RequestContext,
    conversation_id: str,
    message: Message,
    after: int,
    slot: Slot,
    *,
    resumes: bool = False,
    goes_on: bool = False,
    name: str = "",
) -> Response:
    """Stream a run after entry ``after``; with ``FROM_SNAPSHOT`` a snapshot comes first.

    ``message``: the answer as the client has it, under this ``name``; ``resumes``: the stream continues that message;
    ``goes_on``: with another step.
    """
    metadata = {"conversationId": conversation_id, "runId": message.id}
    if message.model:
        metadata["model"] = message.model
    continues = message if resumes or goes_on else None
    writer = UIMessageWriter(name or message.id, metadata, continues, new_step=goes_on)
    reader = RunReader(context.runs, context.owner, message.id, after)
    headers = {**SSE_HEADERS, **HEADERS, "X-Run-Id": message.id, "X-Conversation-Id": conversation_id}
    encoder = VendorEncoder(writer, Replay(message), ends_waiting=True)
    encoder.headers_sent = True
    return EventStream(
        encode(reader, encoder), gone=on_leave(request, context, reader, message.id), slot=slot, headers=headers
    )
