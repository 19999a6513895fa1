"""What the log says of a message that was sent while an answer was in progress. Pure.

The answer to such a message has the outcome as one of its first entries, so every reader of it gets it, over whatever
protocol; an answer that ended for one at a round of tools says so too, and ends with the reason ``STEERED``.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from streamchat.chat.events import QUEUED, STEERED, Notice
from streamchat.chat.messages import Message, NoticePart
from streamchat.runs.queue import ITS_TURN

Outcome: TypeAlias = Literal["stopped", "round", "too-late"]
_TEXTS: dict[Outcome, str] = {
    "stopped": "The answer before was stopped for this message.",
    "round": "Taken after tool round {round} of the answer before.",
    "too-late": "The answer before had ended by itself.",
}


def steering(before: str, outcome: Outcome, number: int | None = None) -> Notice:
    """Return the outcome of a message into the answer ``before``. ``number``: of the round of tools."""
    data = {"run_id": before, "outcome": outcome} | ({} if number is None else {"round": number})
    return Notice(STEERED, _TEXTS[outcome].format(round=number), data)


def taken(follower: str, number: int) -> Notice:
    """Return what an answer says that ends for a message after this round of tools. ``follower``: the run after it."""
    data = {"run_id": follower, "outcome": "round", "round": number}
    return Notice(STEERED, f"Your message was taken after tool round {number}.", data)


def waits_for(before: str) -> Notice:
    """Return what an answer says that follows another one."""
    return Notice(QUEUED, "Waiting for the answer before it to end.", {"place": 1, "run_id": before})


def told_after(before: str, ended: Message | None, seconds: float, *, steers: bool) -> Notice:
    """Return what an answer says whose turn it is. ``ended``: the one before it, ``None`` if it was deleted."""
    if not steers:
        data = {"place": ITS_TURN, "seconds": round(seconds, 1), "run_id": before}
        return Notice(QUEUED, f"Waited {max(1, round(seconds))} s for its turn.", data)
    if ended is None or ended.stop_reason != STEERED:
        return steering(before, "stopped" if ended is not None and ended.status == "stopped" else "too-late")
    notices = [part for part in ended.parts if isinstance(part, NoticePart) and part.kind == STEERED]
    return steering(before, "round", (notices[-1].data or {}).get("round") if notices else None)
