"""The client for asyncio: ``AsyncClient`` and ``AsyncRun``.

Sends requests, waits and retries; ``protocol`` has the requests and their answers, ``run_state`` the events. Rules:

* A run is read once: loops over it share its events, and each event goes to one of them.
* A wait that is cancelled or times out loses no event: the next one goes on from there.
* What ``final()`` reads while a loop is under way is kept for the loop.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from os import PathLike
from types import TracebackType
from typing import Any, Literal, Self
from weakref import WeakSet

import httpx2

from streamchat.backoff import Backoff
from streamchat.chat.events import TextDelta
from streamchat.chat.messages import FilePart, ImagePart, Message, Part
from streamchat.chat.sse import SSEDecoder
from streamchat.client import protocol as p
from streamchat.client.protocol import Incomplete
from streamchat.client.run_state import (
    ClientEvent,
    ConversationEvent,
    Entry,
    Gap,
    RunState,
    Snapshot,
    conversation_events_from,
)
from streamchat.errors import NotFound, StreamchatError


class AsyncClient:
    """A client of the server at ``base_url``.

    ``patience``: seconds of retries without a sign of life. ``headers``: sent with every request.
    """

    def __init__(
        self, base_url: str = p.DEFAULT_URL, *, patience: float = 60.0, headers: Mapping[str, str] | None = None
    ) -> None:
        self.url = p.checked_url(base_url)
        self.patience = patience
        self._runs: WeakSet[AsyncRun] = WeakSet()
        self._http = httpx2.AsyncClient(
            base_url=self.url,
            headers={**p.HEADERS, **(headers or {})},
            timeout=httpx2.Timeout(p.SILENCE_SECONDS, connect=p.CONNECT_SECONDS, pool=None),
            limits=httpx2.Limits(max_connections=None),  # each run that is read holds one
            trust_env=not p.is_loopback(self.url),  # no proxy stands before this machine
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections. Runs continue: they belong to the server."""
        for run in list(self._runs):
            await run.close()
        await self._http.aclose()

    async def start(
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
    ) -> AsyncRun:
        """Start an answer. The same ``client_message_id`` again returns the same run. Raises the package's errors.

        ``temporary``: begin a chat that is never stored; it is in memory until an hour after its last message.
        ``preset``: the id or the name of a preset, for what is left out. ``queue``: if an answer is in progress in the
        conversation, wait until it has ended, instead of ``InvalidInput``; a notice ``queued`` of the answer says so.
        """
        body = p.start_body(
            message,
            model=model,
            conversation_id=conversation_id,
            client_message_id=client_message_id or p.new_id(),
            parent_id=parent_id,
            system=system,
            options=options,
            temporary=temporary,
            preset=preset,
            queue=queue,
        )
        run = p.run_ids_from(await self._request("POST", "/api/runs", body))
        return AsyncRun(self, run, RunState(run.run_id, model=model or ""))

    async def compare(
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
    ) -> list[AsyncRun]:
        """Ask two or three models the same question. Returns their answers, in the order of ``models``.

        They stand side by side until one is kept with ``select_branch(run.id)``. Otherwise as ``start``.
        """
        body = p.start_body(
            message,
            model=None,
            models=models,
            conversation_id=conversation_id,
            client_message_id=client_message_id or p.new_id(),
            parent_id=parent_id,
            system=system,
            options=options,
            temporary=temporary,
            preset=preset,
        )
        runs = p.compared_from(await self._request("POST", "/api/runs", body))
        return [AsyncRun(self, ids, RunState(ids.run_id, model=model)) for ids, model in runs]

    async def follow(self, run_id: str, *, after: int | None = None) -> AsyncRun:
        """Read a run: a snapshot first, then what comes; or every event after number ``after``."""
        run, seq, message = p.run_from(await self._request("GET", p.run_path(run_id)))
        if after is not None:
            return AsyncRun(self, run, RunState(run_id, after=after, model=message.model, whole=False))
        state = RunState(run_id)
        return AsyncRun(self, run, state, state.replace(seq, message))

    async def follow_conversation(
        self, conversation_id: str, *, after: str | None = None
    ) -> AsyncGenerator[ConversationEvent, None]:
        """Yield a conversation's messages and the events of all its answers, those to come too.

        ``after``: a cursor, ``"latest"`` for what comes from now on, ``None`` for all of it. Ends after ``deleted``.
        Raises ``NotFound``, ``InvalidInput``, ``Unreachable``.
        """
        path = p.conversation_path(conversation_id, "/events")
        backoff, known = Backoff(self.patience), False
        while True:
            decoder = SSEDecoder()
            try:
                async with self._http.stream("GET", path, params={"after": after or "0"}) as response:
                    if response.status_code >= 300:
                        p.check(response.status_code, response.headers, await response.aread())
                    opened = _now()
                    async for data in response.aiter_bytes():
                        backoff.heard(opened, _now())
                        for event in conversation_events_from(decoder, data):
                            yield event
                            after, known = event.cursor or after, True
                            backoff.reset()
                            if event.data["type"] == "deleted":
                                return
                raise httpx2.RemoteProtocolError("the stream ended")
            except NotFound:
                if not known:
                    raise
                yield ConversationEvent(after or "", {"type": "deleted"})  # between two connections
                return
            except (httpx2.HTTPError, p.Refused, Gap) as error:
                await _wait(backoff, error, self.url)

    async def get(self, run_id: str) -> Message:
        """Return the answer so far. Raises ``NotFound``."""
        return p.run_from(await self._request("GET", p.run_path(run_id)))[2]

    async def stop(self, run_id: str) -> Message:
        """Stop a run and return its message. Does nothing to one that has ended. Raises ``NotFound``."""
        return p.run_from(await self._request("DELETE", p.run_path(run_id)))[2]

    async def decide(
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
        body = p.decision_body(call_id, approve, arguments, reason, always)
        return p.run_from(await self._request("POST", p.decisions_path(run_id), body, patience=0.0))[2]

    async def conversations(
        self, *, limit: int = 50, before: str | None = None, archived: bool = False
    ) -> dict[str, Any]:
        """Return a page of conversations: ``{"conversations", "next"}``; ``next`` is the ``before`` of the next one."""
        return p.json_from(
            await self._request("GET", p.query("/api/conversations", limit=limit, before=before, archived=archived))
        )

    async def conversation(self, conversation_id: str) -> dict[str, Any]:
        """Return a conversation with its settings, its active branch, and the versions of its messages.

        Raises ``NotFound``.
        """
        return p.json_from(await self._request("GET", p.conversation_path(conversation_id)))

    async def change_conversation(self, conversation_id: str, **changes: Any) -> dict[str, Any]:
        """Change ``title``, ``pinned``, ``archived``, ``model``, ``system`` or ``options``. Returns what they are now.

        Raises ``NotFound``, ``InvalidInput``.
        """
        return p.json_from(await self._request("PATCH", p.conversation_path(conversation_id), changes))

    async def delete_conversation(self, conversation_id: str) -> None:
        """Delete a conversation; ``restore_conversation`` undoes it. Raises ``NotFound``."""
        await self._request("DELETE", p.conversation_path(conversation_id))

    async def restore_conversation(self, conversation_id: str) -> None:
        """Bring a deleted conversation back. Raises ``NotFound``."""
        await self._request("POST", p.conversation_path(conversation_id, "/restore"), {})

    async def presets(self) -> list[dict[str, Any]]:
        """Return all presets and prompts, by name."""
        return p.json_from(await self._request("GET", "/api/presets"))["presets"]

    async def save_preset(self, name: str, **fields: Any) -> dict[str, Any]:
        """Save a preset: ``model``, ``system``, ``options``, ``tools_off``; or with ``kind="prompt"`` a ``text``.

        ``conversation_id`` takes what is left out from that conversation. The same name again replaces what it has.
        Raises ``InvalidInput``, ``NotFound``.
        """
        return p.json_from(await self._request("POST", "/api/presets", {"name": name, **fields}))

    async def change_preset(self, preset_id: str, **changes: Any) -> dict[str, Any]:
        """Change a preset or a prompt. Returns what it is now. Raises ``NotFound``, ``InvalidInput``."""
        return p.json_from(await self._request("PATCH", p.preset_path(preset_id), changes))

    async def delete_preset(self, preset_id: str) -> None:
        """Delete a preset or a prompt. Raises ``NotFound``."""
        await self._request("DELETE", p.preset_path(preset_id))

    async def share(self, conversation_id: str) -> str:
        """Return the path of a page with a snapshot of the active branch, for whoever has it. Raises ``NotFound``."""
        return str(p.json_from(await self._request("POST", p.conversation_path(conversation_id, "/share"), {}))["path"])

    async def unshare(self, conversation_id: str) -> None:
        """Take the link of ``share`` back. Raises ``NotFound``."""
        await self._request("DELETE", p.conversation_path(conversation_id, "/share"))

    async def export(self, conversation_id: str, *, format: Literal["json", "markdown"] = "json") -> str:
        """Return a conversation as the text of a file; in JSON with everything, also its files. Raises ``NotFound``."""
        path = p.query(p.conversation_path(conversation_id, "/export"), format=format)
        return (await self._request("GET", path)).decode()

    async def fork(self, message_id: str, *, after: int | None = None) -> str:
        """Copy the branch up to a message into a new conversation. Returns its id. Raises ``NotFound``.

        ``after``: the number of the last event of the answer that the copy has.
        """
        given = {} if after is None else {"after": after}
        body = await self._request("POST", p.message_path(message_id, "/fork"), given, patience=0.0)
        return str(p.json_from(body)["conversation_id"])

    async def import_conversations(self, text: str) -> list[str]:
        """Import the text of an exported file. Returns the ids of the conversations. Raises ``InvalidInput``."""
        body = await self._request("POST", "/api/conversations/import", {"text": text}, patience=0.0)
        return [str(conversation["id"]) for conversation in p.json_from(body)["conversations"]]

    async def upload(
        self, source: str | PathLike[str] | bytes, name: str = "", *, temporary: bool = False
    ) -> ImagePart | FilePart:
        """Upload a file: the one at this path, or bytes. Returns the part that names it in a message.

        ``name``: for people and the model; left out, that of the path. ``temporary``: for a temporary chat. Raises
        ``OSError``, and ``InvalidInput`` for a file that cannot be attached.
        """
        form = await asyncio.to_thread(p.upload_form, source, name)
        path = "/api/files?temporary=true" if temporary else "/api/files"
        return p.part_from(await self._request("POST", path, files=form))

    async def download(self, file_id: str) -> bytes:
        """Return the content of an uploaded file. Raises ``NotFound``."""
        return await self._request("GET", p.file_path(file_id))

    async def delete_file(self, file_id: str) -> None:
        """Delete an uploaded file, also from messages. Raises ``NotFound``."""
        await self._request("DELETE", p.file_path(file_id))

    async def search(self, words: str, *, limit: int = 20, before: str | None = None) -> dict[str, Any]:
        """Return a page of the messages with all these words, newest first: ``{"hits", "next"}``."""
        return p.json_from(await self._request("GET", p.query("/api/search", q=words, limit=limit, before=before)))

    async def select_branch(self, message_id: str) -> None:
        """Show the branch of this message, and keep it if it is an answer that stands beside others.

        Raises ``NotFound``.
        """
        await self._request("POST", p.message_path(message_id, "/select"), {})

    async def delete_message(self, message_id: str, *, following: bool = False) -> None:
        """Delete a message; with ``following`` also what comes after it. ``restore_message`` undoes it.

        Raises ``NotFound``.
        """
        await self._request("DELETE", p.query(p.message_path(message_id), following=following))

    async def restore_message(self, message_id: str) -> None:
        """Bring back a deleted message, with what was deleted with it. Raises ``NotFound``."""
        await self._request("POST", p.message_path(message_id, "/restore"), {})

    async def rate(self, message_id: str, rating: Literal["up", "down"] | None, *, reason: str = "") -> None:
        """Say what you think of an answer, and why; ``None`` takes it back. Raises ``NotFound``, ``InvalidInput``."""
        path = p.message_path(message_id, "/feedback")
        if rating is None:
            await self._request("DELETE", path)
        else:
            await self._request("POST", path, {"rating": rating, "reason": reason})

    async def regenerate(self, message_id: str, *, model: str | None = None, after: int | None = None) -> AsyncRun:
        """Answer again, beside an answer that has ended. Raises ``NotFound``, ``InvalidInput``.

        ``after``: begin with the events of that answer up to this number, and go on from there.
        """
        run = await self._begin(p.message_path(message_id, "/regenerate"), {"model": model, "after": after})
        return run if after is None else await self.follow(run.id)  # its first events are in no log but the old one's

    async def edit(self, message_id: str, message: str, *, model: str | None = None) -> AsyncRun:
        """Ask another version of a question, beside it. Raises ``NotFound``, ``InvalidInput``."""
        return await self._begin(p.message_path(message_id, "/edit"), {"message": message, "model": model})

    async def steer(
        self, run_id: str, message: str, *, model: str | None = None, at: Literal["now", "round"] = "now"
    ) -> AsyncRun:
        """Answer this message next: stop a run for it, or let it end at its next ``round`` of tools.

        Raises ``NotFound``, ``InvalidInput``.
        """
        return await self._begin(f"{p.run_path(run_id)}/steer", {"message": message, "model": model, "at": at})

    async def _begin(self, path: str, body: Mapping[str, Any]) -> AsyncRun:
        given = {name: value for name, value in body.items() if value is not None}
        run = p.run_ids_from(await self._request("POST", path, {**given, "client_message_id": p.new_id()}))
        return AsyncRun(self, run, RunState(run.run_id, model=given.get("model", "")))

    async def _request(
        self, method: str, path: str, body: Any = None, *, patience: float | None = None, files: Any = None
    ) -> bytes:
        """Send a request, with retries while they make sense, and return the response body."""
        backoff = Backoff(self.patience if patience is None else patience)
        while True:
            try:
                response = await self._http.request(method, path, json=body, files=files)
                p.check(response.status_code, response.headers, response.content)
                return response.content
            except (httpx2.HTTPError, p.Refused) as error:
                await _wait(backoff, error, self.url)


class AsyncRun:
    """One answer, read once: loops over it share its events. ``client.follow(run.id)`` reads it a second time."""

    def __init__(self, client: AsyncClient, run: p.RunIds, state: RunState, first: Entry | None = None) -> None:
        self.id = run.run_id
        self.conversation_id = run.conversation_id
        self._client = client
        self._state = state
        self._source = self._read()
        self._turn = asyncio.Lock()
        self._buffered: deque[Entry] = deque([first] if first is not None else [])
        self._loops = 0
        self._chars = 0
        self._closed = False
        client._runs.add(self)

    @property
    def message(self) -> Message:
        """The answer as far as it was read."""
        return self._state.message

    @property
    def seq(self) -> int:
        """The number of the last event that was read."""
        return self._state.seq

    def new_text(self, event: ClientEvent) -> str:
        """Return the answer's text that this event adds; of a snapshot, what follows the text returned before."""
        piece = ""
        if isinstance(event, TextDelta):
            piece = event.text
        elif isinstance(event, Snapshot):
            piece = event.message.text[self._chars :]
        self._chars += len(piece)
        return piece

    def check_complete(self) -> None:
        """Raise ``Incomplete`` if the answer failed or was cut off."""
        if self.message.status in ("failed", "interrupted"):
            raise Incomplete(self.message)

    @contextmanager
    def reading_loop(self) -> Generator[None, None, None]:
        """Mark a loop over ``next_entry`` as under way: ``final`` then keeps what it reads for the loop."""
        self._loops += 1
        try:
            yield
        finally:
            self._loops -= 1

    async def entries(self) -> AsyncGenerator[Entry, None]:
        """Yield the numbered events, up to and with the ending. Raises ``Unreachable``, ``NotFound``."""
        with self.reading_loop():
            while (entry := await self.next_entry()) is not None:
                yield entry

    async def events(self) -> AsyncGenerator[ClientEvent, None]:
        """Yield the events, up to and with the ending."""
        async with aclosing(self.entries()) as entries:
            async for entry in entries:
                yield entry.event

    async def text(self) -> AsyncGenerator[str, None]:
        """Yield the text, piece by piece. Raises ``Incomplete`` after an answer that failed or was cut off."""
        async with aclosing(self.entries()) as entries:
            async for entry in entries:
                if piece := self.new_text(entry.event):
                    yield piece
        self.check_complete()

    async def final(self) -> Message:
        """Return the whole message, with usage and stop reason, once it has ended."""
        while (entry := await self.next_entry(use_buffer=False)) is not None:
            if self._loops:
                self._buffered.append(entry)
        if not self._state.whole:
            await self._fetch()
        return self.message

    async def stop(self) -> Message:
        """Stop the run. What arrived is kept; a loop over it continues to the ending."""
        return await self._client.stop(self.id)

    async def close(self) -> None:
        """Stop reading. The run continues on the server. A task that waits for an event still gets that one."""
        self._closed = True
        if not self._turn.locked():
            await self._source.aclose()

    async def next_entry(self, *, use_buffer: bool = True) -> Entry | None:
        """Return the next event, or ``None`` after the ending. ``kept=False`` passes over what is kept for a loop."""
        async with self._turn:
            return self._buffered.popleft() if use_buffer and self._buffered else await self._next()

    @property
    def _over(self) -> bool:
        return self._state.ended or self._closed

    async def _next(self) -> Entry | None:
        while not self._over:
            if (entry := await anext(self._source, None)) is not None:
                if self._over:
                    await self._source.aclose()
                return entry
            if not self._over:  # a cancelled wait has ended the generator
                self._source = self._read()
        return None

    async def _read(self) -> AsyncGenerator[Entry, None]:
        """Yield every entry, over as many connections as it takes."""
        backoff, furthest = Backoff(self._client.patience), self._state.seq
        while not self._state.ended:
            try:
                async with aclosing(self._connection(backoff)) as entries:
                    async for entry in entries:
                        if entry.seq > furthest:
                            backoff.reset()
                            furthest = entry.seq
                        yield entry
                if not self._state.ended:
                    raise httpx2.RemoteProtocolError("the stream ended before the answer")
            except (httpx2.HTTPError, p.Refused, Gap) as error:
                await _wait(backoff, error, self._client.url, self._state.retry_seconds)

    async def _connection(self, backoff: Backoff) -> AsyncGenerator[Entry, None]:
        state = self._state
        state.connect()
        async with self._client._http.stream("GET", p.events_path(self.id), params={"after": state.seq}) as response:
            if response.status_code >= 300:
                p.check(response.status_code, response.headers, await response.aread())
            opened = _now()
            async for data in response.aiter_bytes():
                backoff.heard(opened, _now())
                for entry in state.feed(data):
                    yield entry
                if state.ended:
                    return
            if state.done or response.status_code == 204:  # the run has ended, and every event was read
                yield await self._fetch()

    async def _fetch(self) -> Entry:
        """Fetch the whole message from the server."""
        _, seq, message = p.run_from(await self._client._request("GET", p.run_path(self.id)))
        return self._state.replace(seq, message)


async def _wait(
    backoff: Backoff, error: StreamchatError | httpx2.HTTPError, url: str, retry_after: float | None = None
) -> None:
    """Sleep until the next try makes sense. Raises the error if none does."""
    await asyncio.sleep(p.pause_after(backoff, error, url, _now(), retry_after))


def _now() -> float:
    return asyncio.get_running_loop().time()
