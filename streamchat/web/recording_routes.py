"""``/api/runs/{run_id}/recording``: an answer as a file, with the time of each event.

Knows the log. Rule: the store has no events, so a recording can be had as long as the log keeps the answer.
"""

from __future__ import annotations

from math import inf
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from streamchat.chat.request import is_temporary
from streamchat.errors import InvalidInput, NotFound
from streamchat.protocols.encoding import json_bytes
from streamchat.protocols.recording import recording
from streamchat.runs.cut import NOT_KEPT, cut_at
from streamchat.web.dependencies import Context
from streamchat.web.run_routes import MAX_SEQ, RunId
from streamchat.web.schemas import PROBLEMS

router = APIRouter(prefix="/api/runs", tags=["runs"])


@router.get("/{run_id}/recording", responses=PROBLEMS(404, 422, 503))
async def get_recording(
    run_id: RunId,
    context: Context,
    until: Annotated[int | None, Query(ge=0, le=MAX_SEQ, description="Only the events up to this `seq`.")] = None,
) -> Response:
    """The events of the answer so far with their times, for ``simulator:replay``."""
    await context.runs.conversation_of(context.owner, run_id)
    if is_temporary(run_id):
        raise InvalidInput("Nothing of a temporary chat is recorded.")
    cut = await cut_at(context.runs, context.owner, run_id, inf if until is None else until)
    if cut.entries and cut.entries[0].seq != 1:
        raise NotFound(NOT_KEPT)
    body = json_bytes(recording(cut.message, cut.entries, cut.opened_at))
    name = f"recording-{run_id[:8]}.json"
    return Response(
        body, headers={"Content-Disposition": f'attachment; filename="{name}"'}, media_type="application/json"
    )
