"""Starts a run for a vendor-shaped request: in a new conversation, in a stored one, or after a stored answer.

Knows runs and the store. Rules:

* Without a conversation, the client's messages are the conversation: they are stored with the question.
* In a stored conversation the store has the history. With ``X-Conversation-Id`` the client sends its own too, so only
  its last message counts, or the results of the tool calls of the previous answer. After a response, and in a
  conversation of the Responses API, everything counts that it sends.
* Results continue the answer with the calls, as its sibling. With a question behind them, a copy of that answer has the
  results, and begins a branch.
* What is not to be kept has a copy of the history, in a temporary chat that is deleted after the answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from secrets import token_urlsafe
from typing import Any

from streamchat.chat.messages import Message, Part, TextPart, ToolCallPart
from streamchat.chat.request import ROOT, UNKEPT, NewRun, RunOptions, is_unkept
from streamchat.errors import InvalidInput, NotFound
from streamchat.protocols.conversation_in import ClientRequest, Result
from streamchat.protocols.reasoning_handles import Stored, recall
from streamchat.runs.ports import Begun, Models
from streamchat.runs.service import check_options
from streamchat.wiring.request_context import RequestContext

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request wants its run. ``header``: its ``X-Conversation-Id``. ``archived``: a new one, in the archive."""

    header: str | None = None
    archived: bool = False


async def start(
    context: RequestContext, client_request: ClientRequest, place: Place, key: str
) -> tuple[Begun, Sequence[Part]]:
    """Start the run, or find the one with the same ``key``. Returns it, and the parts with which its answer begins.

    Raises ``NotFound``, ``InvalidInput``, ``StorageError``, ``TooManyRequests``.
    """
    models = await context.models()
    check_model(models, client_request.model)
    check_request(models, client_request)
    client_request = await _with_lasting_system(context, client_request)
    new = await _new_run(context, client_request, place, key)
    begun = await context.start(new)
    if client_request.lasting_system and client_request.keep and begun.created:
        await _keep_system(context, begun.conversation_id, client_request.lasting_system)
    return begun, new.prefix


async def _with_lasting_system(context: RequestContext, client_request: ClientRequest) -> ClientRequest:
    """Return the request with what earlier system messages of its conversation said."""
    conversation_id = client_request.conversation_id
    if conversation_id is None and client_request.after is not None:
        conversation_id = await context.store.conversation_of(context.owner, client_request.after)
    before = await _kept_system(context, conversation_id) if conversation_id else ""
    if not before:
        return client_request
    system, lasting = _joined(before, client_request.system), _joined(before, client_request.lasting_system)
    return replace(client_request, system=system, lasting_system=lasting)


async def add_system(context: RequestContext, conversation_id: str, text: str) -> None:
    """Add a text to the system prompt of a conversation. Raises ``NotFound``."""
    await _keep_system(context, conversation_id, _joined(await _kept_system(context, conversation_id), text))


async def _kept_system(context: RequestContext, conversation_id: str) -> str:
    return (await context.store.about(context.owner, conversation_id)).settings.options.system or ""


async def _keep_system(context: RequestContext, conversation_id: str, text: str) -> None:
    options = (await context.store.about(context.owner, conversation_id)).settings.options
    if options.system != text:
        await context.store.configure(context.owner, conversation_id, options=replace(options, system=text))


def _joined(*texts: str | None) -> str:
    return "\n\n".join(text for text in texts if text)


def check_model(models: Models, model: str) -> None:
    """Raise ``NotFound`` of the kind ``no-model`` if there is no such model."""
    try:
        models.info(model)
    except NotFound as error:
        raise NotFound(error.user_message, kind="no-model") from None


def check_request(models: Models, client_request: ClientRequest) -> None:
    """Raise ``InvalidInput`` for a parameter whose loss would change the answer, if the model does not take it."""
    model = models.info(client_request.model)
    nothing: dict[str, Any] = dict.fromkeys(client_request.demanded)
    chosen = replace(client_request.options, **nothing)
    check_options(model, chosen, client_request.names)
    if client_request.tools and not (model.capabilities.tools or model.capabilities.schema_tools):
        raise InvalidInput(f"tools: {model.label} cannot call any. Leave them out, or choose another model.")
    effort = client_request.options.reasoning_effort not in (None, "none")
    ends_in_text = isinstance(client_request.prefix[-1], TextPart) if client_request.prefix else False
    if effort and ends_in_text and model.capabilities.continues == "prefill":
        name = client_request.names.get("reasoning_effort", "reasoning_effort")
        raise InvalidInput(
            f"{name}: {model.label} does not think before it continues an answer. Leave one of them out."
        )


async def _new_run(context: RequestContext, client_request: ClientRequest, place: Place, key: str) -> NewRun:
    options = RunOptions(
        client_request.system, client_request.options, tuple(client_request.tools), client_request.echo
    )
    new = NewRun(client_message_id=key, model=client_request.model, options=options, archived=place.archived)
    if place.header is not None and not _ID.fullmatch(place.header):
        raise InvalidInput("X-Conversation-Id is not the id of a conversation.")
    if None not in (place.header, client_request.conversation_id) and place.header != client_request.conversation_id:
        raise InvalidInput("conversation: X-Conversation-Id names another one.")
    if not client_request.keep:
        return await _unkept(context, new, client_request, place.header)
    if (conversation_id := client_request.conversation_id) is not None:
        return await _appended(context, replace(new, conversation_id=conversation_id), client_request)
    if place.header is not None:
        return await _in_stored(context, replace(new, conversation_id=place.header), client_request)
    if client_request.after is not None:
        conversation_id, earlier = await _after(context, client_request.after)
        if conversation_id is None:
            return _after_stored(new, client_request, earlier)
        return await _appended(context, replace(new, conversation_id=conversation_id), client_request)
    return await _with_own_history(context, new, client_request)


