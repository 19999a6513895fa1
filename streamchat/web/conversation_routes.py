"""``/api/conversations``: the list, one conversation with its settings, its export and its link to a snapshot.

``/api/search``: full-text search over all of them. Knows the store and ``RunService``. Rule: every change is announced
to the owner's pages.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Path, Query, Request
from starlette.responses import Response

from streamchat.chat.request import RunOptions
from streamchat.chat.wire import message_to_wire
from streamchat.protocols.encoding import SseEncoder, json_bytes
from streamchat.runs.log import Snapshot
from streamchat.runs.notifications import Notification
from streamchat.runs.service import check_search
from streamchat.web.carried_files import with_data, with_stored_files
from streamchat.web.dependencies import Context, services_of
from streamchat.web.export import about_json, as_json, as_markdown, file_headers
from streamchat.web.importing import read_import
from streamchat.web.read_limits import CHECKED, SHARED, ResponseCache, Turn, not_modified
from streamchat.web.run_routes import (
    EVENTS,
    UNCHANGED,
    etag_of,
    json_response,
    kept_response,
    position,
    run_json,
    start_response,
)
from streamchat.web.schemas import (
    PROBLEMS,
    Changed,
    ConversationAbout,
    ConversationList,
    ConversationOut,
    ConversationPatch,
    Hits,
    ImportedOut,
    ImportIn,
    Link,
    MessageIn,
    RunOut,
    Started,
)
from streamchat.web.schemas import Snapshot as SharedOut
from streamchat.web.streaming import SSE_HEADERS, EventStream
from streamchat.wiring.request_context import RequestContext

router = APIRouter(prefix="/api", tags=["conversations"])
ConversationId = Annotated[str, Path(description="The id of a conversation.")]
Limit = Annotated[int, Query(ge=1, le=200)]
CHANGES = PROBLEMS(400, 403, 404, 408, 413, 415, 422, 429, 503)


@router.get("/conversations", response_model=ConversationList, responses=PROBLEMS(422, 429, 503))
async def conversations(
    context: Context,
    turn: Turn,
    limit: Limit = 50,
    before: Annotated[str | None, Query(max_length=200, description="`next` of the previous page.")] = None,
    archived: Annotated[bool, Query(description="Those in the archive instead of the others.")] = False,
) -> Response:
    """Conversations in pages: the pinned ones, then the others, each newest first.

    Those that changed since the first page come at the end, maybe for a second time: none is skipped.
    """
    rows, following = await context.store.walk(context.owner, limit=limit, before=before, archived=archived)
    listed = [
        {
            "id": row.id,
            "title": row.title,
            "updated_at": row.updated_at.isoformat(),
            "answering": row.answering,
            "waiting": row.waiting,
            "pinned": row.pinned,
            "archived": row.archived,
        }
        for row in rows
    ]
    return json_response({"conversations": listed, "next": following})


@router.post("/conversations/import", status_code=201, response_model=ImportedOut, responses=CHANGES)
async def bring(body: ImportIn, context: Context) -> Response:
    """Import conversations: a JSON or Markdown export of this API, or `conversations.json` of ChatGPT, as text."""
    found = await asyncio.to_thread(read_import, body.text)
    stored = []
    for conversation in found:
        messages = await with_stored_files(context, conversation.messages)
        stored.append(await context.store.insert_conversation(context.owner, conversation.title, messages))
    context.runs.feed.publish(context.owner, Notification("changed", stored[0]))
    return json_response({"conversations": [{"id": conversation_id} for conversation_id in stored]}, 201)


@router.get(
    "/conversations/{conversation_id}",
    response_model=ConversationOut,
    responses={304: {"description": "It did not change since the response with this `ETag`."}}
    | PROBLEMS(404, 422, 429, 503),
)
async def conversation(conversation_id: ConversationId, context: Context, request: Request, turn: Turn) -> Response:
    """The active branch as stored. A running answer is included as far as it is stored."""
    # The version first: what is read then is as new, or newer.
    etag = f'"{await context.store.version(context.owner, conversation_id)}"'
    if response := not_modified(request, etag):
        return response
    cache: ResponseCache = request.app.state.responses
    key = (context.owner, conversation_id)
    body = cache.get(key, etag)
    if body is None:
        body = json_bytes(as_json(await context.store.conversation(context.owner, conversation_id)))
        cache.put(key, etag, body)
    return Response(body, headers={"ETag": etag, **CHECKED}, media_type="application/json")


def changed(context: RequestContext, conversation_id: str) -> Response:
    """Announce a change of a conversation, and return its id."""
    context.runs.feed.publish(context.owner, Notification("changed", conversation_id))
    return json_response({"conversation_id": conversation_id})


@router.patch("/conversations/{conversation_id}", response_model=ConversationAbout, responses=CHANGES)
async def patch(conversation_id: ConversationId, body: ConversationPatch, context: Context) -> Response:
    """Rename, pin or archive a conversation, or change what its next answer is generated with."""
    owner, store = context.owner, context.store
    if body.model is not None:
        (await context.models()).info(body.model)
    current = await store.about(owner, conversation_id)
    if body.preset is not None:
        preset = await store.presets.get(owner, body.preset, "preset")
        if preset.model:
            (await context.models()).info(preset.model)
        await store.configure(owner, conversation_id, model=preset.model or None, options=preset.options)
        await store.choose(owner, conversation_id, off=preset.tools_off)
        current = await store.about(owner, conversation_id)
    options = body.changed_options(current.settings.options)
    if body.options is not None and body.options.web_search and (model := body.model or current.settings.model):
        check_search((await context.models()).info(model), options or RunOptions())
    if body.title is not None:
        await store.rename(owner, conversation_id, body.title)
    await store.configure(
        owner,
        conversation_id,
        model=body.model,
        options=options,
        pinned=body.pinned,
        archived=body.archived,
    )
    changed(context, conversation_id)
    return json_response(about_json(await store.about(owner, conversation_id)))


@router.delete("/conversations/{conversation_id}", response_model=Changed, responses=CHANGES)
async def delete(conversation_id: ConversationId, context: Context) -> Response:
    """Delete a conversation. An answer in progress is stopped first. `restore` undoes it for 30 days."""
    await context.runs.stop(context.owner, conversation_id)
    await context.store.discard(context.owner, conversation_id)
    return changed(context, conversation_id)


@router.post("/conversations/{conversation_id}/restore", response_model=Changed, responses=CHANGES)
async def restore(conversation_id: ConversationId, context: Context) -> Response:
    """Bring a deleted conversation back."""
    await context.store.restore(context.owner, conversation_id)
    return changed(context, conversation_id)


@router.post(
    "/conversations/{conversation_id}/messages",
    status_code=201,
    response_model=Started,
    responses={200: {"model": Started}} | CHANGES | PROBLEMS(409),
)
async def ask(conversation_id: ConversationId, body: MessageIn, context: Context) -> Response:
    """Start an answer in this conversation, as `POST /api/runs` does."""
    await context.store.about(context.owner, conversation_id)
    new = body.run_in(conversation_id).new_run((await context.models()).default)
    return await start_response(context, new, body.models)


@router.post("/conversations/{conversation_id}/share", response_model=Link, responses=CHANGES)
async def share(conversation_id: ConversationId, context: Context) -> Response:
    """Make a link that shows the active branch as it is now to whoever has it. The same link again shows it anew."""
    share_id = await context.store.share(context.owner, conversation_id)
    await context.record("shared", id=conversation_id)
    return json_response({"share_id": share_id, "path": f"/s/{share_id}"})


@router.delete("/conversations/{conversation_id}/share", response_model=Changed, responses=CHANGES)
async def unshare(conversation_id: ConversationId, context: Context) -> Response:
    """Take the link back: it shows nothing from now on."""
    await context.store.unshare(context.owner, conversation_id)
    await context.record("unshared", id=conversation_id)
    return json_response({"conversation_id": conversation_id})


ShareId = Annotated[str, Path(description="The id of a link.")]
SharedRunId = Annotated[str, Path(description="The id of an answer that the link shows.")]


@router.get("/shares/{share_id}", response_model=SharedOut, responses=UNCHANGED | PROBLEMS(404, 422, 503))
async def shared(
    share_id: ShareId,
    request: Request,
    limit: Limit = 100,
    before: Annotated[str | None, Query(max_length=64, description="The first message of the previous page.")] = None,
) -> Response:
    """What a link shows: the end of the conversation as it was shared, or the page before a message."""
    page = await services_of(request).store.shared(share_id, limit=limit, before=before)
    messages = [message_to_wire(message) for message in page.messages]
    body = json_bytes({"title": page.title, "messages": messages, "earlier": page.earlier})
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": etag, **SHARED}
    return not_modified(request, etag, SHARED) or Response(body, headers=headers, media_type="application/json")


@router.get("/shares/{share_id}/runs/{run_id}", response_model=RunOut, responses=UNCHANGED | PROBLEMS(404, 422, 503))
async def shared_run(share_id: ShareId, run_id: SharedRunId, request: Request) -> Response:
    """One answer of what a link shows. It does not change, and a proxy may keep it."""
    stored = await services_of(request).store.shared_run(share_id, run_id)
    snapshot = Snapshot(stored.seq, stored.message)
    return kept_response(request, snapshot, run_json("", snapshot), SHARED)


@router.get(
    "/shares/{share_id}/runs/{run_id}/events",
    response_class=EventStream,
    responses=EVENTS | UNCHANGED | PROBLEMS(400, 404, 422, 503),
)
async def shared_events(
    share_id: ShareId,
    run_id: SharedRunId,
    request: Request,
    after: Annotated[str | None, Query(description="Send what comes after this `seq`.")] = None,
    last_event_id: Annotated[str | None, Header(description="As `after`; takes precedence over it.")] = None,
) -> Response:
    """The same as events: a snapshot and its ending, the same for everybody. A proxy may keep them."""
    start_after = position(last_event_id or after)
    stored = await services_of(request).store.shared_run(share_id, run_id)
    snapshot = Snapshot(stored.seq, stored.message)
    if last_event_id and start_after == snapshot.seq:
        return Response(None, 204)
    if response := not_modified(request, etag_of(snapshot), SHARED):
        return response
    encoder = SseEncoder(run_id)
    pieces = [*encoder.open(), *encoder.snapshot(snapshot), *encoder.close()]
    # It is complete: a proxy may hold it, and nginx caches only what it may hold.
    headers = {name: value for name, value in SSE_HEADERS.items() if name != "X-Accel-Buffering"}
    headers |= {"ETag": etag_of(snapshot), **SHARED}
    return Response(b"".join(pieces), headers=headers)


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
    turn: Turn,
    conversation_id: ConversationId,
    context: Context,
    format: Annotated[Literal["markdown", "json"], Query()] = "markdown",
) -> Response:
    """The conversation as a file. Markdown has the messages without reasoning; JSON everything, also files."""
    stored = await context.store.conversation(context.owner, conversation_id)
    if format == "json":
        exported = as_json(stored)
        await with_data(context.store, context.owner, exported["messages"])
        return json_response(exported, headers=file_headers(stored.title, "json"))
    text = as_markdown(stored.title, stored.messages, stored.feedback)
    return Response(text, headers=file_headers(stored.title, "md"), media_type="text/markdown")


@router.get("/search", response_model=Hits, responses=PROBLEMS(422, 503))
async def search(
    turn: Turn,
    context: Context,
    q: Annotated[str, Query(min_length=1, max_length=1000, description="Words. The last one may be a prefix.")],
    limit: Limit = 20,
    before: Annotated[str | None, Query(max_length=200, description="`next` of the previous page.")] = None,
) -> Response:
    """Messages that contain all words, newest first, in pages."""
    hits = await context.store.search(context.owner, q, limit=limit, before=before)
    rows = [
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
    return json_response({"hits": rows, "next": hits[-1].cursor if len(hits) == limit else None})
