"""``/v1/responses/{id}``: retrieve, resume, cancel or delete a response, and list what it was given.

A response is a run, so the run of any client can be requested as ``resp_`` and its identifier. Rules:

* Tool calls that have results are left out, because they belong to an earlier response.
* What was not to be stored does not exist here, not even while it is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from streamchat.chat.events import Event
from streamchat.chat.messages import Message
from streamchat.chat.request import RunOptions, is_unkept
from streamchat.errors import InvalidInput, NotFound
from streamchat.protocols.encoding import json_bytes
from streamchat.protocols.openai_responses.request import PREFIX, Item, Reasoning, ResponsesRequest, ToolIn
from streamchat.protocols.openai_responses.stored import (
    earlier_reasoning,
    input_items,
    items_of,
    message_id_of,
    trimmed,
)
from streamchat.protocols.openai_responses.stream import ResponsesWriter
from streamchat.protocols.replay import Replay
from streamchat.runs.log import Entry, Snapshot
from streamchat.runs.reader import RunReader
from streamchat.web.compat import respond
from streamchat.web.compat.respond import Answering
from streamchat.web.conversation_routes import changed
from streamchat.web.dependencies import Context
from streamchat.web.streaming import release_on_error, streams
from streamchat.wiring.request_context import RequestContext

router = APIRouter(prefix="/v1/responses", tags=["vendor-shaped"])
ResponseId = Annotated[str, Path(max_length=200, description="`resp_` and the id of a run.")]
Limit = Annotated[int, Query(ge=1, le=100, description="How many items there may be in a page.")]
Order = Annotated[Literal["asc", "desc"], Query(description="`desc`: the newest first.")]
After = Annotated[str | None, Query(max_length=200, description="The id of the last item of the page before.")]
NOT_FOUND: dict[int | str, dict[str, Any]] = {
    404: {"description": "An error in OpenAI's shape.", "content": {"application/json": {}}},
    400: {"description": "An error in OpenAI's shape.", "content": {"application/json": {}}},
}
RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The response, or with `stream` its events.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}, "application/json": {}},
    },
    **NOT_FOUND,
}


@router.get("/{response_id}", responses=RESPONSES)
async def retrieve(
    request: Request,
    context: Context,
    response_id: ResponseId,
    stream: Annotated[bool, Query(description="Stream the events.")] = False,
    starting_after: Annotated[
        int | None, Query(description="The number of the last event that the client has.")
    ] = None,
) -> Response:
    """The response so far, or its events after any number."""
    run_id = _run_of(response_id)
    writer = await _writer(context, run_id, -1 if starting_after is None else starting_after)
    conversation_id, snapshot = await context.runs.get(context.owner, run_id)
    headers = {"X-Run-Id": run_id, "X-Conversation-Id": conversation_id}
    if not stream:
        return _whole(writer, snapshot.message, headers)
    replay = _Trimmed(Message(run_id, "assistant", status="streaming", model=snapshot.message.model), writer)
    reader = RunReader(context.runs, context.owner, run_id)
    with release_on_error(streams.take(context)) as slot:
        return await respond.stream(
            Answering(request, reader, writer, headers, slot, reader.close), replay, refuse=False
        )


@router.post("/{response_id}/cancel", responses=RESPONSES)
async def cancel(response_id: ResponseId, context: Context) -> Response:
    """Stop the response. One that has ended stays as it is."""
    run_id = _run_of(response_id)
    writer = await _writer(context, run_id, -1)
    await context.runs.cancel(context.owner, run_id)
    conversation_id, snapshot = await context.runs.get(context.owner, run_id)
    return _whole(writer, snapshot.message, {"X-Run-Id": run_id, "X-Conversation-Id": conversation_id})


@router.delete("/{response_id}", responses=NOT_FOUND)
async def delete(response_id: ResponseId, context: Context) -> Response:
    """Delete a response for good. One that others follow is only hidden, as on the page: they still need it."""
    run_id = _run_of(response_id)
    await delete_answer(context, run_id)
    return _json({"id": response_id, "object": "response.deleted", "deleted": True})


@router.get("/{response_id}/input_items", responses=NOT_FOUND)
async def listed_input(
    response_id: ResponseId, context: Context, limit: Limit = 20, order: Order = "desc", after: After = None
) -> Response:
    """What the response was given: all items before its output."""
    run_id = _run_of(response_id)
    stored = await context.store.message(context.owner, run_id)
    branch = await context.store.question_branch(context.owner, run_id)
    return page_of(input_items(branch, stored.message), limit, order, after)


async def delete_answer(context: RequestContext, run_id: str) -> None:
    """Stop an answer, and delete it: with its conversation if that has no other. Raises ``NotFound``."""
    stored = await context.store.message(context.owner, run_id)
    await context.runs.cancel(context.owner, run_id)
    placed = await context.store.messages_after(context.owner, stored.conversation_id, 0, (), 1000)
    started_here = [one for one in placed if one.message.role == "assistant" and one.seq]
    if [one.message.id for one in started_here] == [run_id]:
        await context.store.delete(context.owner, stored.conversation_id)
    else:
        await context.store.delete_messages(context.owner, run_id)
    changed(context, stored.conversation_id)


def page_of(items: Sequence[dict[str, Any]], limit: int, order: str, after: str | None) -> Response:
    """Return a page of items, oldest first, as a list of OpenAI's. Raises ``InvalidInput``."""
    ordered = list(items) if order == "asc" else list(reversed(items))
    ids = [item["id"] for item in ordered]
    if after is not None and after not in ids:
        raise InvalidInput("after: there is no item with this id.")
    start = 0 if after is None else ids.index(after) + 1
    page = ordered[start : start + limit]
    edges = {"first_id": page[0]["id"] if page else None, "last_id": page[-1]["id"] if page else None}
    return _json({"object": "list", "data": page, "has_more": start + limit < len(ordered), **edges})