async def _with_own_history(context: RequestContext, new: NewRun, client_request: ClientRequest) -> NewRun:
    """Return the run in a new conversation with the history that the client sends."""
    if client_request.results:
        raise InvalidInput("A tool result refers to a call that is not among the messages.")
    turns = await recall(_Answers(context), context.owner, client_request.turns)
    client_request = replace(client_request, turns=turns)
    return replace(new, parts=client_request.question, history=client_request.earlier, prefix=client_request.prefix)


class _Answers:
    """The answers whose reasoning may come back: stored ones, and those of chats that were not kept."""

    def __init__(self, context: RequestContext) -> None:
        self._context = context

    async def answer(self, owner: str, run_id: str) -> Stored:
        """See ``reasoning_handles.Answers``."""
        return await (self._context.runs.unkept if is_unkept(run_id) else self._context.store).answer(owner, run_id)


async def _unkept(context: RequestContext, new: NewRun, client_request: ClientRequest, header: str | None) -> NewRun:
    """Return the run in a chat that is deleted after its answer, with a copy of what is stored before it."""
    if context.settings.redis_url is not None:
        raise InvalidInput("store: false needs a server of one process; this one has several, which share a database.")
    earlier: tuple[Message, ...] = ()
    if (conversation_id := client_request.conversation_id or header) is not None:
        earlier = (await context.store.conversation(context.owner, conversation_id)).messages
    elif client_request.after is not None:
        stored = await context.store.answer(context.owner, client_request.after)
        earlier = (*await context.store.question_branch(context.owner, client_request.after), stored.message)
    if not earlier:
        new = await _with_own_history(context, new, client_request)
    elif header is not None:  # its client sends the history too
        question = client_request.turns[-1:] if client_request.question else ()
        new = _after_stored(new, replace(client_request, turns=question or client_request.turns), earlier)
    else:
        new = _after_stored(new, client_request, earlier)
    return replace(new, temporary=True, archived=False, new_conversation_id=UNKEPT + token_urlsafe(16))


async def _after(context: RequestContext, run_id: str) -> tuple[str | None, tuple[Message, ...]]:
    """Return the conversation that ends with this answer; or ``None``, and the messages up to and including it."""
    stored = await context.store.answer(context.owner, run_id)
    conversation = await context.store.conversation(context.owner, stored.conversation_id)
    if conversation.messages and conversation.messages[-1].id == run_id:
        return stored.conversation_id, ()
    return None, (*await context.store.question_branch(context.owner, run_id), stored.message)


def _after_stored(new: NewRun, client_request: ClientRequest, earlier: tuple[Message, ...]) -> NewRun:
    """Return the run in a new conversation with a copy of the history: the stored one has continued since."""
    if client_request.question:
        if results := client_request.results:
            earlier = (*earlier[:-1], replace(earlier[-1], parts=with_results(earlier[-1].parts, results)))
        return replace(new, parts=client_request.question, history=(*earlier, *client_request.earlier))
    if not (answers := client_request.answers):
        raise InvalidInput("There is no message to answer.")
    return replace(new, history=earlier[:-1], prefix=with_results(earlier[-1].parts, answers))


async def _appended(context: RequestContext, new: NewRun, client_request: ClientRequest) -> NewRun:
    """Return the run with everything that the client sends behind the stored history."""
    if not client_request.question:
        return await _in_stored(context, new, client_request)
    new = replace(new, parts=client_request.question, history=client_request.earlier)
    if not client_request.results:
        return new
    messages = (await context.store.conversation(context.owner, new.conversation_id or "")).messages
    answer = _last_answer(messages)
    answered = replace(answer, parts=with_results(answer.parts, client_request.results))
    parent = messages[-2].id if len(messages) > 1 else ROOT
    return replace(new, parent_id=parent, history=(answered, *client_request.earlier))


async def _in_stored(context: RequestContext, new: NewRun, client_request: ClientRequest) -> NewRun:
    if client_request.question:
        return replace(new, parts=client_request.question)
    if answers := client_request.answers:
        conversation = await context.store.conversation(context.owner, new.conversation_id or "")
        return replace(new, prefix=with_results(_last_answer(conversation.messages).parts, answers))
    before_prefill = replace(client_request, turns=client_request.earlier)
    if not before_prefill.question:
        raise InvalidInput("There is no message to answer.")
    return replace(new, parts=before_prefill.question, prefix=client_request.prefix)


def _last_answer(messages: Sequence[Message]) -> Message:
    last = messages[-1] if messages else None
    if last is None or last.role != "assistant":
        raise InvalidInput("No answer in this conversation waits for a tool result.")
    return last


def with_results(parts: Sequence[Part], results: Mapping[str, Result]) -> tuple[Part, ...]:
    """Return the parts with the results put into their tool calls. Raises ``InvalidInput`` if a call is missing."""
    call_ids = {part.id for part in parts if isinstance(part, ToolCallPart)}
    if unknown := set(results) - call_ids:
        raise InvalidInput(f"No call of the last answer has the id {sorted(unknown)[0][:80]}.")
    return tuple(
        results[part.id].put(part) if isinstance(part, ToolCallPart) and part.id in results else part for part in parts
    )
