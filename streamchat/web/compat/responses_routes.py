"""``/v1/responses/{id}``: retrieve, resume or cancel a response.

A response is a run, so the run of any client can be requested as ``resp_`` and its identifier. Rule: tool calls that
have results are left out, because they belong to an earlier response.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from streamchat.chat.events import Event
from streamchat.chat.messages import Message, ToolCallPart
from streamchat.chat.request import RunOptions
from streamchat.errors import NotFound
from streamchat.protocols.encoding import json_bytes
from streamchat.protocols.openai_responses.request import PREFIX, Reasoning, ResponsesRequest, ToolIn
from streamchat.protocols.openai_responses.stream import ResponsesWriter
from streamchat.protocols.replay import Replay
from streamchat.runs.log import Snapshot
from streamchat.runs.reader import RunReader, get_run
from streamchat.web.compat import respond
from streamchat.web.compat.respond import Answering
from streamchat.web.dependencies import Context
from streamchat.web.streaming import release_on_error, streams
from streamchat.wiring.request_context import RequestContext

router = APIRouter(prefix="/v1/responses", tags=["vendor-shaped"])
ResponseId = Annotated[str, Path(max_length=200, description="`resp_` and the id of a run.")]
RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The response, or with `stream` its events.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}, "application/json": {}},
    },
    404: {"description": "An error in OpenAI's shape.", "content": {"application/json": {}}},
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
    conversation_id, snapshot = await get_run(context.runs, context.owner, run_id)
    writer = await _writer(context, run_id, -1 if starting_after is None else starting_after)
    headers = {"X-Run-Id": run_id, "X-Conversation-Id": conversation_id}
    if not stream:
        return _whole(writer, snapshot.message, headers)
    replay = _Trimmed(Message(run_id, "assistant", status="streaming", model=snapshot.message.model))
    reader = RunReader(context.runs, context.owner, run_id)
    with release_on_error(streams.take(context)) as slot:
        return await respond.stream(
            Answering(request, reader, writer, headers, slot, reader.close), replay, refuse=False
        )


@router.post("/{response_id}/cancel", responses=RESPONSES)
async def cancel(response_id: ResponseId, context: Context) -> Response:
    """Stop the response. One that has ended stays as it is."""
    run_id = _run_of(response_id)
    await context.runs.cancel(context.owner, run_id)
    conversation_id, snapshot = await get_run(context.runs, context.owner, run_id)
    writer = await _writer(context, run_id, -1)
    return _whole(writer, snapshot.message, {"X-Run-Id": run_id, "X-Conversation-Id": conversation_id})


def _run_of(response_id: str) -> str:
    if not response_id.startswith(PREFIX):
        raise NotFound("There is no response with this id.")
    return response_id.removeprefix(PREFIX)


async def _writer(context: RequestContext, run_id: str, after: int) -> ResponsesWriter:
    stored = await context.store.answer(context.owner, run_id)
    options = RunOptions.from_json(stored.request)
    request = ResponsesRequest(
        model=stored.message.model,
        input=[],
        instructions=options.system,
        temperature=options.options.temperature,
        top_p=options.options.top_p,
        max_output_tokens=options.options.max_tokens,
        reasoning=Reasoning(effort=options.options.reasoning_effort),
        tools=[
            ToolIn(type="function", name=t.name, description=t.description, parameters=dict(t.parameters))
            for t in options.tools or ()
        ],
    )
    writer = ResponsesWriter(stored.message.model, request.echo(), after)
    writer.begin(run_id, 0)
    return writer


def _whole(writer: ResponsesWriter, message: Message, headers: dict[str, str]) -> Response:
    return Response(json_bytes(writer.whole(_trimmed(message))), 200, headers, "application/json")


class _Trimmed(Replay):
    """A replay in which snapshots contain only the parts of this response."""

    def snapshot(self, snapshot: Snapshot) -> list[Event]:
        return super().snapshot(Snapshot(snapshot.seq, _trimmed(snapshot.message)))


def _trimmed(message: Message) -> Message:
    """Return the message without its parts up to the last tool call that has a result."""
    with_result = (
        index
        for index, part in enumerate(message.parts)
        if isinstance(part, ToolCallPart) and not part.by_provider and part.state in ("done", "error")
    )
    start = max(with_result, default=-1) + 1
    return replace(message, parts=message.parts[start:])
