"""Trims the history to a model's context window: the oldest turns are left out, with a notice.

Knows the size of the window and nothing else of providers. Tokens are estimated, rather too many: a refused request
costs more than an omitted turn. Rules:

* The message to answer and the system prompt are never left out.
* Whole turns are left out: a person's message together with its answer.
"""

from __future__ import annotations

from collections.abc import Sequence

from streamchat.chat.events import Notice
from streamchat.chat.messages import FilePart, ImagePart, Message, ReasoningPart, TextPart, ToolCallPart
from streamchat.chat.tokens import estimate_tokens
from streamchat.chat.tool_results import for_model, pictures_in

_IMAGE_TOKENS = 1500
_MESSAGE_TOKENS = 6
_ANSWER_SHARE = 0.25


def estimate(message: Message) -> int:
    """Estimate the tokens of a message in a request."""
    tokens = float(_MESSAGE_TOKENS)
    for part in message.parts:
        match part:
            case TextPart(text):
                tokens += estimate_tokens(text)
            case FilePart():
                # Some models read a PDF as pictures of its pages, others its text.
                tokens += estimate_tokens(part.text) + max(part.tokens, part.pages * _IMAGE_TOKENS)
            case ToolCallPart():
                result = part.error if part.result is None else for_model(part.result)
                tokens += estimate_tokens(part.raw) + estimate_tokens(result or "")
                tokens += len(pictures_in(part.result)) * _IMAGE_TOKENS
            case ReasoningPart(text):
                tokens += estimate_tokens(text) if part.opaque else 0
            case ImagePart():
                tokens += _IMAGE_TOKENS
    return round(tokens)


def fit(
    messages: Sequence[Message], *, window: int | None, system: str | None = None, answer: int | None = None
) -> tuple[tuple[Message, ...], Notice | None]:
    """Return the newest messages that fit into ``window`` tokens beside the answer, and a notice if some do not."""
    if window is None:
        return tuple(messages), None
    room = window - min(answer or round(window * _ANSWER_SHARE), window // 2) - round(estimate_tokens(system or ""))
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
