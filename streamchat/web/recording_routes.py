"""``/api/runs/{run_id}/recording``: an answer as a file, with the time of each event.

Knows the log. Rule: the store has no events, so a recording can be had as long as the log keeps the answer.
"""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from streamchat.chat.request import is_temporary
from streamchat.errors import InvalidInput, NotFound
from streamchat.protocols.encoding import json_bytes
from streamchat.protocols.recording import recording
from streamchat.runs.log import Snapshot
from streamchat.runs.reader import RunReader
from streamchat.web.dependencies import Context
from streamchat.web.run_routes import RunId
from streamchat.web.schemas import PROBLEMS

router = APIRouter(prefix="/api/runs", tags=["runs"])


@router.get("/{run_id}/recording", responses=PROBLEMS(404, 422, 503))
async def get_recording(run_id: RunId, context: Context) -> Response:
    """The events of the answer so far with their times, for ``simulator:replay``."""
    _, snapshot = await context.runs.get(context.owner, run_id)
    if is_temporary(run_id):
        raise InvalidInput("Nothing of a temporary chat is recorded.")
    reader = RunReader(context.runs, context.owner, run_id)
    try:
        entries = await reader.take()
        if entries is None or isinstance(entries, Snapshot):
            raise NotFound("The events of this answer are not kept any more, only its text.")
        opened_at = context.runs.log.opened_at(run_id)
    finally:
        reader.close()
    body = json_bytes(recording(snapshot.message, entries, opened_at))
    name = f"recording-{run_id[:8]}.json"
    return Response(
        body, headers={"Content-Disposition": f'attachment; filename="{name}"'}, media_type="application/json"
    )
