"""Where a request goes on: in a conversation of its own, in a stored one, or from an answer that is stored.

Knows runs and the store. Rules:

* Without a conversation, what the client sent is the conversation: it is stored with the question.
* In a stored one, the store knows the history: only the client's last word counts, which is a message or the results
  of the calls that the answer before made. Such an answer goes on where that one stopped, as its sibling.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from streamchat.chat.messages import Message, Part, ToolCallPart
from streamchat.errors import InvalidInput, NotFound
from streamchat.runs.ports import Begun
from streamchat.web.vendors.asked import Asked, Result
from streamchat.web.vendors.marks import recall
from streamchat.wiring import LOCAL_OWNER, Services

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Place:
    """``key``: what makes the request safe to send again."""

    conversation_id: str | None
    key: str


@dataclass(frozen=True, slots=True)
class _Start:
    conversation_id: str | None
    parts: Sequence[Part]
    history: Sequence[Message] = ()
    prefix: Sequence[Part] = ()


async def begin(served: Services, asked: Asked, place: Place) -> tuple[Begun, Sequence[Part]]:
    """The run, and the parts with which its answer began. Raises ``NotFound``, ``InvalidInput``, ``StorageError``."""
    check_model(served, asked.model)
    start = await _start(served, asked, place)
    begun = await served.runs.start(
        LOCAL_OWNER,
        conversation_id=start.conversation_id,
        client_message_id=place.key,
        parts=start.parts,
        model=asked.model,
        system=asked.system,
        options=asked.options,
        history=start.history,
        prefix=start.prefix,
        tools=asked.tools,
    )
    return begun, start.prefix


def check_model(served: Services, model: str) -> None:
    """Raises ``NotFound`` of the kind ``no-model``."""
    try:
        served.models.info(model)
    except NotFound as error:
        raise NotFound(error.user_message, kind="no-model") from None


async def _start(served: Services, asked: Asked, place: Place) -> _Start:
    conversation_id = place.conversation_id
    if conversation_id is not None and not _ID.fullmatch(conversation_id):
        raise InvalidInput("X-Conversation-Id is not the id of a conversation.")
    if conversation_id is None and asked.after is not None:
        conversation_id, earlier = await _after(served, asked.after)
        if conversation_id is None:
            return _following(asked, earlier)
    if conversation_id is not None:
        return await _in_stored(served, asked, conversation_id)
    if asked.results:
        raise InvalidInput("A tool's result belongs to a call that is not among the messages.")
    turns = await recall(served.store, LOCAL_OWNER, asked.turns)
    asked = replace(asked, turns=turns)
    return _Start(None, asked.question, asked.earlier, asked.beginning)


async def _after(served: Services, run_id: str) -> tuple[str | None, tuple[Message, ...]]:
    """The conversation that ends with this answer; else ``None``, and the messages up to and with it."""
    stored = await served.store.answer(LOCAL_OWNER, run_id)
    conversation = await served.store.conversation(LOCAL_OWNER, stored.conversation_id)
    if conversation.messages and conversation.messages[-1].id == run_id:
        return stored.conversation_id, ()
    return None, (*await served.store.asked(LOCAL_OWNER, run_id), stored.message)


def _following(asked: Asked, earlier: tuple[Message, ...]) -> _Start:
    """In a new conversation, because the old one went another way since."""
    if asked.question:
        return _Start(None, asked.question, (*earlier, *asked.earlier))
    return _Start(None, (), earlier[:-1], filled(earlier[-1].parts, asked.answers))


async def _in_stored(served: Services, asked: Asked, conversation_id: str) -> _Start:
    if asked.question:
        return _Start(conversation_id, asked.question)
    if answers := asked.answers:
        conversation = await served.store.conversation(LOCAL_OWNER, conversation_id)
        last = conversation.messages[-1] if conversation.messages else None
        if last is None or last.role != "assistant":
            raise InvalidInput("There is no answer in this conversation that waits for a tool's result.")
        return _Start(conversation_id, (), (), filled(last.parts, answers))
    asked_before = replace(asked, turns=asked.earlier)
    if not asked_before.question:
        raise InvalidInput("There is no message to answer.")
    return _Start(conversation_id, asked_before.question, (), asked.beginning)


def filled(parts: Sequence[Part], results: Mapping[str, Result]) -> tuple[Part, ...]:
    """The parts with these results in their calls. Raises ``InvalidInput`` for a result without a call."""
    calls = {part.id for part in parts if isinstance(part, ToolCallPart)}
    if strangers := set(results) - calls:
        raise InvalidInput(f"No call of the last answer has the id {sorted(strangers)[0][:80]}.")
    return tuple(
        results[part.id].put(part) if isinstance(part, ToolCallPart) and part.id in results else part for part in parts
    )
