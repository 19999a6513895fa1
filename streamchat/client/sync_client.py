"""The client for synchronous code: ``Client`` and ``Run``.

Drives ``AsyncClient`` on an event loop in a daemon thread, so there is one implementation of requests, retries and
resumption. Rules:

* Not for several threads at once.
* A loop that is left early, by Ctrl-C too, loses no event: the next loop goes on from there.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Generator, Mapping, Sequence
from concurrent.futures import Future
from os import PathLike
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from streamchat.chat.messages import FilePart, ImagePart, Message, Part
from streamchat.client.async_client import AsyncClient, AsyncRun
from streamchat.client.protocol import DEFAULT_URL
from streamchat.client.run_state import ClientEvent, ConversationEvent, Entry

T = TypeVar("T")


class Client:
    """A client of the server at ``base_url``.

    ``patience``: seconds of retries without a sign of life. ``headers``: sent with every request.
    """

    def __init__(
        self, base_url: str = DEFAULT_URL, *, patience: float = 60.0, headers: Mapping[str, str] | None = None
    ) -> None:
        self._client = AsyncClient(base_url, patience=patience, headers=headers)
        self._loop = _LoopThread()

    @property
    def url(self) -> str:
        """The server's address, without a slash at its end."""
        return self._client.url

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. Runs continue: they belong to the server."""
        self._loop.close(self._client.close())

    def start(
        self,
        message: str | Sequence[Part],
        *,
        model: str | None = None,
        conversation_id: str | None = None,
        client_message_id: str | None = None,
        parent_id: str | None = None,
        system: str | None = None,
        options: Mapping[str, Any] | None = None,
        temporary: bool = False,
        preset: str | None = None,
        queue: bool = False,
    ) -> Run:
        """Start an answer. The same ``client_message_id`` again returns the same run. Raises the package's errors.

        ``temporary``: begin a chat that is never stored; it is in memory until an hour after its last message.
        ``preset``: the id or the name of a preset, for what is left out. ``queue``: if an answer is in progress in the
        conversation, wait until it has ended, instead of ``InvalidInput``; a notice ``queued`` of the answer says so.
        """
        return self._run(
            self._client.start(
                message,
                model=model,
                conversation_id=conversation_id,
                client_message_id=client_message_id,
                parent_id=parent_id,
                system=system,
                options=options,
                temporary=temporary,
                preset=preset,
                queue=queue,
            )
        )

    def compare(
        self,
        message: str | Sequence[Part],
        models: Sequence[str],
        *,
        conversation_id: str | None = None,
        client_message_id: str | None = None,
        parent_id: str | None = None,
        system: str | None = None,
        options: Mapping[str, Any] | None = None,
        temporary: bool = False,
        preset: str | None = None,
    ) -> list[Run]:
        """Ask two or three models the same question. Returns their answers, in the order of ``models``.

        They stand side by side until one is kept with ``select_branch(run.id)``. Otherwise as ``start``.
        """
        comparing = self._client.compare(
            message,
            models,
            conversation_id=conversation_id,
            client_message_id=client_message_id,
            parent_id=parent_id,
            system=system,
            options=options,
            temporary=temporary,
            preset=preset,
        )
        return [Run(self._loop, run) for run in self._loop.call(comparing)]

    def follow(self, run_id: str, *, after: int | None = None) -> Run:
        """Read a run: a snapshot first, then what comes; or every event after number ``after``."""
        return self._run(self._client.follow(run_id, after=after))

    def follow_conversation(
        self, conversation_id: str, *, after: str | None = None
    ) -> Generator[ConversationEvent, None, None]:
        """Yield a conversation's messages and the events of all its answers, those to come too.

        ``after``: a cursor, ``"latest"`` for what comes from now on, ``None`` for all of it. Ends after ``deleted``.
        Raises ``NotFound``, ``InvalidInput``, ``Unreachable``.
        """
        events = self._client.follow_conversation(conversation_id, after=after)

        async def following() -> ConversationEvent | None:
            return await anext(events, None)

        try:
            while (event := self._loop.call(following())) is not None:
                yield event
        finally:
            self._loop.call(events.aclose())

    def get(self, run_id: str) -> Message:
        """Return the answer so far. Raises ``NotFound``."""
        return self._loop.call(self._client.get(run_id))

    def stop(self, run_id: str) -> Message:
        """Stop a run and return its message. Does nothing to one that has ended. Raises ``NotFound``."""
        return self._loop.call(self._client.stop(run_id))

    def decide(
        self,
        run_id: str,
        call_id: str,
        approve: bool,
        *,
        arguments: Mapping[str, Any] | None = None,
        reason: str = "",
        always: bool = False,
    ) -> Message:
        """Approve or deny a tool call that waits, and return the message. ``arguments`` replace the model's; ``always``
        approves the tool for the conversation. Raises ``InvalidInput`` for a call that does not wait, ``NotFound``."""
        return self._loop.call(
            self._client.decide(run_id, call_id, approve, arguments=arguments, reason=reason, always=always)
        )

    def conversations(self, *, limit: int = 50, before: str | None = None, archived: bool = False) -> dict[str, Any]:
        """Return a page of conversations: ``{"conversations", "next"}``; ``next`` is the ``before`` of the next one."""
        return self._loop.call(self._client.conversations(limit=limit, before=before, archived=archived))

    def conversation(self, conversation_id: str) -> dict[str, Any]:
        """Return a conversation with its settings, its active branch, and the versions of its messages.

        Raises ``NotFound``.
        """
        return self._loop.call(self._client.conversation(conversation_id))

    def change_conversation(self, conversation_id: str, **changes: Any) -> dict[str, Any]:
        """Change ``title``, ``pinned``, ``archived``, ``model``, ``system`` or ``options``. Returns what they are now.

        Raises ``NotFound``, ``InvalidInput``.
        """
        return self._loop.call(self._client.change_conversation(conversation_id, **changes))

    def delete_conversation(self, conversation_id: str) -> None:
        """Delete a conversation; ``restore_conversation`` undoes it. Raises ``NotFound``."""
        self._loop.call(self._client.delete_conversation(conversation_id))

    def restore_conversation(self, conversation_id: str) -> None:
        """Bring a deleted conversation back. Raises ``NotFound``."""
        self._loop.call(self._client.restore_conversation(conversation_id))

    def presets(self) -> list[dict[str, Any]]:
        """Return all presets and prompts, by name."""
        return self._loop.call(self._client.presets())

    def save_preset(self, name: str, **fields: Any) -> dict[str, Any]:
        """Save a preset: ``model``, ``system``, ``options``, ``tools_off``; or with ``kind="prompt"`` a ``text``.

        ``conversation_id`` takes what is left out from that conversation. The same name again replaces what it has.
        Raises ``InvalidInput``, ``NotFound``.
        """
        return self._loop.call(self._client.save_preset(name, **fields))

    def change_preset(self, preset_id: str, **changes: Any) -> dict[str, Any]:
        """Change a preset or a prompt. Returns what it is now. Raises ``NotFound``, ``InvalidInput``."""
        return self._loop.call(self._client.change_preset(preset_id, **changes))

    def delete_preset(self, preset_id: str) -> None:
        """Delete a preset or a prompt. Raises ``NotFound``."""
        self._loop.call(self._client.delete_preset(preset_id))

    def share(self, conversation_id: str) -> str:
        """Return the path of a page with a snapshot of the active branch, for whoever has it. Raises ``NotFound``."""
        return self._loop.call(self._client.share(conversation_id))

    def unshare(self, conversation_id: str) -> None:
        """Take the link of ``share`` back. Raises ``NotFound``."""
        self._loop.call(self._client.unshare(conversation_id))

    def export(self, conversation_id: str, *, format: Literal["json", "markdown"] = "json") -> str:
        """Return a conversation as the text of a file; in JSON with everything, also its files. Raises ``NotFound``."""
        return self._loop.call(self._client.export(conversation_id, format=format))

    def fork(self, message_id: str, *, after: int | None = None) -> str:
        """Copy the branch up to a message into a new conversation. Returns its id. Raises ``NotFound``.

        ``after``: the number of the last event of the answer that the copy has.
        """
        return self._loop.call(self._client.fork(message_id, after=after))

    def import_conversations(self, text: str) -> list[str]:
        """Import the text of an exported file. Returns the ids of the conversations. Raises ``InvalidInput``."""
        return self._loop.call(self._client.import_conversations(text))

    def upload(
        self, source: str | PathLike[str] | bytes, name: str = "", *, temporary: bool = False
    ) -> ImagePart | FilePart:
        """Upload a file: the one at this path, or bytes. Returns the part that names it in a message.

        ``name``: for people and the model; left out, that of the path. ``temporary``: for a temporary chat. Raises
        ``OSError``, and ``InvalidInput`` for a file that cannot be attached.
        """
        return self._loop.call(self._client.upload(source, name, temporary=temporary))

    def download(self, file_id: str) -> bytes:
        """Return the content of an uploaded file. Raises ``NotFound``."""
        return self._loop.call(self._client.download(file_id))

    def delete_file(self, file_id: str) -> None:
        """Delete an uploaded file, also from messages. Raises ``NotFound``."""
        self._loop.call(self._client.delete_file(file_id))

    def search(self, words: str, *, limit: int = 20, before: str | None = None) -> dict[str, Any]:
        """Return a page of the messages with all these words, newest first: ``{"hits", "next"}``."""
        return self._loop.call(self._client.search(words, limit=limit, before=before))

    def select_branch(self, message_id: str) -> None:
        """Show the branch of this message, and keep it if it is an answer that stands beside others.

        Raises ``NotFound``.
        """
        self._loop.call(self._client.select_branch(message_id))

    def delete_message(self, message_id: str, *, following: bool = False) -> None:
        """Delete a message; with ``following`` also what comes after it. ``restore_message`` undoes it.

        Raises ``NotFound``.
        """
        self._loop.call(self._client.delete_message(message_id, following=following))

    def restore_message(self, message_id: str) -> None:
        """Bring back a deleted message, with what was deleted with it. Raises ``NotFound``."""
        self._loop.call(self._client.restore_message(message_id))

    def rate(self, message_id: str, rating: Literal["up", "down"] | None, *, reason: str = "") -> None:
        """Say what you think of an answer, and why; ``None`` takes it back. Raises ``NotFound``, ``InvalidInput``."""
        self._loop.call(self._client.rate(message_id, rating, reason=reason))

    def regenerate(self, message_id: str, *, model: str | None = None, after: int | None = None) -> Run:
        """Answer again, beside an answer that has ended. Raises ``NotFound``, ``InvalidInput``.

        ``after``: begin with the events of that answer up to this number, and go on from there.
        """
        return self._run(self._client.regenerate(message_id, model=model, after=after))

    def edit(self, message_id: str, message: str, *, model: str | None = None) -> Run:
        """Ask another version of a question, beside it. Raises ``NotFound``, ``InvalidInput``."""
        return self._run(self._client.edit(message_id, message, model=model))

    def steer(self, run_id: str, message: str, *, model: str | None = None, at: Literal["now", "round"] = "now") -> Run:
        """Answer this message next: stop a run for it, or let it end at its next ``round`` of tools.

        Raises ``NotFound``, ``InvalidInput``.
        """
        return self._run(self._client.steer(run_id, message, model=model, at=at))

    def _run(self, opening: Coroutine[Any, Any, AsyncRun]) -> Run:
        return Run(self._loop, self._loop.call(opening))


class Run:
    """One answer, read once: loops over it share its events. ``client.follow(run.id)`` reads it a second time."""

    def __init__(self, loop: _LoopThread, run: AsyncRun) -> None:
        self.id = run.id
        self.conversation_id = run.conversation_id
        self._loop = loop
        self._run = run
        self._pending: Future[Entry | None] | None = None

    @property
    def message(self) -> Message:
        """The answer as far as it was read."""
        return self._run.message

    @property
    def seq(self) -> int:
        """The number of the last event that was read."""
        return self._run.seq

    def new_text(self, event: ClientEvent) -> str:
        """Return the answer's text that this event adds."""
        return self._run.new_text(event)

    def entries(self) -> Generator[Entry, None, None]:
        """Yield the numbered events, up to and with the ending. Raises ``Unreachable``, ``NotFound``."""
        with self._run.reading_loop():
            while (entry := self._next()) is not None:
                yield entry

    def events(self) -> Generator[ClientEvent, None, None]:
        """Yield the events, up to and with the ending."""
        for entry in self.entries():
            yield entry.event

    def text(self) -> Generator[str, None, None]:
        """Yield the text, piece by piece. Raises ``Incomplete`` after an answer that failed or was cut off."""
        for event in self.events():
            if piece := self.new_text(event):
                yield piece
        self._run.check_complete()

    def final(self) -> Message:
        """Return the whole message, with usage and stop reason, once it has ended."""
        return self._loop.call(self._run.final())

    def stop(self) -> Message:
        """Stop the run. What arrived is kept; a loop over it continues to the ending."""
        return self._loop.call(self._run.stop())

    def close(self) -> None:
        """Stop reading. The run continues on the server."""
        if self._pending is not None:
            self._pending.cancel()
        self._loop.call(self._run.close())

    def _next(self) -> Entry | None:
        # Ctrl-C may come while the event is on its way: it stays pending, and the next call returns it.
        pending = self._pending = self._pending or self._loop.submit(self._run.next_entry())
        try:
            entry = pending.result()
        except Exception:
            self._pending = None
            raise
        self._pending = None
        return entry


class _LoopThread:
    """An event loop in a daemon thread, started with the first call."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="streamchat client", daemon=True)
        self._closed = False

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine on the loop. Raises ``RuntimeError`` after ``close``."""
        if self._closed:
            work.close()
            raise RuntimeError("this client is closed")
        if self._thread.ident is None:
            self._thread.start()
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end. Ctrl-C cancels it."""
        future = self.submit(work)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self, last: Coroutine[Any, Any, None]) -> None:
        """Run a last coroutine, then end the loop and its thread."""
        if self._closed:
            last.close()
            return
        try:
            self.call(last)
        finally:
            self._closed = True
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
