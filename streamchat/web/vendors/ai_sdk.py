"""``/api/chat``: what the AI SDK's ``useChat`` calls, so that a front end built on it can sit on this server unchanged.

Knows runs and the store. Rules:

* A chat is a conversation: the one with its id, or one that its first message begins. What the store has is the
  history; the client's messages are it only for a chat that is not known here.
* Our own tools run here. A client that stops reading does not stop the answer; ``DELETE /api/runs/{id}`` does.
* Resuming replays the whole answer, as the client expects it.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from streamchat.chat.events import Failed, Waiting
from streamchat.chat.fold import fold
from streamchat.chat.messages import Message, ToolCallPart
from streamchat.errors import InvalidInput, NotFound, OutOfOrder
from streamchat.runs.decisions import Decision
from streamchat.runs.log import Snapshot
from streamchat.runs.ports import Begun
from streamchat.web.encoding import COMMENT
from streamchat.web.reading import Reader, look
from streamchat.web.shapes import PROBLEMS
from streamchat.web.streaming import SSE_HEADERS, EventStream, client_of, streams
from streamchat.web.vendors import ai_sdk_request as ui
from streamchat.web.vendors.ai_sdk_writer import HEADERS, UIMessageWriter
from streamchat.web.vendors.told import Told
from streamchat.wiring import LOCAL_OWNER, Services, services

router = APIRouter(prefix="/api/chat", tags=["ai-sdk"])
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The UI message stream of the AI SDK, then `data: [DONE]`.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}


@router.post("", response_class=EventStream, responses=_STREAM | PROBLEMS(400, 403, 404, 408, 413, 415, 422, 429, 503))
async def chat(request: Request, asked: ui.ChatIn) -> Response:
    """A message, the wish for another answer, or decisions about tool calls: the answer as a stream."""
    served = services()
    limit = served.settings.streams_per_client
    streams.check(client_of(request.scope), limit)
    conversation_id = await _conversation(served, asked.id)
    if decisions := ui.decisions_of(asked):
        return await _decided(served, asked.all[-1].id, decisions, limit)
    begun = await _begin(served, asked, conversation_id)
    empty = Message(begun.run_id, "assistant", status="streaming", model=begun.answer.model)
    return await _stream(served, begun.conversation_id, empty, 0, limit)


@router.get("/{chat_id}/stream", response_class=EventStream, responses=_STREAM | PROBLEMS(404, 422, 429, 503) | {
    204: {"description": "Nothing is being answered in this chat."}
})  # fmt: skip
async def resume(chat_id: Annotated[str, Path(max_length=200)]) -> Response:
    """The answer that is being written in a chat, from its beginning."""
    served = services()
    conversation_id = await _conversation(served, chat_id)
    rows = await served.store.answering(LOCAL_OWNER) if conversation_id else []
    run = next((row.run_id for row in reversed(rows) if row.conversation_id == conversation_id), None)
    if conversation_id is None or run is None:
        return Response(None, 204)
    empty = Message(run, "assistant", status="streaming")
    return await _stream(served, conversation_id, empty, -1, served.settings.streams_per_client)


async def _conversation(served: Services, chat_id: str) -> str | None:
    """The conversation of a chat, if it has begun."""
    for known in (chat_id, ui.conversation_of(LOCAL_OWNER, chat_id)):
        with suppress(NotFound, InvalidInput):
            await served.store.choices(LOCAL_OWNER, known)
            return known
    return None


async def _begin(served: Services, asked: ui.ChatIn, conversation_id: str | None) -> Begun:
    model = asked.model or served.models.default
    if asked.trigger == "regenerate-message" and conversation_id is not None:
        key = uuid.uuid4().hex
        answer = await _last_answer(served, asked, conversation_id)
        return await served.runs.again(LOCAL_OWNER, message_id=answer, client_message_id=key, model=model, keep=False)
    return await served.runs.start(
        LOCAL_OWNER,
        conversation_id=conversation_id,
        client_message_id=ui.key_of(asked) if asked.all else "",
        parts=ui.question_of(asked),
        model=model,
        system=ui.system_of(asked),
        history=() if conversation_id else ui.earlier_of(asked),
        named=ui.conversation_of(LOCAL_OWNER, asked.id),
    )


async def _last_answer(served: Services, asked: ui.ChatIn, conversation_id: str) -> str:
    """The answer to write anew: the one that is named, or the last."""
    conversation = await served.store.conversation(LOCAL_OWNER, conversation_id)
    answers = [message.id for message in conversation.messages if message.role == "assistant"]
    if not answers:
        raise InvalidInput("There is no answer yet to write anew.")
    return asked.messageId if asked.messageId in answers else answers[-1]


async def _decided(served: Services, run_id: str, decisions: Sequence[ui.Decided], limit: int) -> Response:
    """Tell the run, and go on with its answer where the client's stream of it ended."""
    conversation_id, now = await look(served.runs, LOCAL_OWNER, run_id)
    parked = await _parked(served, run_id, now)
    waiting = {p.id for p in now.message.parts if isinstance(p, ToolCallPart) and p.state == "awaiting-approval"}
    for one in decisions:
        if one.call_id in waiting:
            decision = Decision(one.approved, reason=one.reason)
            await served.runs.decide(LOCAL_OWNER, run_id, one.call_id, decision)
    return await _stream(served, conversation_id, parked.message, parked.seq, limit, goes_on=True)


async def _parked(served: Services, run_id: str, now: Snapshot) -> Snapshot:
    """The answer as it was when it began to wait, which is what the client has. It may have been decided since."""
    if now.message.status != "waiting":
        with suppress(NotFound, OutOfOrder):
            await served.runs.log.attach(run_id)
            entries = served.runs.log.take(run_id, 0)
            if not isinstance(entries, Snapshot):
                waits = max((entry.seq for entry in entries if isinstance(entry.event, Waiting)), default=0)
                empty = Message(run_id, "assistant", status="streaming", model=now.message.model)
                return Snapshot(waits, fold(empty, [entry.event for entry in entries[:waits]]))
    return Snapshot(now.seq, replace(now.message, status="waiting", error=None, stop_reason=None))


async def _stream(
    served: Services, conversation_id: str, message: Message, after: int, limit: int, *, goes_on: bool = False
) -> Response:
    """``after``: -1 for a snapshot first, which has what the answer began with."""
    metadata = {"conversationId": conversation_id, "runId": message.id}
    if message.model:
        metadata["model"] = message.model
    writer = UIMessageWriter(message.id, metadata, message if goes_on else None)
    reader = Reader(served.runs, LOCAL_OWNER, message.id, after)
    headers = {**SSE_HEADERS, **HEADERS, "X-Run-Id": message.id, "X-Conversation-Id": conversation_id}
    chunks = _chunks(reader, writer, Told(message))
    return EventStream(chunks, gone=reader.close, limit=limit, headers=headers)


async def _chunks(reader: Reader, writer: UIMessageWriter, told: Told) -> AsyncGenerator[bytes, None]:
    yield writer.open()
    try:
        async with aclosing(reader.batches()) as batches:
            async for batch in batches:
                if batch is None:
                    yield COMMENT
                    continue
                events = told.take(batch)
                if chunk := b"".join(map(writer.add, events)):
                    yield chunk
                if any(isinstance(event, Waiting) for event in events):
                    return
    except NotFound as error:  # the conversation was deleted while it was read
        yield writer.add(Failed(error.user_message, error.kind, retryable=False))
