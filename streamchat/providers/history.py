"""A request's messages as turns that every vendor's shape can be written from.

Knows no vendor. One answer may hold several calls of the model: text, tool calls, their results, more
text. Rules:

* An assistant turn ends where its tool results are due; they are the next turn.
* Every call of ours is answered, also one that never ran; a call that the provider ran itself belongs
  to the assistant's turn, verbatim or not at all.
* Opaque data goes back only to the model that it came from.
* Where an answer is to be continued, the last turn says so: the adapter knows how its model takes it.
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
from streamchat.chat.results import for_model

CONTINUE = (
    "Your answer above was cut off. Go on from exactly where it stops: do not repeat any of it, "
    "do not comment on this message."
)
MAX_RESULT = 400_000


@dataclass(frozen=True, slots=True)
class Turn:
    """``tools``: the parts are calls whose results are due. ``own``: written by the model that is asked now."""

    role: Literal["user", "assistant", "tools"]
    parts: tuple[Part, ...]
    own: bool = False
    refused: bool = False


def system_text(request: Request) -> str:
    """The system prompt, with what system messages say."""
    texts = [request.system or "", *(message.text for message in request.messages if message.role == "system")]
    return "\n\n".join(text for text in texts if text.strip())


def turns(request: Request) -> list[Turn]:
    """The conversation as turns, neighbouring ones of a person joined, empty ones left out."""
    result: list[Turn] = []
    for message, following in zip(request.messages, [*request.messages[1:], None], strict=True):
        own = list(_of_message(message, request.model))
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
    """Whether the request ends in a partial answer that the model is to go on with.

    Not after tool results (that is the next step of a tool loop), and not after a pause of the provider's.
    """
    last = request.messages[-1] if request.messages else None
    if last is None or last.role != "assistant" or last.stop_reason == "pause":
        return False
    ours = [turn for turn in _of_message(last, request.model) if turn.parts]
    if not ours or ours[-1].role != "assistant":
        return False
    part = ours[-1].parts[-1]
    pending = isinstance(part, ToolCallPart) and part.by_provider and part.result is None and part.error is None
    return not pending and any(isinstance(part, TextPart) for part in ours[-1].parts)


def known_calls(request: Request) -> Mapping[str, Opaque | None]:
    """The calls that this run has made so far, which are those of a trailing answer."""
    last = request.messages[-1] if request.messages else None
    if last is None or last.role != "assistant":
        return {}
    return {part.id: part.opaque for part in last.parts if isinstance(part, ToolCallPart)}


def largest_attachment(request: Request) -> str:
    """The name and size of the largest attachment of the last message, for a sentence."""
    parts = request.messages[-1].parts if request.messages else ()
    sizes = [(len(p.data) * 3 // 4, p.name or "an image") for p in parts if isinstance(p, ImagePart)]
    sizes += [(len(p.text.encode(errors="replace")), p.name) for p in parts if isinstance(p, FilePart)]
    if not sizes:
        return ""
    size, name = max(sizes)
    return f"{name} ({size / 1e6:.1f} MB)" if size >= 1e5 else f"{name} ({size / 1e3:.0f} kB)"


def file_text(part: FilePart) -> str:
    """A text file as labelled text, so that the model can tell it from what the person says."""
    name = part.name.replace('"', "'").replace("\n", " ")
    return f'<file name="{name}">\n{part.text}\n</file>'


def result_text(part: ToolCallPart) -> str:
    """A call's result as the model reads it."""
    if part.state != "done":
        return f"Error: {part.error or 'this tool was not run.'}"
    text = for_model(part.result)
    return text if len(text) <= MAX_RESULT else text[:MAX_RESULT] + "\n[shortened]"


def arguments_text(part: ToolCallPart) -> str:
    """A call's arguments as JSON text; an object also where what came was none."""
    return json.dumps(part.arguments if part.arguments is not None else {}, ensure_ascii=False)


def joined_text(parts: Iterable[Part]) -> str:
    """The text of the parts, nothing between them."""
    return "".join(part.text for part in parts if isinstance(part, TextPart))


def _of_message(message: Message, model: str) -> Iterator[Turn]:
    if message.role == "user":
        parts = tuple(p for p in message.parts if not isinstance(p, TextPart) or p.text.strip())
        if parts:
            yield Turn("user", parts)
    elif message.role == "tool":
        yield Turn("tools", tuple(p for p in message.parts if isinstance(p, ToolCallPart)))
    elif message.role == "assistant":
        own = not message.model or message.model == model or message.model.partition(":")[2] == model
        yield from _of_answer(message, own)


def _of_answer(message: Message, own: bool) -> Iterator[Turn]:
    refused = message.stop_reason == "refusal"
    said: list[Part] = []
    due: list[ToolCallPart] = []
    same = 0
    for part in message.parts:
        if isinstance(part, ToolCallPart) and not part.by_provider:
            said.append(part)
            due.append(part)
            same = _said_after(part)
            continue
        if due and same and isinstance(part, TextPart):
            # What the model said after its call, in the same breath, comes before the result.
            said.append(TextPart(part.text[:same]))
            part, same = TextPart(part.text[same:]), 0
            if not part.text:
                continue
        if due and not isinstance(part, NoticePart):
            yield Turn("assistant", tuple(said), own)
            yield Turn("tools", tuple(due), own)
            said, due = [], []
        if isinstance(part, TextPart | ReasoningPart | ToolCallPart | NoticePart):
            said.append(part)
    if any(not isinstance(part, NoticePart) or part.opaque for part in said):
        yield Turn("assistant", tuple(said), own, refused)
    if due:
        yield Turn("tools", tuple(due), own)


def _said_after(part: ToolCallPart) -> int:
    """Characters of text that followed the call in the same answer of the model (``Call.opaque``)."""
    return int((part.opaque or {}).get("said_after", 0))
