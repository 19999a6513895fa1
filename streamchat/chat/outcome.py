"""The outcome of a message for the reader: an explanation if it is incomplete, and the actions on offer.

Knows nothing of pages. Rules:

* An incomplete answer never reads as complete: every ending but the provider's ordinary one is explained.
* ``retry`` answers the same message anew; ``continue`` extends the text that is there.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from streamchat.chat.events import STEERED, Ending, Failed, Finished, Interrupted, Stopped
from streamchat.chat.messages import FilePart, ImagePart, Message, ToolCallPart
from streamchat.errors import ErrorKind

Offer: TypeAlias = Literal["retry", "continue"]

_SENTENCES = {
    "length": "The answer was cut at the token limit.",
    "refusal": "The model declined to answer this.",
    "content-filter": "The provider's content filter ended this answer.",
    "pause": "The provider paused this answer.",
    STEERED: "It ended for the message that follows.",
    "tool-rounds": "The model called tools again and again without coming to an end.",
}
_COMPLETE = ("stop", "tool-calls")
# Outcomes after which Continue would only repeat the refusal.
_NO_CONTINUE_KINDS: tuple[ErrorKind, ...] = ("refused", "context-too-long", "too-large")
_NO_CONTINUE = ("refusal", "content-filter", *_NO_CONTINUE_KINDS)


def explain(message: Message) -> str | None:
    """Return one sentence about why the message is incomplete; ``None`` if it is complete or still being written."""
    if message.role != "assistant" or not message.ended:
        return None
    if message.error is not None:
        return message.error.message
    if message.status == "stopped":
        words = len(message.text.split())
        return f"Stopped · {words:,} word{'' if words == 1 else 's'} kept." if words else "Stopped."
    if message.status != "finished":
        return None
    if message.stop_reason is None or message.stop_reason in _COMPLETE:
        return None if _has_content(message) else "The answer is empty: the model ended it without a word."
    return _SENTENCES.get(message.stop_reason, f"The provider ended this answer: {message.stop_reason[:80]}.")


def offers(message: Message) -> tuple[Offer, ...]:
    """Return the actions for an incomplete message; none if it is complete or still being written."""
    if explain(message) is None:
        return ()
    reason = message.error.kind if message.error else message.stop_reason
    return ("retry", "continue") if _has_content(message) and reason not in _NO_CONTINUE else ("retry",)


def _has_content(message: Message) -> bool:
    """Return whether there is anything that a person can read or a model can continue."""
    made = (ToolCallPart, ImagePart, FilePart)
    return bool(message.text.strip()) or any(isinstance(part, made) for part in message.parts)


def ending_of(message: Message) -> Ending:
    """Return the event that ended this message. Raises ``ValueError`` if it has not ended."""
    error, timing = message.error, message.timing
    match message.status:
        case "finished":
            return Finished(message.stop_reason or "stop", timing=timing)
        case "stopped":
            return Stopped(timing=timing)
        case "failed" if error is not None:
            return Failed(error.message, error.kind, error.retryable, error.retry_after, timing)
        case "interrupted" if error is not None:
            return Interrupted(error.message, error.kind, timing)
        case "failed":
            return Failed("The answer failed.", timing=timing)
        case "interrupted":
            return Interrupted(timing=timing)
    raise ValueError(f"a message that is {message.status} has not ended")
