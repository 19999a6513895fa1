"""``/v1/conversations``: OpenAI's Conversations API, for responses that name a conversation.

A conversation is one of ours, so that of any client can be requested as ``conv_`` and its identifier. Rules:

* Its items are those of the active branch. They are added after it by responses, when it is created, or by themselves.
* What system messages among them say becomes its system prompt, which holds for its responses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import Field
from starlette.responses import Response

from streamchat.chat.messages import Message
from streamchat.errors import InvalidInput, NotFound
from streamchat.protocols.encoding import json_bytes
from streamchat.protocols.fields import Shape
from streamchat.protocols.openai_responses.request import CONVERSATION_PREFIX, Item, conversation_of, turns_of
from streamchat.protocols.openai_responses.stored import input_items, items_of
from streamchat.web.compat.responses_routes import NOT_FOUND, After, Limit, Order, page_of, resolved
from streamchat.web.compat.start import add_system
from streamchat.web.conversation_routes import changed
from streamchat.web.dependencies import Context
from streamchat.wiring.request_context import RequestContext

router = APIRouter(prefix="/v1/conversations", tags=["vendor-shaped"])
Name = Annotated[str, Path(max_length=200, description="`conv_` and the id of a conversation.")]
ItemId = Annotated[str, Path(max_length=200)]
MAX_ITEMS = 20
CONVERSATION: dict[int | str, dict[str, Any]] = {
    200: {"description": "The conversation.", "content": {"application/json": {}}},
    **NOT_FOUND,
}


Metadata = Annotated[
    dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]], Field(max_length=16)
]


class ConversationIn(Shape):
    """`POST /v1/conversations`."""

    items: Annotated[list[Item], Field(max_length=MAX_ITEMS)] | None = None
    metadata: Metadata | None = None


class ConversationChange(Shape):
    """`POST /v1/conversations/{id}`. The metadata replaces what was there."""

    metadata: Metadata | None


class ItemsIn(Shape):
    """`POST /v1/conversations/{id}/items`."""

    items: Annotated[list[Item], Field(min_length=1, max_length=MAX_ITEMS)]


@router.post("", responses=CONVERSATION)
async def create(context: Context, body: ConversationIn) -> Response:
    """Begin a conversation, with some items or none."""
    system, turns = await _turns(context, body.items or ())
    conversation_id = await context.store.insert_conversation(context.owner, "", turns)
    if system:
        await add_system(context, conversation_id, system)
    if body.metadata:
        await context.store.set_labels(context.owner, conversation_id, body.metadata)
    changed(context, conversation_id)
    return await _response(context, conversation_id)


@router.get("/{conversation}", responses=CONVERSATION)
async def retrieve(conversation: Name, context: Context) -> Response:
    """The conversation."""
    return await _response(context, conversation_of(conversation))


@router.post("/{conversation}", responses=CONVERSATION)
async def update(conversation: Name, context: Context, body: ConversationChange) -> Response:
    """Replace the metadata of a conversation."""
    conversation_id = conversation_of(conversation)
    await context.store.set_labels(context.owner, conversation_id, body.metadata or {})
    return await _response(context, conversation_id)


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


@router.post("/{conversation}/items", responses=CONVERSATION)
async def add(conversation: Name, context: Context, body: ItemsIn) -> Response:
    """Add items after the active branch. Nothing is answered."""
    conversation_id = conversation_of(conversation)
    system, turns = await _turns(context, body.items)
    await context.store.about(context.owner, conversation_id)
    added = await context.store.append(context.owner, conversation_id, turns) if turns else []
    if system:
        await add_system(context, conversation_id, system)
    changed(context, conversation_id)
    stored = await context.store.conversation(context.owner, conversation_id)
    new = [message for message in stored.messages if message.id in added]
    return page_of(input_items(new), len(turns) * MAX_ITEMS + 1, "asc", None)


@router.delete("/{conversation}/items/{item_id}", responses=CONVERSATION)
async def remove(conversation: Name, item_id: ItemId, context: Context) -> Response:
    """Delete an item. One of several items of an answer cannot be deleted by itself."""
    conversation_id = conversation_of(conversation)
    stored = await context.store.conversation(context.owner, conversation_id)
    for message in stored.messages:
        ids = [item["id"] for item in items_of(message)]
        if item_id in ids:
            if len(ids) > 1:
                raise InvalidInput("This item is part of an answer with others. Delete the response instead.")
            await context.store.delete_messages(context.owner, message.id)
            changed(context, conversation_id)
            return await _response(context, conversation_id)
    raise NotFound("There is no item with this id.")


@router.get("/{conversation}/items/{item_id}", responses=CONVERSATION)
async def one(conversation: Name, item_id: ItemId, context: Context) -> Response:
    """One item of the active branch."""
    stored = await context.store.conversation(context.owner, conversation_of(conversation))
    for item in input_items(stored.messages):
        if item["id"] == item_id:
            return _json(item)
    raise NotFound("There is no item with this id.")


async def _turns(context: RequestContext, items: Sequence[Item]) -> tuple[str, list[Message]]:
    """Return what the system messages of these items say, and the rest as turns. Raises ``InvalidInput``."""
    if not items:
        return "", []
    system, turns = turns_of(await resolved(context, items))
    return system, [replace(turn, parts=await context.stored_parts(turn.parts)) for turn in turns]


async def _response(context: Context, conversation_id: str) -> Response:
    created, labels = await context.store.labels(context.owner, conversation_id)
    fields = {"id": CONVERSATION_PREFIX + conversation_id, "object": "conversation", "metadata": labels}
    return _json({**fields, "created_at": int(created.timestamp())})


def _json(value: Any) -> Response:
    return Response(json_bytes(value), media_type="application/json")
