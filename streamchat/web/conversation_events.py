"""``/api/conversations/{id}/events``: follow a conversation without knowing its runs, as SSE or over a WebSocket.

A stream lasts as long as its reader wants. Rule: after ``MAX_SECONDS``, or if something of its owner was revoked, it
ends, and the reader resumes with its cursor and shows its credentials again.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, WebSocket
from starlette.responses import Response
from starlette.websockets import WebSocketDisconnect

from streamchat.errors import InvalidInput, StreamchatError
from streamchat.identity import READ
from streamchat.protocols.conversation_events import message_stream, sse_stream
from streamchat.runs.conversation_reader import ConversationReader, Cursor
from streamchat.web.conversation_routes import ConversationId
from streamchat.web.dependencies import Context, context_of
from streamchat.web.error_responses import BadRequest
from streamchat.web.event_schema import conversation_events
from streamchat.web.read_limits import Turn
from streamchat.web.schemas import PROBLEMS
from streamchat.web.streaming import EventStream, streams
from streamchat.web.websocket import PONG, refuse, send_text
from streamchat.wiring.request_context import RequestContext

router = APIRouter()
MAX_SECONDS = 600.0
EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "`message` for each message, and the events of answers with their `run_id`; `id` is a cursor.",
        "content": conversation_events(),
    }
}


@router.get(
    "/api/conversations/{conversation_id}/events",
    tags=["conversations"],
    response_class=EventStream,
    responses=EVENTS | PROBLEMS(400, 404, 422, 429, 503),
)
async def events(
    conversation_id: ConversationId,
    context: Context,
    turn: Turn,
    after: Annotated[str | None, Query(description="A cursor; `latest`: only what comes from now on.")] = None,
    last_event_id: Annotated[str | None, Header(description="As `after`; takes precedence over it.")] = None,
) -> Response:
    """Follow all messages and answers of a conversation, from the beginning or from any cursor."""
    reader = await reader_of(context, conversation_id, last_event_id or after)
    slot = streams.take(context)
    return EventStream(sse_stream(reader), gone=reader.close, slot=slot)


@router.websocket("/api/conversations/{conversation_id}/ws")
async def follow(websocket: WebSocket, conversation_id: str, after: str | None = None) -> None:
    """The same over a WebSocket: each event is a JSON message with its ``type`` and ``cursor``."""
    await websocket.accept()
    try:
        context = await context_of(websocket)
        context.identity.require(READ)
        with streams.take(context):
            reader = await reader_of(context, conversation_id, after)
            await _serve(websocket, reader)
    except StreamchatError as error:
        await refuse(websocket, error)


async def _serve(websocket: WebSocket, reader: ConversationReader) -> None:
    listening = asyncio.create_task(_listen(websocket, reader))
    try:
        async with aclosing(message_stream(reader)) as batches:
            async for messages in batches:
                for text in messages:
                    await send_text(websocket, text)
        if not reader.closed:
            await websocket.close()
    except WebSocketDisconnect:
        pass  # the client has gone
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def _listen(websocket: WebSocket, reader: ConversationReader) -> None:
    """Answer pings, and close the reader once the client has gone."""
    with suppress(WebSocketDisconnect):
        while (await websocket.receive())["type"] != "websocket.disconnect":
            await send_text(websocket, PONG)
    reader.close()


async def reader_of(context: RequestContext, conversation_id: str, after: str | None) -> ConversationReader:
    """Return a reader from a cursor on. Raises ``BadRequest``, ``NotFound``, ``StorageError``."""
    store, owner = context.store, context.owner
    try:
        if after == "latest":
            cursor = Cursor(*await store.last_position(owner, conversation_id))
        else:
            cursor = Cursor.parse(after)
    except InvalidInput as error:
        raise BadRequest(error.user_message) from None
    await store.about(owner, conversation_id)
    accounts = context.services.accounts
    return ConversationReader(
        context.runs,
        store,
        owner,
        conversation_id,
        cursor,
        seconds=MAX_SECONDS,
        watch=(lambda close: accounts.sessions.watch(owner, close)) if accounts else None,
    )
