"""What a person thinks of an answer. Pure.

Rule: fields from a client are untrusted input.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from streamchat.chat.events import Json
from streamchat.chat.messages import repair_surrogates
from streamchat.errors import InvalidInput

Rating: TypeAlias = Literal["up", "down"]
MAX_REASON = 2_000


@dataclass(frozen=True, slots=True)
class Feedback:
    """A thumb up or down. ``reason``: in the person's words, ``""`` without one."""

    rating: Rating
    reason: str = ""


def checked_feedback(rating: object, reason: object = "") -> Feedback:
    """Return the feedback of a client. Raises ``InvalidInput``."""
    if rating not in ("up", "down"):
        raise InvalidInput('A rating is "up" or "down".')
    text = repair_surrogates(reason).replace("\0", "").strip() if isinstance(reason, str) else ""
    if len(text) > MAX_REASON:
        raise InvalidInput(f"A reason has {MAX_REASON:,} characters at most.")
    return Feedback(rating, text)


def feedback_to_wire(feedback: Feedback) -> dict[str, Json]:
    """Return the wire form, which leaves out an empty reason."""
    return {"rating": feedback.rating} | ({"reason": feedback.reason} if feedback.reason else {})
