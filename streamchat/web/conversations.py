"""``/api/conversations``: the list, one conversation, its export; ``/api/search`` over all of them.

Knows the store; changes nothing.
"""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from streamchat.chat.wire import message_to_wire
from streamchat.web.export import as_json, as_markdown, file_headers
from streamchat.web.runs import json_response
from streamchat.web.shapes import PROBLEMS, ConversationList, ConversationOut, Hits
from streamchat.wiring import LOCAL_OWNER, services

router = APIRouter(prefix="/api", tags=["conversations"])
ConversationId = Annotated[str, Path(description="The id of a conversation.")]
Limit = Annotated[int, Query(ge=1, le=200)]


@router.get("/conversations", response_model=ConversationList, responses=PROBLEMS(422, 503))
async def conversations(
    limit: Limit = 50,
    before: Annotated[str | None, Query(max_length=200, description="`next` of the page before.")] = None,
) -> Response:
    """Newest first, in pages."""
    rows = await services().store.conversations(LOCAL_OWNER, limit=limit, before=before)
    listed = [
        {"id": row.id, "title": row.title, "updated_at": row.updated_at.isoformat(), "answering": row.answering}
        for row in rows
    ]
    return json_response({"conversations": listed, "next": rows[-1].cursor if len(rows) == limit else None})


@router.get("/conversations/{conversation_id}", response_model=ConversationOut, responses=PROBLEMS(404, 422, 503))
async def conversation(conversation_id: ConversationId) -> Response:
    """Its active branch, as stored: a running answer is there as far as it is stored."""
    found = await services().store.conversation(LOCAL_OWNER, conversation_id)
    return json_response(
        {"id": found.id, "title": found.title, "messages": [message_to_wire(message) for message in found.messages]}
    )


@router.get(
    "/conversations/{conversation_id}/export",
    response_class=Response,
    responses={
        200: {
            "description": "A file.",
            "content": {"text/markdown": {"schema": {"type": "string"}}, "application/json": {}},
            "model": ConversationOut,
        }
    }
    | PROBLEMS(404, 422, 503),
)
async def export(
    conversation_id: ConversationId, format: Annotated[Literal["markdown", "json"], Query()] = "markdown"
) -> Response:
    """The conversation as a file. Markdown has what was said and no reasoning; JSON has all."""
    found = await services().store.conversation(LOCAL_OWNER, conversation_id)
    if format == "json":
        return Response(as_json(found), headers=file_headers(found.title, "json"), media_type="application/json")
    text = as_markdown(found.title, found.messages)
    return Response(text, headers=file_headers(found.title, "md"), media_type="text/markdown")


@router.get("/search", response_model=Hits, responses=PROBLEMS(422, 503))
async def search(
    q: Annotated[str, Query(min_length=1, max_length=1000, description="Words; of the last its beginning is enough.")],
    limit: Limit = 20,
    before: Annotated[str | None, Query(max_length=200, description="`next` of the page before.")] = None,
) -> Response:
    """The messages with all these words, newest first, in pages."""
    hits = await services().store.search(LOCAL_OWNER, q, limit=limit, before=before)
    found = [
        {
            "conversation_id": hit.conversation_id,
            "title": hit.title,
            "message_id": hit.message_id,
            "role": hit.role,
            "snippet": hit.snippet,
            "created_at": hit.created_at.isoformat(),
        }
        for hit in hits
    ]
    return json_response({"hits": found, "next": hits[-1].cursor if len(hits) == limit else None})
