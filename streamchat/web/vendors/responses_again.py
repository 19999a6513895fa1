"""``/v1/responses/{id}``: a response that was begun, read again, followed from any event on, or stopped.

A response is a run, so that of any client can be asked for by ``resp_`` and its run's id. Rule: calls that have their
results are not told: they were an earlier response's.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from streamchat.chat.messages import Message, ToolCallPart
from streamchat.chat.request import Wishes
from streamchat.errors import NotFound
from streamchat.runs.log import Snapshot
from streamchat.web.encoding import json_bytes
from streamchat.web.reading import Reader, look
from streamchat.web.vendors.responses_request import PREFIX, Reasoning, ResponsesRequest, ToolIn
from streamchat.web.vendors.responses_writer import ResponsesWriter
from streamchat.web.vendors.serving import Answering, respond
from streamchat.web.vendors.told import Told
from streamchat.wiring import LOCAL_OWNER, Services, services

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
    response_id: ResponseId,
    stream: Annotated[bool, Query(description="Its events, to its end.")] = False,
    starting_after: Annotated[int | None, Query(description="The number of the last event that is known.")] = None,
) -> Response:
    """The response so far, or its events from any one on."""
    served = services()
    run_id = _run_of(response_id)
    conversation_id, snapshot = await look(served.runs, LOCAL_OWNER, run_id)
    writer = await _writer(served, run_id, -1 if starting_after is None else starting_after)
    headers = {"X-Run-Id": run_id, "X-Conversation-Id": conversation_id}
    if not stream:
        return _whole(writer, snapshot.message, headers)
    told = _Trimmed(Message(run_id, "assistant", status="streaming", model=snapshot.message.model))
    answering = Answering(writer, Reader(served.runs, LOCAL_OWNER, run_id), told, headers)
    return await respond(request, answering, stream=True, limit=served.settings.streams_per_client, refuse=False)


@router.post("/{response_id}/cancel", responses=RESPONSES)
async def cancel(response_id: ResponseId) -> Response:
    """Stop it. Nothing happens to one that has ended."""
    served = services()
    run_id = _run_of(response_id)
    await served.runs.cancel(LOCAL_OWNER, run_id)
    conversation_id, snapshot = await look(served.runs, LOCAL_OWNER, run_id)
    writer = await _writer(served, run_id, -1)
    return _whole(writer, snapshot.message, {"X-Run-Id": run_id, "X-Conversation-Id": conversation_id})


def _run_of(response_id: str) -> str:
    if not response_id.startswith(PREFIX):
        raise NotFound("There is no response with this id.")
    return response_id.removeprefix(PREFIX)


async def _writer(served: Services, run_id: str, after: int) -> ResponsesWriter:
    stored = await served.store.answer(LOCAL_OWNER, run_id)
    wishes = Wishes.from_json(stored.request)
    asked = ResponsesRequest(
        model=stored.message.model,
        input=[],
        instructions=wishes.system,
        temperature=wishes.options.temperature,
        max_output_tokens=wishes.options.max_tokens,
        reasoning=Reasoning(effort=wishes.options.reasoning_effort),
        tools=[
            ToolIn(type="function", name=t.name, description=t.description, parameters=dict(t.parameters))
            for t in wishes.tools or ()
        ],
    )
    writer = ResponsesWriter(stored.message.model, asked.echo(), after)
    writer.begin(run_id, 0)
    return writer


def _whole(writer: ResponsesWriter, message: Message, headers: dict[str, str]) -> Response:
    return Response(json_bytes(writer.whole(_trimmed(message))), 200, headers, "application/json")


class _Trimmed(Told):
    """Of a snapshot only what the response's own request brought."""

    def take(self, batch: Any) -> list[Any]:
        if isinstance(batch, Snapshot):
            batch = Snapshot(batch.seq, _trimmed(batch.message))
        return super().take(batch)


def _trimmed(message: Message) -> Message:
    """The message from behind its last call that has its result on."""
    answered = (
        index
        for index, part in enumerate(message.parts)
        if isinstance(part, ToolCallPart) and not part.by_provider and part.state in ("done", "error")
    )
    start = max(answered, default=-1) + 1
    return replace(message, parts=message.parts[start:])