async def resolved(context: RequestContext, items: Sequence[Item]) -> list[Item]:
    """Return the items with the stored ones in the place of their references. Raises ``NotFound``."""
    found: dict[str, dict[str, Any]] = {}
    for item in items:
        reference = item.reference
        if reference is not None and reference not in found:
            found |= {one["id"]: one for one in await _items_beside(context, reference)}
            if reference not in found:
                raise NotFound(f"There is no item with the id {reference[:80]}. What is not stored must be sent whole.")
    return [item if item.reference is None else Item.model_validate(found[item.reference]) for item in items]


async def _items_beside(context: RequestContext, item_id: str) -> list[dict[str, Any]]:
    """Return all items of the message of this one; none if there is no such message."""
    message_id = message_id_of(item_id)
    if message_id is None or is_unkept(message_id):
        return []
    try:
        stored = await context.store.message(context.owner, message_id)
    except NotFound:
        return []
    return items_of(stored.message)


def _run_of(response_id: str) -> str:
    run_id = response_id.removeprefix(PREFIX)
    if not response_id.startswith(PREFIX) or is_unkept(run_id):
        raise NotFound("There is no response with this id.")
    return run_id


async def _writer(context: RequestContext, run_id: str, after: int) -> ResponsesWriter:
    stored = await context.store.answer(context.owner, run_id)
    placed = await context.store.message(context.owner, run_id)
    options = RunOptions.from_json(stored.request)
    request = ResponsesRequest(
        model=stored.message.model,
        input=[],
        instructions=options.system,
        temperature=options.options.temperature,
        top_p=options.options.top_p,
        max_output_tokens=options.options.max_tokens,
        reasoning=Reasoning(effort=options.options.reasoning_effort),
        parallel_tool_calls=options.options.parallel_tool_calls,
        tools=[
            ToolIn(
                type="function", name=t.name, description=t.description, parameters=dict(t.parameters), strict=t.strict
            )
            for t in options.tools or ()
        ],
    )
    writer = ResponsesWriter(stored.message.model, {**request.echo(), **options.echo}, after)
    writer.begin(run_id, int(placed.created_at.timestamp()), earlier_reasoning(stored.message))
    return writer


def _whole(writer: ResponsesWriter, message: Message, headers: dict[str, str]) -> Response:
    return Response(json_bytes(writer.whole(trimmed(message))), 200, headers, "application/json")


def _json(value: Any) -> Response:
    return Response(json_bytes(value), media_type="application/json")


class _Trimmed(Replay):
    """A replay in which snapshots contain only the parts of this response, for a client that may have some of them."""

    def __init__(self, begins: Message, writer: ResponsesWriter) -> None:
        super().__init__(begins)
        self._writer = writer

    def entries(self, entries: Sequence[Entry]) -> list[Event]:
        self._writer.resync(False)
        return super().entries(entries)

    def snapshot(self, snapshot: Snapshot) -> list[Event]:
        self._writer.resync(True)
        return super().snapshot(Snapshot(snapshot.seq, trimmed(snapshot.message)))
