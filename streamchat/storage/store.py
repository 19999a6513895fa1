"""The database as the rest of the program sees it: values in, values out, each call one transaction.

Knows nothing of runs, providers or pages. Rules:

* A call either has its whole effect or none, and raises only ``NotFound``, ``InvalidInput`` or ``StorageError``.
  After a ``transient`` error every call may simply be made again: none has its effect twice.
* Calls on behalf of a person take ``owner`` first. The others are the program's own and name runs it has.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from streamchat.chat.messages import Message, Part
from streamchat.errors import InvalidInput, StorageError
from streamchat.storage import reading, searching, writing
from streamchat.storage.address import read_address
from streamchat.storage.engine import Database
from streamchat.storage.migrate import prepare
from streamchat.storage.titles import clean_title
from streamchat.storage.views import Begun, Conversation, ConversationRow, Hit, RunRow, StoredRun, ToolChoices

_PLAIN = re.compile("[^\x00-\x1f\x7f\ud800-\udfff]{1,200}")
_TITLE_LENGTH = 200


class Storage:
    """Conversations and answers in the database at ``url`` (``sqlite:///path`` or ``postgresql://…``).

    ``patience``: seconds to wait for a lock that another program holds. Raises ``StorageError`` for a
    URL that cannot be one; nothing is opened before ``open``.
    """

    def __init__(self, url: str, *, patience: float = 5) -> None:
        self._patience = patience
        self._database = Database(read_address(url), patience)

    async def open(self) -> None:
        """Create or upgrade the tables. Raises ``StorageError``: one sentence that names the database."""
        try:
            await prepare(self._database, self._patience)
        except BaseException:
            await self._database.close()
            raise

    async def close(self) -> None:
        await self._database.close()

    # Reading

    async def conversations(self, owner: str, *, limit: int = 50, before: str | None = None) -> list[ConversationRow]:
        """Newest first. ``before``: the ``cursor`` of the last row of the page before."""
        return await self._database.read(lambda connection: reading.page(connection, _owner(owner), limit, before))

    async def conversation(self, owner: str, conversation_id: str) -> Conversation:
        """Title and active branch. Raises ``NotFound``."""
        return await self._database.read(lambda connection: reading.whole(connection, _owner(owner), conversation_id))

    async def answer(self, owner: str, run_id: str) -> StoredRun:
        """One answer as stored. Raises ``NotFound``."""
        return await self._database.read(lambda connection: reading.stored(connection, _owner(owner), run_id))

    async def asked(self, owner: str, run_id: str) -> tuple[Message, ...]:
        """The branch up to what this answer answers. Raises ``NotFound``."""
        return await self._database.read(lambda connection: reading.asked(connection, _owner(owner), run_id))

    async def choices(self, owner: str, conversation_id: str) -> ToolChoices:
        """What was decided about tools in a conversation. Raises ``NotFound``."""
        row = await self._database.read(lambda connection: reading.owned(connection, _owner(owner), conversation_id))
        found = row.tools or {}
        return ToolChoices(frozenset(found.get("always", ())), frozenset(found.get("off", ())))

    async def answering(self, owner: str) -> list[RunRow]:
        """The answers that are being written or wait for an approval, oldest first."""
        return await self._database.read(lambda connection: reading.under_way(connection, _owner(owner)))

    async def stale(self, stale_before: datetime) -> list[str]:
        """The streaming answers without a heartbeat since then, which ``sweep`` would end."""
        return await self._database.read(lambda connection: reading.stale(connection, stale_before))

    async def ended(self, run_ids: Iterable[str]) -> list[StoredRun]:
        """Those of these answers that have ended."""
        return await self._database.read(lambda connection: reading.ended(connection, run_ids))

    async def search(self, owner: str, query: str, *, limit: int = 20, before: str | None = None) -> list[Hit]:
        """The messages with all these words (of the last one its beginning is enough), newest first.

        An answer is found when it has ended. ``before``: the ``cursor`` of the last hit of the page before.
        """
        if not isinstance(query, str):
            raise InvalidInput("A search needs words.")
        return await self._database.read(
            lambda connection: searching.search(connection, _owner(owner), query, limit, before)
        )

    # Answers

    async def begin(
        self,
        owner: str,
        *,
        conversation_id: str | None,
        client_message_id: str,
        parts: Iterable[Part],
        model: str,
        worker: str,
        alone: bool = False,
        history: Iterable[Message] = (),
        prefix: Iterable[Part] = (),
        request: Mapping[str, Any] | None = None,
        named: str | None = None,
    ) -> Begun:
        """Store a question and begin its answer. The same ``client_message_id`` again gets the same answer.

        ``conversation_id=None`` begins a conversation. ``alone``: only where no other answer is being written in it,
        by whatever process. ``history``: earlier turns that come with the question. ``prefix``: parts with which the
        answer begins; there may be no question then. ``request``: JSON to keep beside the answer. ``named``: the id of
        the conversation that begins.
        Raises ``NotFound``, ``InvalidInput``.
        """
        asked = writing.Asked(tuple(parts), tuple(history), tuple(prefix), named)
        if not asked.parts and not asked.prefix:
            raise InvalidInput("The message is empty.")
        key = _request(owner, client_message_id, model, worker) | {"more": dict(request or {})}
        return await self._once(
            owner, key, lambda connection: writing.ask(connection, owner, conversation_id, asked, key, alone)
        )

    async def begin_again(
        self,
        owner: str,
        *,
        message_id: str,
        client_message_id: str,
        model: str,
        worker: str,
        keep: bool,
        alone: bool = False,
    ) -> Begun:
        """Begin another answer beside one that has ended; with ``keep`` it starts with what that one has.

        Idempotent, and ``alone``, as ``begin``. Raises ``NotFound``, and ``InvalidInput`` while the old answer is
        being written.
        """
        request = _request(owner, client_message_id, model, worker)
        return await self._once(
            owner, request, lambda connection: writing.ask_again(connection, owner, message_id, keep, request, alone)
        )

    async def known(self, owner: str, client_message_id: str) -> bool:
        """Whether an answer was begun for this request."""
        key = _request_key(owner, client_message_id)
        return await self._database.read(lambda connection: reading.known(connection, key))

    async def _once(
        self, owner: str, request: dict[str, Any], create: Callable[[AsyncConnection], Awaitable[Begun]]
    ) -> Begun:
        async def attempt(connection: AsyncConnection) -> Begun:
            return await reading.begun(connection, owner, request["key"]) or await create(connection)

        try:
            return await self._database.write(attempt)
        except StorageError as error:
            if error.reason != "conflict":
                raise
        return await self._database.write(
            attempt
        )  # the same request was quicker on another connection: now its rows are there

    async def save(self, entries: Sequence[tuple[Message, int]]) -> None:
        """Store partial answers with the seq they contain, and say that their runs are alive.

        A row that has ended, or has a higher seq, is left as it is.
        """
        if entries:
            await self._database.write(lambda connection: writing.store(connection, entries))

    async def end(self, message: Message, seq: int) -> bool:
        """Store an ending, or that the answer waits. False where the row had another one (or is gone), which stays."""
        if message.status == "streaming":
            raise ValueError("a message that is streaming has not ended")
        return await self._database.write(lambda connection: writing.finish(connection, message, seq))

    async def beat(self, run_ids: Iterable[str]) -> None:
        """Say that these runs are alive."""
        await self._database.write(lambda connection: writing.beat(connection, run_ids))

    async def move_on(self, message: Message, seq: int, *, after: int, worker: str) -> bool:
        """An answer that waits, with the seq ``after``, is as told from now on; false where it is not so any more."""
        return await self._database.write(lambda connection: writing.move_on(connection, message, seq, after, worker))

    async def sweep(self, stale_before: datetime, message: str) -> list[tuple[str, str]]:
        """Mark the streaming answers without a heartbeat since then as interrupted, with this sentence.

        Returns their ids and those of their conversations. Answers that wait for an approval are left alone.
        """
        return await self._database.write(lambda connection: writing.sweep(connection, stale_before, message))

    # Conversations

    async def rename(self, owner: str, conversation_id: str, title: str) -> None:
        """Raises ``NotFound``, and ``InvalidInput`` for an empty title."""
        cleaned = clean_title(title, _TITLE_LENGTH) if isinstance(title, str) else ""
        if not cleaned:
            raise InvalidInput("A conversation needs a title.")
        await self._database.write(
            lambda connection: writing.rename(connection, _owner(owner), conversation_id, cleaned)
        )

    async def choose(
        self, owner: str, conversation_id: str, *, always: Iterable[str] = (), off: Iterable[str] | None = None
    ) -> None:
        """From now on these tools run without asking here, and these tools and servers are off. Raises ``NotFound``."""
        await self._database.write(
            lambda connection: writing.choose(connection, _owner(owner), conversation_id, always, off)
        )

    async def delete(self, owner: str, conversation_id: str) -> None:
        """The conversation with all its messages. Raises ``NotFound``."""
        await self._database.write(lambda connection: writing.remove(connection, _owner(owner), conversation_id))


def _owner(owner: str) -> str:
    # No colon: it ends the owner in a request key, which must not be two owners' at once.
    if not isinstance(owner, str) or not _PLAIN.fullmatch(owner) or ":" in owner:
        raise InvalidInput("This is not the name of an owner.")
    return owner


def _request(owner: str, client_message_id: str, model: str, worker: str) -> dict[str, Any]:
    return {"key": _request_key(owner, client_message_id), "model": model, "worker": worker}


def _request_key(owner: str, client_message_id: str) -> str:
    if not isinstance(client_message_id, str) or not _PLAIN.fullmatch(client_message_id):
        raise InvalidInput("A message needs an id of its own, of 1 to 200 characters.")
    return f"{_owner(owner)}:{client_message_id}"
