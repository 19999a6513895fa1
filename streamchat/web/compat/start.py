"""Starts a run for a vendor-shaped request: in a new conversation, in a stored one, or after a stored answer.

Knows runs and the store. Rules:

* Without a conversation, the client's messages are the conversation: they are stored with the question.
* In a stored conversation the store has the history. Only the client's last message counts, or the results of the tool
  calls of the previous answer. In the second case the new answer continues that one, as its sibling.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from streamchat.chat.messages import Message, Part, ToolCallPart
from streamchat.chat.request import NewRun, RunOptions
from streamchat.errors import InvalidInput, NotFound
from streamchat.protocols.conversation_in import ClientRequest, Result
from streamchat.protocols.reasoning_handles import recall
from streamchat.runs.ports import Begun, Models
from streamchat.wiring.request_context import RequestContext

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


async def start(
    context: RequestContext, client_request: ClientRequest, conversation_id: str | None, key: str
) -> tuple[Begun, Sequence[Part]]:
    """Start the run, or find the one with the same ``key``. Returns it, and the parts with which its answer begins.

    Raises ``NotFound``, ``InvalidInput``, ``StorageError``, ``TooManyRequests``.
    """
    models = await context.models()
    check_model(models, client_request.model)
    check_options(models, client_request)
    new = await _new_run(context, client_request, conversation_id, key)
    return await context.start(new), new.prefix


def check_model(models: Models, model: str) -> None:
    """Raise ``NotFound`` of the kind ``no-model`` if there is no such model."""
    try:
        models.info(model)
    except NotFound as error:
        raise NotFound(error.user_message, kind="no-model") from None


def check_options(models: Models, client_request: ClientRequest) -> None:
    """Raise ``InvalidInput`` for an option whose loss would change the answer, if the model does not take it."""
    model, options = models.info(client_request.model), client_request.options
    for name, value in (("top_p", options.top_p), ("stop", options.stop or None)):
        if value is not None and name in model.capabilities.refuses:
            raise InvalidInput(f"{name}: {model.label} does not support it.")
    if options.tool_choice and not model.capabilities.tools:
        raise InvalidInput(f"tool_choice: {model.label} cannot be made to call a tool.")


async def _new_run(
    context: RequestContext, client_request: ClientRequest, conversation_id: str | None, key: str
) -> NewRun:
    new = NewRun(
        client_message_id=key,
        model=client_request.model,
        options=RunOptions(client_request.system, client_request.options, tuple(client_request.tools)),
    )
    if conversation_id is not None and not _ID.fullmatch(conversation_id):
        raise InvalidInput("X-Conversation-Id is not the id of a conversation.")
    if conversation_id is None and client_request.after is not None:
        conversation_id, earlier = await _after(context, client_request.after)
        if conversation_id is None:
            return _after_stored(new, client_request, earlier)
    if conversation_id is not None:
        return await _in_stored(context, replace(new, conversation_id=conversation_id), client_request)
    if client_request.results:
        raise InvalidInput("A tool result refers to a call that is not among the messages.")
    client_request = replace(client_request, turns=await recall(context.store, context.owner, client_request.turns))
    return replace(new, parts=client_request.question, history=client_request.earlier, prefix=client_request.prefix)


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
        return replace(new, parts=client_request.question, history=(*earlier, *client_request.earlier))
    return replace(new, history=earlier[:-1], prefix=with_results(earlier[-1].parts, client_request.answers))


async def _in_stored(context: RequestContext, new: NewRun, client_request: ClientRequest) -> NewRun:
    if client_request.question:
        return replace(new, parts=client_request.question)
    if answers := client_request.answers:
        conversation = await context.store.conversation(context.owner, new.conversation_id or "")
        last = conversation.messages[-1] if conversation.messages else None
        if last is None or last.role != "assistant":
            raise InvalidInput("No answer in this conversation waits for a tool result.")
        return replace(new, prefix=with_results(last.parts, answers))
    before_prefill = replace(client_request, turns=client_request.earlier)
    if not before_prefill.question:
        raise InvalidInput("There is no message to answer.")
    return replace(new, parts=before_prefill.question, prefix=client_request.prefix)


def with_results(parts: Sequence[Part], results: Mapping[str, Result]) -> tuple[Part, ...]:
    """Return the parts with the results put into their tool calls. Raises ``InvalidInput`` if a call is missing."""
    call_ids = {part.id for part in parts if isinstance(part, ToolCallPart)}
    if unknown := set(results) - call_ids:
        raise InvalidInput(f"No call of the last answer has the id {sorted(unknown)[0][:80]}.")
    return tuple(
        results[part.id].put(part) if isinstance(part, ToolCallPart) and part.id in results else part for part in parts
    )
