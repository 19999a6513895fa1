"""Marks on thinking that goes out, by which what belongs to it is found again when it comes back.

Providers want their signatures and encrypted thinking back with the next request, and these never leave the store. So a
client gets a mark in their place: the run and the place of the part. Rules:

* A mark that fits nothing is nothing: the thinking comes back without its seal, as if it had none.
* The text must be what was said; a seal does not belong to another text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol

from streamchat.chat.messages import Message, Part, ReasoningPart
from streamchat.errors import NotFound

_MARK = re.compile(r"streamchat\.([A-Za-z0-9_-]{1,64})\.(\d{1,5})")
MAX_RECALLED = 200


class Stored(Protocol):
    @property
    def message(self) -> Message: ...


class Answers(Protocol):
    async def answer(self, owner: str, run_id: str) -> Stored: ...


def mark(run_id: str, number: int) -> str:
    """``number`` counts the thoughts of a run's answer from 0."""
    return f"streamchat.{run_id}.{number}"


async def recall(store: Answers, owner: str, turns: Iterable[Message]) -> tuple[Message, ...]:
    """The turns with the opaque data of the thinking in them, and the model that it is of. Raises ``StorageError``."""
    found: dict[str, Message | None] = {}
    recalled = []
    for turn in turns:
        model = turn.model
        parts: list[Part] = []
        for part in turn.parts:
            if isinstance(part, ReasoningPart) and part.opaque is not None:
                part, source = await _sealed(store, owner, part, found)
                model = source or model
            parts.append(part)
        recalled.append(replace(turn, parts=tuple(parts), model=model))
    return tuple(recalled)


async def _sealed(
    store: Answers, owner: str, part: ReasoningPart, found: dict[str, Message | None]
) -> tuple[ReasoningPart, str]:
    plain = replace(part, opaque=None)
    match = _MARK.fullmatch(str((part.opaque or {}).get("mark", "")))
    if match is None or len(found) > MAX_RECALLED:
        return plain, ""
    run_id, number = match[1], int(match[2])
    if run_id not in found:
        try:
            found[run_id] = (await store.answer(owner, run_id)).message
        except NotFound:
            found[run_id] = None
    message = found[run_id]
    thoughts = [p for p in message.parts if isinstance(p, ReasoningPart)] if message else []
    if message is None or number >= len(thoughts) or thoughts[number].text != part.text:
        return plain, ""
    return thoughts[number], message.model
