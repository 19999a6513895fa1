"""What a page says about a tool call that waits, checked: it may be anything, from anybody."""

from __future__ import annotations

from typing import Any

from streamchat.chat.messages import whole
from streamchat.errors import InvalidInput, StreamchatError
from streamchat.runs.decisions import Decision
from streamchat.ui.frames import Frame, undecided
from streamchat.wiring import LOCAL_OWNER, services


def decision_of(data: Any) -> Decision:
    """``{"approve": bool, "arguments": {…} or null, "reason": str, "always": bool}``. Raises ``InvalidInput``."""
    said = data if isinstance(data, dict) else {}
    approve, arguments = said.get("approve"), said.get("arguments")
    reason, always = said.get("reason", ""), said.get("always", False)
    named = arguments is None or (isinstance(arguments, dict) and all(isinstance(name, str) for name in arguments))
    if not (isinstance(approve, bool) and isinstance(always, bool) and isinstance(reason, str) and named):
        raise InvalidInput("This decision cannot be read.")
    return Decision(approve, arguments, whole(reason), always)


async def decide(run_id: Any, call_id: Any, data: Any) -> Frame | None:
    """Decide about one call; the frame that says why not, where it was not taken."""
    if not isinstance(run_id, str) or not isinstance(call_id, str):
        return None
    try:
        await services().runs.decide(LOCAL_OWNER, run_id, call_id, decision_of(data))
    except StreamchatError as error:
        return undecided(run_id, call_id, error.user_message)
    return None
