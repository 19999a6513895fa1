"""A request's messages as turns from which every vendor's format can be written.

Knows no vendor. One answer may hold several responses of the model: text, tool calls, their results, more
text. Rules:

* An assistant turn ends where its tool results are due; they are the next turn.
* Every call of ours has a result, including one that never ran; a call that the provider ran itself belongs
  to the assistant's turn, verbatim or not at all.
* Opaque data goes back only to the model that it came from.
* If an answer is to be continued, the last turn is that answer: the adapter knows how its model accepts it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from streamchat.chat.events import Opaque
from streamchat.chat.messages import (
    FilePart,
    ImagePart,
    Message,
    NoticePart,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
)
from streamchat.chat.request import Request
from streamchat.chat.tool_results import for_model, for_sight, pictures_in

CONTINUE = (
    "Your answer above was cut off. Go on from exactly where it stops: do not repeat any of it, "
    "do not comment on this message."
)
MAX_RESULT = 400_000


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn. ``tools``: the parts are calls whose results are due. ``own``: written by the model of this request."""

    role: Literal["user", "assistant", "tools"]
    parts: tuple[Part, ...]
    own: bool = False
    refused: bool = False


def system_text(request: Request) -> str:
    """Return the system prompt, including the text of system messages."""
    texts = [request.system or "", *(message.text for message in request.messages if message.role == "system")]
    return "\n\n".join(text for text in texts if text.strip())


def turns(request: Request) -> list[Turn]:
    """Return the conversation as turns: neighbouring user turns joined, empty ones left out."""
    result: list[Turn] = []
    for message, following in zip(request.messages, [*request.messages[1:], None], strict=True):
        own = list(_message_turns(message, request.model))
        if own and own[-1].role == "tools" and message.role == "assistant" and following and following.role == "tool":
            own.pop()  # the results are messages of their own
        for turn in own:
            last = result[-1] if result else None
            if last and last.role == turn.role == "user":
                result[-1] = replace(last, parts=(*last.parts, *turn.parts))
            else:
                result.append(turn)
    return result


def is_continuation(request: Request) -> bool:
    """Return whether the request ends in a partial answer that the model is to continue.

    Not after tool results (that is the next step of a tool loop), and not after a pause of the provider.
    """
    last = request.messages[-1] if request.messages else None
    if last is None or last.role != "assistant" or last.stop_reason == "pause":
        return False
    ours = [turn for turn in _message_turns(last, request.model) if turn.parts]
    if not ours or ours[-1].role != "assistant":
        return False
    part = ours[-1].parts[-1]
    pending = isinstance(part, ToolCallPart) and part.by_provider and part.result is None and part.error is None
    return not pending and any(isinstance(part, TextPart) for part in ours[-1].parts)


def known_calls(request: Request) -> Mapping[str, Opaque | None]:
    """Return the calls that this run has made so far, those of a trailing answer, by id."""
    last = request.messages[-1] if request.messages else None
    if last is None or last.role != "assistant":
        return {}
    return {part.id: part.opaque for part in last.parts if isinstance(part, ToolCallPart)}


def largest_attachment(request: Request) -> str:
    """Return the name and size of the last message's largest attachment, for an error message; ``""`` if none."""
    parts = request.messages[-1].parts if request.messages else ()
    sizes = [(len(p.data) * 3 // 4, p.name or "an image") for p in parts if isinstance(p, ImagePart)]
    sizes += [
        (len(p.data) * 3 // 4 or len(p.text.encode(errors="replace")), p.name) for p in parts if isinstance(p, FilePart)
    ]
    if not sizes:
        return ""
    size, name = max(sizes)
    return f"{name} ({size / 1e6:.1f} MB)" if size >= 1e5 else f"{name} ({size / 1e3:.0f} kB)"


def data_url(part: ImagePart | FilePart) -> str:
    """Return the content of a picture or a PDF as a ``data:`` URL."""
    return f"data:{part.media_type};base64,{part.data}"


def unseen(part: ImagePart) -> str:
    """Return the text that stands for a picture which the model cannot see."""
    return f"[an image that this model cannot see: {part.name or 'unnamed'}]"


def result_text(part: ToolCallPart) -> str:
    """Return a call's result as the model reads it."""
    if part.state != "done":
        return f"Error: {part.error or 'this tool was not run.'}"
    text = for_model(part.result)
    return text if len(text) <= MAX_RESULT else text[:MAX_RESULT] + "\n[shortened]"


def result_parts(part: ToolCallPart, images: bool) -> list[str | ImagePart]:
    """Return a call's result as the model reads it. ``images``: it sees pictures, which are then beside the text."""
    if not images or part.state != "done" or not any(picture.data for picture in pictures_in(part.result)):
        return [result_text(part)]
    room = MAX_RESULT
    parts: list[str | ImagePart] = []
    for one in for_sight(part.result):
        if isinstance(one, str):
            one = one if len(one) <= room else one[:room] + "\n[shortened]"
            room = max(0, room - len(one))
        parts.append(one)
    return parts


def arguments_text(part: ToolCallPart) -> str:
    """Return a call's arguments as JSON text; ``{}`` if they were not an object."""
    return json.dumps(part.arguments if part.arguments is not None else {}, ensure_ascii=False)


def joined_text(parts: Iterable[Part]) -> str:
    """Return the text of the parts, joined without a separator."""
    return "".join(part.text for part in parts if isinstance(part, TextPart))


def _message_turns(message: Message, model: str) -> Iterator[Turn]:
    if message.role == "user":
        parts = tuple(p for p in message.parts if not isinstance(p, TextPart) or p.text.strip())
        if parts:
            yield Turn("user", parts)
    elif message.role == "tool":
        yield Turn("tools", tuple(p for p in message.parts if isinstance(p, ToolCallPart)))
    elif message.role == "assistant":
        own = not message.model or message.model == model or message.model.partition(":")[2] == model
        yield from _answer_turns(message, own)


def _answer_turns(message: Message, own: bool) -> Iterator[Turn]:
    refused = message.stop_reason == "refusal"
    assistant_parts: list[Part] = []
    due_calls: list[ToolCallPart] = []
    text_after = 0
    for part in message.parts:
        if isinstance(part, ToolCallPart) and not part.by_provider:
            assistant_parts.append(part)
            due_calls.append(part)
            text_after = _text_after(part)
            continue
        if due_calls and text_after and isinstance(part, TextPart):
            # Text after the call in the same response comes before the result.
            assistant_parts.append(TextPart(part.text[:text_after]))
            part, text_after = TextPart(part.text[text_after:]), 0
            if not part.text:
                continue
        if due_calls and not isinstance(part, NoticePart):
            yield Turn("assistant", tuple(assistant_parts), own)
            yield Turn("tools", tuple(due_calls), own)
            assistant_parts, due_calls = [], []
        if isinstance(part, TextPart | ReasoningPart | ToolCallPart | NoticePart):
            assistant_parts.append(part)
    if any(not isinstance(part, NoticePart) or part.opaque for part in assistant_parts):
        yield Turn("assistant", tuple(assistant_parts), own, refused)
    if due_calls:
        yield Turn("tools", tuple(due_calls), own)


def _text_after(part: ToolCallPart) -> int:
    """Return how many characters of text followed the call in the same response of the model (``Call.text_after``)."""
    return int((part.opaque or {}).get("said_after", 0))
