"""What an ended message means to a person: a sentence where it is not simply complete, and what can be done.

Knows nothing of pages. Rules:

* Nothing that is not complete reads as complete: every end but the provider's plain one has a sentence.
* ``retry`` answers the same message anew; ``continue`` goes on from the text that is there.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from streamchat.chat.messages import Message, NoticePart, ToolCallPart

Offer: TypeAlias = Literal["retry", "continue"]

_SENTENCES = {
    "length": "The answer was cut at the token limit.",
    "refusal": "The model declined to answer this.",
    "content-filter": "The provider's content filter ended this answer.",
    "pause": "The provider paused this answer.",
    "tool-rounds": "The model called tools again and again without coming to an end.",
}
_COMPLETE = ("stop", "tool-calls")
# What cannot be gone on from: the provider would say the same again.
_NO_CONTINUE = ("refusal", "content-filter", "refused", "context-too-long", "too-large")


def explain(message: Message) -> str | None:
    """Why a message ended as it did; ``None`` while it is written, and where it is complete."""
    if message.role != "assistant" or not message.ended:
        return None
    if message.error is not None:
        return message.error.message
    if message.status == "stopped":
        said = (part.text for part in message.parts if isinstance(part, NoticePart) and part.kind == "stopped")
        return next(said, "Stopped.")
    if message.status == "finished" and message.stop_reason not in (None, *_COMPLETE):
        return _SENTENCES.get(message.stop_reason, f"The provider ended this answer: {message.stop_reason[:80]}.")
    return None


def offers(message: Message) -> tuple[Offer, ...]:
    """What can be done with a message that is not simply complete."""
    if explain(message) is None:
        return ()
    reason = message.error.kind if message.error else message.stop_reason
    begun = message.text or any(isinstance(part, ToolCallPart) for part in message.parts)
    return ("retry", "continue") if begun and reason not in _NO_CONTINUE else ("retry",)
