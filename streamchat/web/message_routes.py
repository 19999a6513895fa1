"""``/api/messages``: one message, other versions of it, the choice between them, and deletion with undo.

Knows the store and ``RunService``. Rule: every change is announced to the owner's pages.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from streamchat.chat.events import Stopped
from streamchat.chat.feedback import checked_feedback, feedback_to_wire
from streamchat.chat.fold import fold
from streamchat.chat.messages import TextPart, close_open_calls
from streamchat.chat.request import NewRun
from streamchat.chat.wire import message_to_wire
from streamchat.errors import InvalidInput
from streamchat.runs.cut import cut_at
from streamchat.runs.notifications import Notification
from streamchat.web.conversation_routes import changed
from streamchat.web.dependencies import Context
from streamchat.web.run_routes import json_response, started_response
from streamchat.web.schemas import (
    PROBLEMS,
    Changed,
    EditIn,
    FeedbackIn,
    ForkIn,
    RegenerateIn,
    Started,
    StoredMessageOut,
)

router = APIRouter(prefix="/api/messages", tags=["messages"])
MessageId = Annotated[str, Path(description="The id of a message.")]
STARTS = {200: {"model": Started}} | PROBLEMS(400, 403, 404, 408, 409, 413, 415, 422, 429, 503)
CHANGES = PROBLEMS(400, 403, 404, 408, 413, 415, 422, 503)


@router.get("/{message_id}", response_model=StoredMessageOut, responses=PROBLEMS(404, 422, 503))
async def message(message_id: MessageId, context: Context) -> Response:
    """One message as stored, with its place and its times."""
    stored = await context.store.message(context.owner, message_id)
    return json_response(
        {
            "conversation_id": stored.conversation_id,
            "parent_id": stored.parent_id,
            "created_at": stored.created_at.isoformat(),
            "updated_at": stored.updated_at.isoformat(),
            "message": message_to_wire(stored.message),
            **({"feedback": feedback_to_wire(stored.feedback)} if stored.feedback else {}),
        }
    )


@router.post("/{message_id}/regenerate", status_code=201, response_model=Started, responses=STARTS)
async def regenerate(message_id: MessageId, context: Context, body: RegenerateIn | None = None) -> Response:
    """Answer again, beside an answer that has ended: by another model, or by the one that answered.

    With `after` the new answer begins as the old one did up to that event, and goes on from there.
    """
    body = body or RegenerateIn()
    model = body.model
    if model is None:
        model = (await context.store.answer(context.owner, message_id)).message.model
    key = body.client_message_id or uuid.uuid4().hex
    started = await context.retry(message_id, key, model, continue_partial=False, after=body.after)
    return started_response(context, started)


@router.post("/{message_id}/edit", status_code=201, response_model=Started, responses=STARTS)
async def edit(message_id: MessageId, body: EditIn, context: Context) -> Response:
    """Ask another version of a question, beside it. Its attachments stay; the model is that of the conversation."""
    stored = await context.store.message(context.owner, message_id)
    if stored.message.role != "user":
        raise InvalidInput("Only a question can be edited.")
    others = [part for part in stored.message.parts if not isinstance(part, TextPart)]
    new = NewRun(
        client_message_id=body.client_message_id or uuid.uuid4().hex,
        model=body.model or "",
        parts=[*others, TextPart(body.message)] if body.message.strip() else others,
        conversation_id=stored.conversation_id,
        parent_id=stored.parent_id,
        inherit=True,
    )
    return started_response(context, await context.start(new))


@router.post("/{message_id}/fork", status_code=201, response_model=Changed, responses=CHANGES)
async def fork(message_id: MessageId, context: Context, body: ForkIn | None = None) -> Response:
    """Copy the branch up to this message into a new conversation, with the same settings. Returns that conversation.

    With `after` the copy of the answer ends with that event.
    """
    last = None
    if body is not None and body.after is not None:
        cut = (await cut_at(context.runs, context.owner, message_id, body.after)).message
        last = cut if cut.ended else fold(replace(cut, parts=close_open_calls(cut.parts)), Stopped())
    conversation_id = await context.store.fork(context.owner, message_id, last)
    context.runs.feed.publish(context.owner, Notification("changed", conversation_id))
    return json_response({"conversation_id": conversation_id}, 201)


@router.post("/{message_id}/select", response_model=Changed, responses=CHANGES)
async def select(message_id: MessageId, context: Context) -> Response:
    """Show the branch of this message: the newest one that goes through it.

    An answer that stands beside others is kept: those that are still being written stop, and its model answers next.
    """
    return changed(context, await context.runs.keep(context.owner, message_id))


@router.post("/{message_id}/feedback", response_model=Changed, responses=CHANGES)
async def rate(message_id: MessageId, body: FeedbackIn, context: Context) -> Response:
    """Say what you think of an answer that has ended. It takes the place of what you said before."""
    value = checked_feedback(body.rating, body.reason)
    return changed(context, await context.store.put_feedback(context.owner, message_id, value))


@router.delete("/{message_id}/feedback", response_model=Changed, responses=CHANGES)
async def unrate(message_id: MessageId, context: Context) -> Response:
    """Take back what you said of an answer."""
    return changed(context, await context.store.put_feedback(context.owner, message_id, None))


@router.delete("/{message_id}", response_model=Changed, responses=CHANGES)
async def delete(
    message_id: MessageId,
    context: Context,
    following: Annotated[bool, Query(description="Also everything that comes after it.")] = False,
) -> Response:
    """Delete a message. An answer in progress is stopped first. `restore` undoes it."""
    if following:
        stored = await context.store.message(context.owner, message_id)
        await context.runs.stop(context.owner, stored.conversation_id)
    elif any(row.run_id == message_id for row in await context.store.answering(context.owner)):
        await context.runs.cancel(context.owner, message_id)
    return changed(context, await context.store.delete_messages(context.owner, message_id, following=following))


@router.post("/{message_id}/restore", response_model=Changed, responses=CHANGES)
async def restore(message_id: MessageId, context: Context) -> Response:
    """Bring back a deleted message, with what was deleted with it."""
    return changed(context, await context.store.restore_messages(context.owner, message_id))
