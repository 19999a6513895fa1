"""``/v1/conversations``: OpenAI's Conversations API, for responses that name a conversation.

A conversation is one of ours, so that of any client can be requested as ``conv_`` and its identifier. Rules:

* Its items are those of the active branch. Items are added by responses, or when it is created.
* Metadata is not kept.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import Field
from starlette.responses import Response

from streamchat.errors import NotFound
from streamchat.protocols.encoding import json_bytes
from streamchat.protocols.fields import Shape
from streamchat.protocols.openai_responses.request import CONVERSATION_PREFIX, Item, conversation_of, turns_of
from streamchat.protocols.openai_responses.stored import input_items
from streamchat.web.compat.responses_routes import NOT_FOUND, After, Limit, Order, page_of, resolved
from streamchat.web.conversation_routes import changed
from streamchat.web.dependencies import Context

router = APIRouter(prefix="/v1/conversations", tags=["vendor-shaped"])
Name = Annotated[str, Path(max_length=200, description="`conv_` and the id of a conversation.")]
MAX_ITEMS = 20
CONVERSATION: dict[int | str, dict[str, Any]] = {
    200: {"description": "The conversation.", "content": {"application/json": {}}},
    **NOT_FOUND,
}


class ConversationIn(Shape):
    """`POST /v1/conversations`."""

    items: Annotated[list[Item], Field(max_length=MAX_ITEMS)] | None = None
    metadata: dict[str, Any] | None = None


@router.post("", responses=CONVERSATION)
async def create(context: Context, body: ConversationIn) -> Response:
    """Begin a conversation, with some items or none."""
    items = await resolved(context, body.items or ())
    turns = turns_of(items) if items else ()
    conversation_id = await context.store.insert_conversation(context.owner, "", turns)
    changed(context, conversation_id)
    return await _response(context, conversation_id, body.metadata)


@router.get("/{conversation}", responses=CONVERSATION)
async def retrieve(conversation: Name, context: Context) -> Response:
    """The conversation."""
    return await _response(context, conversation_of(conversation))


@router.delete("/{conversation}", responses=CONVERSATION)
async def delete(conversation: Name, context: Context) -> Response:
    """Delete a conversation for good. An answer in progress is stopped first."""
    conversation_id = conversation_of(conversation)
    await context.store.about(context.owner, conversation_id)
    await context.runs.stop(context.owner, conversation_id)
    await context.store.delete(context.owner, conversation_id)
    changed(context, conversation_id)
    return _json({"id": conversation, "object": "conversation.deleted", "deleted": True})


@router.get("/{conversation}/items", responses=CONVERSATION)
async def listed(
    conversation: Name, context: Context, limit: Limit = 20, order: Order = "desc", after: After = None
) -> Response:
    """The items of the active branch."""
    stored = await context.store.conversation(context.owner, conversation_of(conversation))
    return page_of(input_items(stored.messages), limit, order, after)


@router.get("/{conversation}/items/{item_id}", responses=CONVERSATION)
async def one(conversation: Name, item_id: Annotated[str, Path(max_length=200)], context: Context) -> Response:
    """One item of the active branch."""
    stored = await context.store.conversation(context.owner, conversation_of(conversation))
    for item in input_items(stored.messages):
        if item["id"] == item_id:
            return _json(item)
    raise NotFound("There is no item with this id.")


async def _response(context: Context, conversation_id: str, metadata: dict[str, Any] | None = None) -> Response:
    created = await context.store.created_at(context.owner, conversation_id)
    fields = {"id": CONVERSATION_PREFIX + conversation_id, "object": "conversation", "metadata": metadata or {}}
    return _json({**fields, "created_at": int(created.timestamp())})


def _json(value: Any) -> Response:
    return Response(json_bytes(value), media_type="application/json")
