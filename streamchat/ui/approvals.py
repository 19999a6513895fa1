"""Decisions about tool calls as they come from the page. They are validated: any client can send anything."""

from __future__ import annotations

from typing import Any

from streamchat.chat.messages import repair_surrogates
from streamchat.errors import InvalidInput, StreamchatError, WrongArguments
from streamchat.protocols.page.stream import Frame, undecided
from streamchat.runs.approvals import Decision
from streamchat.ui.context import Tab, handling


def decision_of(data: Any) -> Decision:
    """Parse ``{"approve": bool, "arguments": {…} or null, "reason": str, "always": bool}``.

    Raises ``InvalidInput``.
    """
    fields = data if isinstance(data, dict) else {}
    approve, arguments = fields.get("approve"), fields.get("arguments")
    reason, always = fields.get("reason", ""), fields.get("always", False)
    valid = arguments is None or (isinstance(arguments, dict) and all(isinstance(name, str) for name in arguments))
    if not (isinstance(approve, bool) and isinstance(always, bool) and isinstance(reason, str) and valid):
        raise InvalidInput("This decision is invalid.")
    return Decision(approve, arguments, repair_surrogates(reason), always)


async def decide(tab: Tab, run_id: Any, call_id: Any, data: Any) -> Frame | None:
    """Decide about one call. Returns a frame with the error message if the decision was refused."""
    if not isinstance(run_id, str) or not isinstance(call_id, str):
        return None
    try:
        async with handling(tab) as context:
            await context.runs.decide(context.owner, run_id, call_id, decision_of(data))
    except WrongArguments as error:
        return undecided(run_id, call_id, error.user_message, error.paths)
    except StreamchatError as error:
        return undecided(run_id, call_id, error.user_message)
    return None
