"""History that fits a model's window: the oldest turns are left out, visibly.

Knows nothing of providers but the size of the window. Tokens are estimated from characters, on the careful
side: without the vendor's tokenizer an exact count is not to be had, and a request that is refused costs more
than a turn left out. Rules:

* The message that is to be answered is never left out, nor the system prompt.
* Whole turns go: a person's message together with what answered it.
"""

from __future__ import annotations

from collections.abc import Sequence

from streamchat.chat.events import Notice
from streamchat.chat.messages import FilePart, ImagePart, Message, ReasoningPart, TextPart, ToolCallPart

# English runs at about 4 characters a token, code at 3, CJK text at 1.
_CHARS_PER_TOKEN = 3.0
_IMAGE_TOKENS = 1500
_MESSAGE_TOKENS = 6
_ANSWER_SHARE = 0.25


def estimate(message: Message) -> int:
    """About how many tokens a message takes in a request."""
    tokens = float(_MESSAGE_TOKENS)
    for part in message.parts:
        match part:
            case TextPart(text) | FilePart(_, text):
                tokens += _of(text)
            case ToolCallPart():
                tokens += _of(part.raw) + _of(str(part.result or part.error or ""))
            case ReasoningPart(text):
                tokens += _of(text) if part.opaque else 0
            case ImagePart():
                tokens += _IMAGE_TOKENS
    return round(tokens)


def fit(
    messages: Sequence[Message], *, window: int | None, system: str | None = None, answer: int | None = None
) -> tuple[tuple[Message, ...], Notice | None]:
    """The newest messages that fit into ``window`` tokens beside the answer, and a notice if any were left out."""
    if window is None:
        return tuple(messages), None
    room = window - min(answer or round(window * _ANSWER_SHARE), window // 2) - round(_of(system or ""))
    last = next((i for i in reversed(range(len(messages))) if messages[i].role == "user"), 0)
    start = last
    room -= sum(estimate(m) for m in messages[last:])
    while start > 0:
        turn = next((i for i in reversed(range(start)) if messages[i].role == "user"), 0)
        room -= sum(estimate(m) for m in messages[turn:start])
        if room < 0:
            break
        start = turn
    if start == 0:
        return tuple(messages), None
    text = f"The oldest {start} messages were left out: the conversation is longer than the model can read."
    if start == 1:
        text = "The oldest message was left out: the conversation is longer than the model can read."
    return tuple(messages[start:]), Notice("shortened", text, {"left_out": start, "window": window})


def _of(text: str) -> float:
    wide = 0 if text.isascii() else sum(c > "\u2e7f" for c in text)
    return wide + (len(text) - wide) / _CHARS_PER_TOKEN
