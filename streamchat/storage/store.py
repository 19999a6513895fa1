"""The storage interface: values in, values out, one transaction per call.

Knows nothing of runs, providers or pages. Rules:

* A call has its whole effect or none, and raises only ``NotFound``, ``InvalidInput`` or ``StorageError``.
  After a ``transient`` error every call may be repeated: none has its effect twice.
* Calls on behalf of a user take ``owner`` first. The others are internal and name the process's own runs.
* A temporary chat is in the memory database alone, and its ids tell so. Lists and the search know nothing of it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection, func, select

from streamchat.chat.feedback import Feedback
from streamchat.chat.files import CheckedFile, FileInfo
from streamchat.chat.messages import Message, Part
from streamchat.chat.request import STEERS, TEMPORARY, NewRun, RunOptions, compared_ids, is_temporary
from streamchat.chat.titles import clean_title, title_of
from streamchat.chat.writes import Change, End, Timed, Written
from streamchat.errors import InvalidInput, StorageError
from streamchat.storage import branches, commands, feedback, files, organizing, queries, search
from streamchat.storage.accounts import AccountStore
from streamchat.storage.address import read_address
from streamchat.storage.audit import AuditStore
from streamchat.storage.engine import Database, T, Work
from streamchat.storage.joined_queries import JoinedQueries
from streamchat.storage.latency import LatencyStore
from streamchat.storage.memory import MemoryDatabase
from streamchat.storage.migrate import prepare
from streamchat.storage.personal import PersonalStore
from streamchat.storage.presets import PresetStore
from streamchat.storage.provider_keys import ProviderKeyStore
from streamchat.storage.records import (
    Begun,
    BranchPage,
    Conversation,
    ConversationRow,
    Hit,
    PlacedMessage,
    RunRow,
    StaleRun,
    StoredMessage,
    StoredRun,
    ToolChoices,
)
from streamchat.storage.usage import BY, UsageStore
from streamchat.storage.webhooks import WebhookStore

One = TypeVar("One", Change, End, Timed)
Shown = TypeVar("Shown")
_PLAIN = re.compile("[^\x00-\x1f\x7f\ud800-\udfff]{1,200}")
_TITLE_LENGTH = 200
IDLE_AT_ONCE = 20
# Between two queries for the list of a person, however many tabs show it.
LIST_REST_SECONDS = 0.2
# Whether nobody else has this lock, which lasts as long as the transaction. An arbitrary number.
_ALONE = select(func.pg_try_advisory_xact_lock(7310577061298463845))
_LONG_TEXT = 20_000


class Storage:
    """Conversations and answers in the database at ``url`` (``sqlite:///path`` or ``postgresql://…``).

    ``patience``: seconds to wait for a lock that another program holds. Raises ``StorageError`` for an
    unusable URL. Does not connect before ``open``. ``temporary``: whether there may be temporary chats. They are in the
    memory of this process, and no other one can read them. ``has_accounts``: an owner without an account
    stores nothing new: it was deleted.
    """

    def __init__(self, url: str, *, patience: float = 5, temporary: bool = True, has_accounts: bool = False) -> None:
        self._patience = patience
        self._database = Database(read_address(url), patience)
        self._has_accounts = has_accounts
        self._memory = MemoryDatabase() if temporary else None
        self._followers_queries = JoinedQueries()
        self._tabs_queries = JoinedQueries(LIST_REST_SECONDS)
        self.accounts = AccountStore(self._database)
        self.personal = PersonalStore(self._database, lambda: self._used)
        self.audit = AuditStore(self._database)
        self.usage = UsageStore(self._database, lambda: self._used)
        self.presets = PresetStore(self._database, self._check_account)
        self.latency = LatencyStore(self._database)
        self.provider_keys = ProviderKeyStore(self._database, self._check_account)
        self.webhooks = WebhookStore(self._database, self._check_account)

    @property
    def shown(self) -> str:
        """Return a description of the database address without its password."""
        return self._database.address.shown

    @property
    def errors(self) -> dict[str, int]:
        """Return how many calls failed since the start, by the reason of their ``StorageError``."""
        return dict(self._database.errors)

    async def open(self) -> None:
        """Create or upgrade the tables. Raises ``StorageError`` with one sentence that names the database."""
        try:
            await prepare(self._database, self._patience)
        except BaseException:
            await self._database.close()
            raise

    async def close(self) -> None:
        """Wait for open transactions, then close the connections. Temporary chats are gone then."""
        await self._database.close()
        if self._memory:
            await self._memory.close()

    def _of(self, identifier: object) -> Database:
        """Return the database of a conversation or a message."""
        return self._memory if self._memory and is_temporary(identifier) else self._database

    @property
    def _used(self) -> list[Database]:
        """The databases in which something is."""
        return [self._database, self._memory] if self._memory and self._memory.used else [self._database]

    async def ping(self) -> None:
        """Check that the database answers. Raises ``StorageError``."""
        await self._database.look_up(queries.ping)

    # Reading

    async def conversations(
        self, owner: str, *, limit: int = 50, before: str | None = None, archived: bool = False
    ) -> list[ConversationRow]:
        """Return a page of conversations: the pinned ones, then the others, each newest first.

        ``before``: the ``cursor`` of the previous page's last row. ``archived``: those in the archive instead. Raises
        ``InvalidInput`` for an invalid cursor.
        """
        return await self._database.read(
            lambda connection: queries.page(connection, _owner(owner), limit, before, archived)
        )

    async def newest_conversations(
        self, owner: str, limit: int, show: Callable[[list[ConversationRow]], Shown]
    ) -> Shown:
        """Return what ``show`` makes of the first page. All tabs of a person ask at the same moment: it is read and
        shown once for them, and nobody may change the result.
        """

        async def read() -> Shown:
            return show(await self.conversations(owner, limit=limit))

        return await self._tabs_queries.ask((owner, limit, show), read)

    async def walk(
        self, owner: str, *, limit: int, before: str | None = None, archived: bool = False
    ) -> tuple[list[ConversationRow], str | None]:
        """Return a page of a walk through the list, and the ``before`` of the next page, ``None`` after the last one.

        Unlike with ``conversations``, none is skipped because it changed during the walk: those come at its end, oldest
        first, maybe for a second time. Raises ``InvalidInput`` for an invalid cursor.
        """
        return await self._database.read(
            lambda connection: queries.walk(connection, _owner(owner), limit, before, archived)
        )

    async def conversation(self, owner: str, conversation_id: str) -> Conversation:
        """Return a conversation with its active branch. Raises ``NotFound``."""

        def read(connection: Connection) -> Conversation:
            loaded = queries.load_conversation(connection, _owner(owner), conversation_id)
            return replace(loaded, feedback=feedback.feedback_in(connection, owner, loaded.id))

        return await self._of(conversation_id).read(read)

    async def branch_page(
        self, owner: str, conversation_id: str, *, limit: int, before: str | None = None, known: Collection[str] = ()
    ) -> BranchPage:
        """Return the last ``limit`` messages of the active branch, or of those before the message ``before``.

        ``known``: messages that the caller has. They are not read again, and the page begins with the first of them if
        it is above. Raises ``NotFound``.
        """

        def read(connection: Connection) -> BranchPage:
            page = branches.part_of_branch(connection, _owner(owner), conversation_id, limit, before, known)
            return replace(page, feedback=feedback.feedback_in(connection, owner, page.id))

        return await self._of(conversation_id).read(read)

    async def about(self, owner: str, conversation_id: str) -> Conversation:
        """Return a conversation without its messages. Raises ``NotFound``."""

        def read(connection: Connection) -> Conversation:
            row = queries.owned(connection, _owner(owner), conversation_id)
            page = branches.part_up_to(connection, row, row.leaf_id, 2)
            return Conversation(row.id, row.title, (), {}, page.settings, row.pinned, row.archived)

        return await self._of(conversation_id).read(read)

    async def labels(self, owner: str, conversation_id: str) -> tuple[datetime, Mapping[str, str]]:
        """Return when a conversation began, and what a client keeps with it. Raises ``NotFound``."""
        row = await self._of(conversation_id).look_up(
            lambda connection: queries.owned(connection, _owner(owner), conversation_id)
        )
        return row.created_at, row.labels or {}

    async def set_labels(self, owner: str, conversation_id: str, labels: Mapping[str, str]) -> None:
        """Replace what a client keeps with a conversation. Raises ``NotFound``."""
        columns = {"labels": dict(labels) or None}
        await self._of(conversation_id).write(
            lambda connection: organizing.change(connection, _owner(owner), conversation_id, columns)
        )

    async def append(self, owner: str, conversation_id: str, messages: Sequence[Message]) -> list[str]:
        """Store messages that have ended after the active branch of a conversation. Returns their ids.

        Raises ``NotFound``, and ``InvalidInput`` if an answer is in progress.
        """
        return await self._of(conversation_id).write(
            lambda connection: commands.append(connection, _owner(owner), conversation_id, messages)
        )

    async def model_of(self, owner: str, conversation_id: str | None, message_id: str | None = None) -> str:
        """Return the id of a conversation's model, "" if it has none. ``None``: the conversation of the message.

        Raises ``NotFound``.
        """

        def read(connection: Connection) -> str:
            name = conversation_id or queries.conversation_of(connection, _owner(owner), message_id)
            page = branches.part_of_branch(connection, _owner(owner), name, 2, None, ())
            return page.settings.model

        return await self._of(conversation_id or message_id).read(read)

    async def message(self, owner: str, message_id: str) -> StoredMessage:
        """Return one message. Raises ``NotFound``."""

        def read(connection: Connection) -> StoredMessage:
            stored = branches.message_of(connection, _owner(owner), message_id)
            found = feedback.feedback_in(connection, owner, stored.conversation_id)
            return replace(stored, feedback=found.get(message_id))

        return await self._of(message_id).read(read)

    async def put_feedback(self, owner: str, message_id: str, value: Feedback | None) -> str:
        """Store what the owner thinks of an answer; ``None`` removes it. Returns the conversation's id.

        Raises ``NotFound``, and ``InvalidInput`` for a message that is no answer or has not ended.
        """
        return await self._of(message_id).write(
            lambda connection: feedback.put_feedback(connection, _owner(owner), message_id, value)
        )

    async def messages_after(
        self, owner: str, conversation_id: str, position: int, also: Sequence[int], limit: int
    ) -> list[PlacedMessage]:
        """Return the messages of all branches behind a position, and those at the positions ``also``, in their order.

        All who follow a conversation ask at the same moment: who asks for the same in one step of the loop shares one
        query. Raises ``NotFound``.
        """
        return await self._followers_queries.ask(
            (owner, conversation_id, position, tuple(also), limit),
            lambda: self._of(conversation_id).read(
                lambda connection: queries.messages_after(
                    connection, _owner(owner), conversation_id, position, also, limit
                )
            ),
        )

    async def last_position(self, owner: str, conversation_id: str) -> tuple[int, dict[int, int]]:
        """Return the position of the last message, and of the answers without an ending: position -> last stored event.

        Raises ``NotFound``.
        """
        return await self._of(conversation_id).read(
            lambda connection: queries.last_position(connection, _owner(owner), conversation_id)
        )

    async def version(self, owner: str, conversation_id: str) -> str:
        """Return an identifier of what ``conversation`` returns, which changes with it. Raises ``NotFound``."""
        return await self._of(conversation_id).read(
            lambda connection: queries.version(connection, _owner(owner), conversation_id)
        )

    async def answer(self, owner: str, run_id: str) -> StoredRun:
        """Return one answer as stored. Raises ``NotFound``."""
        return await self._of(run_id).read(lambda connection: queries.stored(connection, _owner(owner), run_id))

    async def conversation_of(self, owner: str, run_id: str) -> str:
        """Return the id of the conversation of an answer: the proof that it is this owner's. Raises ``NotFound``."""
        return await self._of(run_id).look_up(
            lambda connection: queries.conversation_of_answer(connection, _owner(owner), run_id)
        )

    async def question_branch(self, owner: str, run_id: str) -> tuple[Message, ...]:
        """Return the branch up to and including the question of this answer. Raises ``NotFound``."""
        return await self._of(run_id).read(lambda connection: queries.history_of(connection, _owner(owner), run_id))

    async def steered(self, run_id: str) -> str | None:
        """Return the run that is to follow this one at its next round of tools, if there is one."""
        return await self._of(run_id).read(lambda connection: queries.steered(connection, run_id))

    async def choices(self, owner: str, conversation_id: str) -> ToolChoices:
        """Return the tool settings of a conversation. Raises ``NotFound``."""
        row = await self._of(conversation_id).look_up(
            lambda connection: queries.owned(connection, _owner(owner), conversation_id)
        )
        return queries.choices_in(row.tools)

    async def answering(self, owner: str) -> list[RunRow]:
        """Return the answers that are being written or await approval, oldest first, those of temporary chats last."""
        return await self._read_all(lambda connection: queries.in_progress(connection, _owner(owner)))

    async def stale(self, seconds: float) -> list[StaleRun]:
        """Return the streaming answers without a heartbeat for so long, by the database's clock.

        A heartbeat in the future counts as none.
        """
        return await self._read_all(lambda connection: queries.stale(connection, seconds))

    async def ended(self, run_ids: Iterable[str]) -> list[StoredRun]:
        """Return those of these answers that have ended, of any owner."""
        return await self._read_all(lambda connection: queries.ended(connection, run_ids))

    async def _read_all(self, work: Work[list[T]]) -> list[T]:
        return [row for database in self._used for row in await database.read(work)]

    async def search(self, owner: str, query: str, *, limit: int = 20, before: str | None = None) -> list[Hit]:
        """Return the messages with all these words, newest first. The last word is a prefix.

        Answers in progress are not searched. ``before``: the ``cursor`` of the last hit of the previous page. Raises
        ``InvalidInput`` for an invalid cursor.
        """
        if not isinstance(query, str):
            raise InvalidInput("A search needs words.")
        return await self._database.read(
            lambda connection: search.search(connection, _owner(owner), query, limit, before)
        )

    # Answers

    async def begin(self, owner: str, new: NewRun, *, worker: str, exclusive: bool = False) -> Begun:
        """Store a question and begin its answer. Idempotent: the same ``client_message_id`` returns the same answer.

        ``worker``: the id of the process that writes it. ``exclusive``: only if no other answer of the conversation is
        in progress, in any process. Raises ``NotFound``, ``InvalidInput``.
        """
        if not new.parts and not new.prefix:
            raise InvalidInput("The message is empty.")
        database = self._database_for(new)
        key = _request(owner, new.client_message_id, new.model, worker)
        key |= {"more": new.options.to_json(), BY: new.credential, STEERS: new.steers}
        return await self._once(
            owner,
            database,
            lambda connection: queries.find_by_request(connection, owner, key["key"]),
            lambda connection: commands.ask(connection, owner, new, key, exclusive),
        )

    def _database_for(self, new: NewRun) -> Database:
        """Return the database for a question. Raises ``InvalidInput`` if a chat cannot be temporary."""
        place = new.conversation_id or new.parent_id or new.new_conversation_id
        if new.temporary and place and not is_temporary(place):
            raise InvalidInput("Only a new chat can be temporary.")
        return self._for(TEMPORARY) if new.temporary else self._of(place)

    def _for(self, like: str) -> Database:
        """Return the database for what is new. Raises ``InvalidInput`` if it cannot be temporary."""
        if is_temporary(like) and self._memory is None:
            raise InvalidInput("Temporary chats are kept in the memory of one process; this server has several.")
        return self._of(like)

    async def begin_compared(
        self, owner: str, new: NewRun, models: Sequence[str], *, worker: str, exclusive: bool = False
    ) -> list[Begun]:
        """Store a question and begin an answer by each of these models, side by side until one is kept.

        Idempotent, and raises, as ``begin``: all answers are begun, or none is.
        """
        requests = [
            _request(owner, key, model, worker) | {"more": new.options.to_json(), BY: new.credential}
            for key, model in zip(compared_ids(new.client_message_id, len(models)), models, strict=True)
        ]

        def find(connection: Connection) -> list[Begun] | None:
            found: list[Begun | None] = []
            for _ in range(
                2
            ):  # the same request, on another connection, may have stored all of them between two queries
                found = [queries.find_by_request(connection, owner, request["key"]) for request in requests]
                if all(found) or not any(found):
                    break
            return [one for one in found if one is not None] or None

        def create(connection: Connection) -> list[Begun]:
            return commands.compare(connection, owner, new, requests, exclusive)

        return await self._once(owner, self._database_for(new), find, create)

    async def compared_with(self, owner: str, message_id: str) -> tuple[str, ...]:
        """Return the answers that stand side by side with this one, itself included; ``()`` if none do.

        Raises ``NotFound``.
        """

        return await self._of(message_id).look_up(
            lambda connection: queries.compared_with(
                queries.owned_with(connection, _owner(owner), message_id), message_id
            )
        )

    async def begin_again(
        self,
        owner: str,
        *,
        message_id: str,
        client_message_id: str,
        model: str,
        worker: str,
        continue_partial: bool,
        prefix: Sequence[Part] = (),
        exclusive: bool = False,
        credential: str = "",
    ) -> Begun:
        """Begin another answer beside one that has ended; with ``continue_partial`` it starts with the old parts.

        ``prefix``: the parts with which it starts instead.
        Idempotent like ``begin``, with the same ``worker`` and ``exclusive``. Answers that stand beside the old one do
        not count as in progress. ``credential``: the id of the API key
        that asks, if one does. Raises ``NotFound``, and ``InvalidInput`` if the old answer is in progress.
        """
        request = _request(owner, client_message_id, model, worker) | {BY: credential}
        return await self._once(
            owner,
            self._of(message_id),
            lambda connection: queries.find_by_request(connection, owner, request["key"]),
            lambda connection: commands.ask_again(
                connection, owner, message_id, continue_partial, request, exclusive, prefix
            ),
        )

    async def known(self, owner: str, client_message_id: str) -> bool:
        """Return whether an answer exists for this request. Raises ``InvalidInput`` for an invalid id."""
        key = _request_key(owner, client_message_id)
        for database in self._used:
            if await database.look_up(lambda connection: queries.known(connection, key)):
                return True
        return False

    async def _once(self, owner: str, database: Database, find: Work[T | None], create: Work[T]) -> T:
        """Do what begins an answer. Raises ``Unauthorized`` if the owner's account was disabled or deleted."""

        def attempt(connection: Connection) -> T:
            self._check_account(connection, owner, database)
            return find(connection) or create(connection)

        try:
            return await database.write(attempt)
        except StorageError as error:
            if error.reason != "conflict":
                raise
        # The same request was faster on another connection: its rows exist now.
        return await database.write(attempt)

    def _check_account(self, connection: Connection, owner: str, database: Database | None = None) -> None:
        """Raise ``Unauthorized`` if this owner, who was let in a moment ago, may store nothing new any more.

        ``connection``: of the transaction that stores it. ``database``: in which that is.
        """
        check = partial(queries.check_account, owner=owner, required=self._has_accounts)
        if database in (None, self._database):
            check(connection, lock=True)
        else:
            # Of a temporary chat, and the accounts are elsewhere. Its database is held meanwhile: whoever disables the
            # account, and then looks for its answers, waits for this one.
            self._database.read_within(lambda accounts: check(accounts, lock=False))

    async def write(
        self, changes: Sequence[Change] = (), ends: Sequence[End] = (), timings: Sequence[Timed] = ()
    ) -> Written:
        """Store what is new of several answers, the ends of others, and the times of ended ones, in one transaction.

        Returns which rows took it. A row that has ended or has another owner is not changed. Raises ``ValueError`` for
        an end that is streaming.
        """
        if any(end.message.status == "streaming" for end in ends):
            raise ValueError("a message that is streaming has not ended")
        if not changes and not ends and not timings:
            return Written()
        # Before the transaction; in a thread if it takes more than a few milliseconds.
        long = sum(len(end.message.text) for end in ends) > _LONG_TEXT
        words = await asyncio.to_thread(_words, ends) if long else _words(ends)
        written = Written()
        for database in self._used:
            mine = partial(_within, database is self._memory)
            batch = mine(changes), mine(ends), words, mine(timings)
            if batch[0] or batch[1] or batch[3]:
                one = await database.write(
                    lambda connection, batch=batch: commands.write(connection, *batch), first=True
                )
                written = Written({**written.seqs, **one.seqs}, written.ended | one.ended)
        return written

    async def end(self, message: Message, seq: int, *, epoch: int = 0) -> bool:
        """Store the terminal or suspended state. Returns ``False`` if the row is gone or keeps another state.

        ``epoch``: the fencing token of the owner; 0 is that of the process that began the answer. Raises ``ValueError``
        for a message that is streaming.
        """
        return message.id in (await self.write(ends=[End(message, seq, epoch)])).ended

    async def move_on(self, message: Message, seq: int, *, after: int, worker: str, epoch: int) -> bool:
        """Update a suspended answer whose seq is ``after``, with ``epoch`` as the next fencing token.

        Returns ``False`` if it is no longer in that state.
        """
        return await self._of(message.id).write(
            lambda connection: commands.move_on(connection, message, seq, after, worker, epoch)
        )

    async def claim(
        self, run_id: str, *, worker: str, epoch: int, silent_for: float | None, continues: bool = True
    ) -> StoredRun | None:
        """Make ``worker`` the owner of a streaming answer whose epoch is ``epoch``. Its former owner cannot write then.

        ``silent_for``: only if it has had no heartbeat for so many seconds; ``None``: in any case. ``continues``: count
        it as a takeover. Returns the answer with its new epoch, or ``None`` if it is not in that state.
        """
        return await self._of(run_id).write(
            lambda connection: commands.claim(connection, run_id, worker, epoch, silent_for, continues=continues)
        )

    async def release(self, owned: Iterable[tuple[str, int]]) -> None:
        """Give up these answers (run id and epoch), so that another process may claim them at once."""
        owned = list(owned)
        for database in self._used:
            await database.write(lambda connection: commands.release(connection, owned))

    # Conversations

    async def rename(self, owner: str, conversation_id: str, title: str) -> None:
        """Change the title of a conversation. Raises ``NotFound``, and ``InvalidInput`` for an empty title."""
        cleaned = clean_title(title, _TITLE_LENGTH) if isinstance(title, str) else ""
        if not cleaned:
            raise InvalidInput("A conversation needs a title.")
        await self._of(conversation_id).write(
            lambda connection: commands.rename(connection, _owner(owner), conversation_id, cleaned)
        )

    async def retitle(self, owner: str, conversation_id: str, title: str, *, instead_of: str) -> bool:
        """Change the title of a conversation if it is ``instead_of``. Returns whether it was."""
        return await self._of(conversation_id).write(
            lambda connection: commands.retitle(connection, _owner(owner), conversation_id, title, instead_of)
        )

    async def choose(
        self, owner: str, conversation_id: str, *, always: Iterable[str] = (), off: Iterable[str] | None = None
    ) -> None:
        """Change the tool settings of a conversation. Raises ``NotFound``.

        ``always``: more tools that need no approval. ``off``: all disabled tools and servers; ``None`` keeps them.
        """
        await self._of(conversation_id).write(
            lambda connection: commands.choose(connection, _owner(owner), conversation_id, always, off)
        )

    async def configure(
        self,
        owner: str,
        conversation_id: str,
        *,
        model: str | None = None,
        options: RunOptions | None = None,
        pinned: bool | None = None,
        archived: bool | None = None,
    ) -> None:
        """Change the settings of a conversation. ``None`` leaves one as it is. Raises ``NotFound``."""
        changes = {"model": model, "pinned": pinned, "archived": archived}
        columns = {name: value for name, value in changes.items() if value is not None}
        if options is not None:
            columns |= commands.settings_to_columns(options)
        await self._of(conversation_id).write(
            lambda connection: organizing.change(connection, _owner(owner), conversation_id, columns)
        )

    async def insert_conversation(self, owner: str, title: str, messages: Sequence[Message]) -> str:
        """Store a conversation whose messages have all ended. Returns its id."""
        title = clean_title(title, _TITLE_LENGTH) or title_of(messages[0].parts if messages else ())

        def work(connection: Connection) -> str:
            self._check_account(connection, _owner(owner))
            return organizing.insert_conversation(connection, owner, title, messages)

        return await self._database.write(work)

    async def fork(self, owner: str, message_id: str, last: Message | None = None) -> str:
        """Copy the branch up to a message into a new conversation. Returns its id. Raises ``NotFound``.

        ``last``: stands in the copy for that message.
        """
        return await self._of(message_id).write(
            lambda connection: organizing.fork(connection, _owner(owner), message_id, last)
        )

    async def discard(self, owner: str, conversation_id: str) -> None:
        """Move a conversation to the trash: from now on it does not exist. A temporary chat is deleted for good.

        Raises ``NotFound``.
        """
        if is_temporary(conversation_id):
            return await self.delete(owner, conversation_id)
        await self._database.write(lambda connection: organizing.discard(connection, _owner(owner), conversation_id))

    async def restore(self, owner: str, conversation_id: str) -> None:
        """Bring a conversation back from the trash. Raises ``NotFound``."""
        await self._of(conversation_id).write(
            lambda connection: organizing.restore(connection, _owner(owner), conversation_id)
        )

    async def delete_idle(self, before: datetime) -> list[tuple[str, str]]:
        """Delete the ``IDLE_AT_ONCE`` oldest conversations without a change since then, of every owner.

        Returns owner and id of each; none as well while another process of PostgreSQL's clients does the same.
        """

        def work(connection: Connection) -> list[tuple[str, str]]:
            if connection.dialect.name == "postgresql" and not connection.scalar(_ALONE):
                return []
            return organizing.drop_idle(connection, before, IDLE_AT_ONCE)

        return await self._database.write(work)

    async def purge(self, before: datetime) -> int:
        """Delete the conversations that have been in the trash since then. Returns their number."""
        return await self._database.write(lambda connection: organizing.purge(connection, before))

    async def drop_temporary(self, before: datetime) -> list[tuple[str, str]]:
        """Delete the temporary chats without a change since then, and files that were not sent there.

        Returns owner and id of each chat.
        """
        if self._memory is None or not self._memory.used:
            return []

        def drop(connection: Connection) -> list[tuple[str, str]]:
            files.sweep(connection, before)
            return organizing.drop_idle(connection, before)

        return await self._memory.write(drop)

    async def delete(self, owner: str, conversation_id: str) -> None:
        """Delete a conversation with its messages, for good. Raises ``NotFound``."""
        await self._of(conversation_id).write(
            lambda connection: commands.remove(connection, _owner(owner), conversation_id)
        )

    async def share(self, owner: str, conversation_id: str) -> str:
        """Return the id of a link that shows the active branch as it is now.

        Raises ``NotFound``, and ``InvalidInput`` for a temporary chat.
        """
        if is_temporary(conversation_id):
            await self.about(owner, conversation_id)
            raise InvalidInput("A temporary chat cannot be shared: it is not stored.")
        return await self._database.write(
            lambda connection: organizing.share_branch(connection, _owner(owner), conversation_id)
        )

    async def unshare(self, owner: str, conversation_id: str) -> None:
        """Take the link of a conversation back. Raises ``NotFound``."""
        await self._of(conversation_id).write(
            lambda connection: organizing.unshare(connection, _owner(owner), conversation_id)
        )

    async def share_of(self, owner: str, conversation_id: str) -> str | None:
        """Return the id of the link of a conversation, or ``None``. Raises ``NotFound``."""
        return await self._of(conversation_id).read(
            lambda connection: organizing.shared_with(connection, _owner(owner), conversation_id)
        )

    async def shared(self, share_id: str, *, limit: int, before: str | None = None) -> BranchPage:
        """Return a part of the snapshot behind a link, for whoever has it. Raises ``NotFound``."""
        return await self._database.read(lambda connection: organizing.shared(connection, share_id, limit, before))

    async def shared_run(self, share_id: str, run_id: str) -> StoredRun:
        """Return an answer of the snapshot behind a link, for whoever has it. Raises ``NotFound``."""
        return await self._database.read(lambda connection: organizing.shared_run(connection, share_id, run_id))

    # Files

    async def add_file(
        self,
        owner: str,
        new: CheckedFile,
        *,
        quota: int,
        temporary: bool = False,
        reuse: bool = False,
        message: str = "",
    ) -> FileInfo | None:
        """Store a file. Returns ``None`` if the files of its owner would have more than ``quota`` bytes.

        ``temporary``: for a temporary chat, in memory only. ``reuse``: return the owner's file of the same content and
        name, if there is one. ``message``: the id of the message that has it. Raises ``InvalidInput`` if there are no
        temporary chats.
        """
        like = TEMPORARY if temporary else ""
        database = self._for(like)

        def work(connection: Connection) -> FileInfo | None:
            self._check_account(connection, _owner(owner), database)
            info = files.same(connection, owner, new) if reuse else None
            info = info or files.add(connection, owner, new, quota, like)
            if info is not None and message:
                files.link(connection, [(message, [info.part])])
            return info

        return await database.write(work)

    async def file_bytes(self, owner: str) -> int:
        """Return the bytes of all files of an owner."""
        return await self._database.look_up(lambda connection: files.used(connection, _owner(owner)))

    async def file(self, owner: str, file_id: str) -> FileInfo:
        """Return a file without its content. Raises ``NotFound``."""
        return await self._of(file_id).look_up(lambda connection: files.info_of(connection, _owner(owner), file_id))

    async def shared_file(self, share_id: str, file_id: str) -> FileInfo:
        """Return a file of the snapshot behind a link, for whoever has it. Raises ``NotFound``."""
        return await self._database.read(lambda connection: organizing.shared_file(connection, share_id, file_id))

    async def file_content(self, file: FileInfo) -> bytes:
        """Return the bytes of a file that the caller may read. Raises ``NotFound``."""
        return await self._of(file.id).look_up(lambda connection: files.content_of(connection, file.id))

    async def files(self, owner: str, file_ids: Collection[str]) -> dict[str, FileInfo]:
        """Return those of these files that exist, by id."""
        found: dict[str, FileInfo] = {}
        for database, ids in self._by_database(file_ids):
            found |= await database.look_up(lambda connection, ids=ids: files.infos(connection, _owner(owner), ids))
        return found

    async def file_contents(
        self, owner: str, content: Collection[str], text: Collection[str]
    ) -> tuple[dict[str, bytes], dict[str, str]]:
        """Return the bytes of some files and the text of others, by id, of those that exist."""
        contents: dict[str, bytes] = {}
        texts: dict[str, str] = {}
        for database, ids in self._by_database(content):
            contents |= await database.look_up(
                lambda connection, ids=ids: files.contents(connection, _owner(owner), ids)
            )
        for database, ids in self._by_database(text):
            texts |= await database.look_up(lambda connection, ids=ids: files.texts(connection, _owner(owner), ids))
        return contents, texts

    def _by_database(self, ids: Collection[str]) -> Iterable[tuple[Database, list[str]]]:
        """Return the ids of temporary chats and the others, each with their database."""
        groups: dict[Database, list[str]] = {}
        for one in ids:
            groups.setdefault(self._of(one), []).append(one)
        return groups.items()

    async def delete_file(self, owner: str, file_id: str) -> None:
        """Delete a file, also from the messages that have it. Raises ``NotFound``."""
        await self._of(file_id).write(lambda connection: files.remove(connection, _owner(owner), file_id))

    async def sweep_files(self, before: datetime) -> int:
        """Delete the files that were uploaded before, and that no message has. Returns their number."""
        return await self._database.write(lambda connection: files.sweep(connection, before))

    # Messages

    async def select_branch(self, owner: str, message_id: str) -> str:
        """Show the branch of this message: the newest one that goes through it. Returns the conversation's id.

        An answer that stands beside others is kept, and its model answers next. Raises ``NotFound``.
        """
        return await self._of(message_id).write(
            lambda connection: branches.select_branch(connection, _owner(owner), message_id)
        )

    async def delete_messages(self, owner: str, message_id: str, *, following: bool = False) -> str:
        """Delete a message; with ``following`` also everything after it. Returns the conversation's id.

        Raises ``NotFound``.
        """
        return await self._of(message_id).write(
            lambda connection: branches.delete_messages(connection, _owner(owner), message_id, following)
        )

    async def restore_messages(self, owner: str, message_id: str) -> str:
        """Bring back a deleted message with what was deleted with it. Returns the conversation's id.

        Raises ``NotFound``.
        """
        return await self._of(message_id).write(
            lambda connection: branches.restore_messages(connection, _owner(owner), message_id)
        )


def _owner(owner: str) -> str:
    # No colon: it separates the owner from the message id in a request key, which must be unambiguous.
    if not isinstance(owner, str) or not _PLAIN.fullmatch(owner) or ":" in owner:
        raise InvalidInput("This is not the name of an owner.")
    return owner


def _request(owner: str, client_message_id: str, model: str, worker: str) -> dict[str, Any]:
    return {"key": _request_key(owner, client_message_id), "model": model, "worker": worker}


def _request_key(owner: str, client_message_id: str) -> str:
    if not isinstance(client_message_id, str) or not _PLAIN.fullmatch(client_message_id):
        raise InvalidInput("A message needs an id of its own, of 1 to 200 characters.")
    return f"{_owner(owner)}:{client_message_id}"


def _within(temporary: bool, items: Sequence[One]) -> Sequence[One]:
    """Return those that concern temporary chats, or the others."""
    return [item for item in items if is_temporary(_id_of(item)) == temporary]


def _id_of(item: Change | End | Timed) -> str:
    return item.message.id if isinstance(item, End) else item.run_id


def _words(ends: Sequence[End]) -> dict[str, Sequence[str]]:
    return {end.message.id: search.words_to_index(end.message) for end in ends}
