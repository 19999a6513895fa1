"""Handles for reasoning that goes out, by which its opaque data is found again when it comes back.

Providers want their signatures and encrypted reasoning back with the next request, and these never leave the store. So
a client gets a handle instead: the run and the position of the part. Rules:

* An unknown handle is ignored: the reasoning comes back without opaque data.
* The text must be unchanged; opaque data does not belong to another text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol

from streamchat.chat.messages import Message, Part, ReasoningPart
from streamchat.errors import NotFound

_HANDLE = re.compile(r"streamchat\.([A-Za-z0-9_-]{1,64})\.(\d{1,5})")
MAX_RECALLED = 200


class Stored(Protocol):
    """A stored answer."""

    @property
    def message(self) -> Message:
        """The answer."""
        ...


class Answers(Protocol):
    """The part of the store that is needed here."""

    async def answer(self, owner: str, run_id: str) -> Stored:
        """Return a stored answer. Raises ``NotFound``, ``StorageError``."""
        ...


def handle(run_id: str, number: int) -> str:
    """Return the handle. ``number`` counts the reasoning parts of a run's answer from 0."""
    return f"streamchat.{run_id}.{number}"


async def recall(store: Answers, owner: str, turns: Iterable[Message]) -> tuple[Message, ...]:
    """Return the turns with the opaque data of their reasoning, and its model. Raises ``StorageError``."""
    messages: dict[str, Message | None] = {}
    recalled = []
    for turn in turns:
        model = turn.model
        parts: list[Part] = []
        for part in turn.parts:
            if isinstance(part, ReasoningPart) and part.opaque is not None:
                part, source = await _restore(store, owner, part, messages)
                model = source or model
            parts.append(part)
        recalled.append(replace(turn, parts=tuple(parts), model=model))
    return tuple(recalled)


async def _restore(
    store: Answers, owner: str, part: ReasoningPart, messages: dict[str, Message | None]
) -> tuple[ReasoningPart, str]:
    plain = replace(part, opaque=None)
    match = _HANDLE.fullmatch(str((part.opaque or {}).get("mark", "")))
    if match is None or len(messages) > MAX_RECALLED:
        return plain, ""
    run_id, number = match[1], int(match[2])
    if run_id not in messages:
        try:
            messages[run_id] = (await store.answer(owner, run_id)).message
        except NotFound:
            messages[run_id] = None
    message = messages[run_id]
    reasoning = [p for p in message.parts if isinstance(p, ReasoningPart)] if message else []
    if message is None or number >= len(reasoning) or reasoning[number].text != part.text:
        return plain, ""
    return reasoning[number], message.model
