"""Titles of conversations by a model: one question about the first finished answer, in the background.

Knows the models, the log and the store. Rules:

* It delays nothing: it begins after the answer has ended, one conversation after the other. What does not fit into the
  queue keeps the first words of its question as its title, as does one for which the model fails.
* It is no answer of a conversation: no run, no log, no row, no tools.
* A title that a person gave stays: only the first words of the question are replaced.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from streamchat.chat.events import TextDelta
from streamchat.chat.messages import Message, TextPart
from streamchat.chat.request import Options, Request, is_temporary
from streamchat.chat.titles import clean_title, title_of
from streamchat.errors import NotFound, StreamchatError
from streamchat.runs.log import Log
from streamchat.runs.notifications import Feed, Notification
from streamchat.runs.ports import Models
from streamchat.runs.run_task import ActiveRun

OWN_MODEL = "auto"
MAX_WAITING = 20
# Of the question and of the answer, for the model; of what it writes.
EXCERPT, REPLY = 1500, 300
# Tokens of a title, and of the thinking before it if the model thinks.
TOKENS, THINKING_TOKENS = 40, 1000
SECONDS = 30.0
MAX_WORDS = 10
SYSTEM = "You name conversations. Reply with a title of two to six words, and nothing else."
_ORNAMENT = re.compile(r"^[\s#*_>`\"'“”‘’«»-]+|[\s*_`\"'“”‘’«».:]+$")
_LABEL = re.compile(r"^(title|name)\s*:\s*", re.IGNORECASE)
logger = logging.getLogger(__name__)


class Titled(Protocol):
    """Where titles are stored."""

    async def retitle(self, owner: str, conversation_id: str, title: str, *, instead_of: str) -> bool:
        """Change the title of a conversation if it is ``instead_of``. Returns whether it was."""
        ...


@dataclass(frozen=True, slots=True)
class _Exchange:
    owner: str
    conversation_id: str
    question: Message
    answer: Message


class Titles:
    """Asks ``model`` for titles; ``OWN_MODEL`` is that of each conversation. ``models_of``: the models of an owner."""

    def __init__(
        self, model: str, *, models_of: Callable[[str], Awaitable[Models]], log: Log, store: Titled, feed: Feed
    ) -> None:
        self._model = model
        self._models_of = models_of
        self._log = log
        self._store = store
        self._feed = feed
        self._queue: asyncio.Queue[_Exchange] = asyncio.Queue(MAX_WAITING)

    def offer(self, run: ActiveRun) -> None:
        """Have a title made for the conversation whose first answer this is, if it is complete."""
        if run.question is None or is_temporary(run.run_id) or self._queue.full():
            return
        try:
            answer = self._log.snapshot(run.run_id).message
        except NotFound:
            return
        if answer.status == "finished" and answer.text.strip():
            self._queue.put_nowait(_Exchange(run.owner, run.conversation_id, run.question, answer))

    async def work(self) -> None:
        """Make titles, until cancelled."""
        while True:
            exchange = await self._queue.get()
            try:
                async with asyncio.timeout(SECONDS):
                    await self._name(exchange)
            except (StreamchatError, TimeoutError) as error:
                logger.info("conversation %s keeps its title: %s", exchange.conversation_id, error)
            except Exception:
                logger.exception("no title for conversation %s", exchange.conversation_id)

    async def _name(self, exchange: _Exchange) -> None:
        title = title_from(await self._ask(exchange))
        old = title_of(exchange.question.parts)
        if title and await self._store.retitle(exchange.owner, exchange.conversation_id, title, instead_of=old):
            self._feed.publish(exchange.owner, Notification("changed", exchange.conversation_id))

    async def _ask(self, exchange: _Exchange) -> str:
        model = exchange.answer.model if self._model == OWN_MODEL else self._model
        models = await self._models_of(exchange.owner)
        info = models.info(model)
        options = Options(max_tokens=THINKING_TOKENS if info.capabilities.reasoning else TOKENS)
        request = Request(info.name, (prompt(exchange.question, exchange.answer),), SYSTEM, options)
        reply = ""
        async with aclosing(models.provider(model).stream(request)) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    reply += event.text
                if len(reply) > REPLY or "\n" in reply.strip():
                    break
        return reply


def prompt(question: Message, answer: Message) -> Message:
    """Return the message that asks for a title."""
    text = (
        f"Question: {question.text[:EXCERPT]}\n\nAnswer: {answer.text[:EXCERPT]}\n\n"
        "Write a title of two to six words for this conversation."
    )
    return Message("", "user", (TextPart(text),))


def title_from(reply: str) -> str:
    """Return the title in a model's reply, "" if there is none: its first line, without ornaments and labels."""
    line = next((line for line in reply.strip().splitlines() if line.strip()), "")
    line = _ORNAMENT.sub("", _LABEL.sub("", _ORNAMENT.sub("", line)))
    return "" if len(line.split()) > MAX_WORDS else clean_title(line)
