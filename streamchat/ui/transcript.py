"""What one tab is told: its conversation first, then every change, frame by frame.

Knows the log, the feed and the store; knows nothing of Reflex. Rules:

* The conversation is read anew where a run starts or the branch changes; a delta never touches the store.
* ``None`` is yielded when nothing happened for a while, so that the caller can look whether the tab is still there.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from time import monotonic

from streamchat.chat.messages import Message
from streamchat.errors import NotFound, StreamchatError
from streamchat.runs.bell import Bell
from streamchat.runs.feed import Note
from streamchat.runs.log import Snapshot
from streamchat.ui.frames import Frame, LiveAnswer, number, say, view
from streamchat.ui.toolviews import About, Describe
from streamchat.wiring import Services

# Not for the browser: the list of conversations changed, or that of models.
ROWS: Frame = {"k": "rows"}
MODELS: Frame = {"k": "rows", "models": True}
PAGE = 100
HEARTBEAT_SECONDS = 5.0
# The list of conversations is sent at once where it changes, and then not more often than this: each costs a query, and
# with many answers at once it changes all the time, in every tab.
LIST_SECONDS = 1.0


async def earlier_messages(services: Services, owner: str, conversation_id: str | None, before: str) -> Frame:
    """The page of messages before this one. Raises ``NotFound``, ``StorageError``."""
    conversation = await services.store.conversation(owner, conversation_id or "")
    ids = [message.id for message in conversation.messages]
    if before not in ids:
        raise NotFound("There is no such message.")
    end = ids.index(before)
    shown = [view(m, 0, describing(services)) for m in conversation.messages[max(0, end - PAGE) : end]]
    return {"k": "earlier", "messages": shown, "earlier": end > PAGE, "n": number()}


def describing(services: Services) -> Describe:
    """What is known of a tool now: those of servers come and go."""

    def describe(name: str) -> About:
        tool = services.tools.get(name)
        return About(tool.spec.parameters, tool.server) if tool else About()

    return describe


class Transcript:
    """One tab on one conversation (``None``: a new chat)."""

    def __init__(self, services: Services, owner: str, conversation_id: str | None) -> None:
        self._services = services
        self._describe = describing(services)
        self._owner = owner
        self._conversation_id = conversation_id
        self._bell = Bell()
        self._known: list[str] = []
        self._live: dict[str, LiveAnswer] = {}
        # Answers of another process, or of one that died: not followed, but not over either.
        self._unended: set[str] = set()

    def close(self) -> None:
        """Wake the follower, so that it can see that it is not wanted any more."""
        self._bell.ring()

    async def frames(self) -> AsyncGenerator[Frame | None, None]:
        """Never ends by itself: close the generator."""
        runs = self._services.runs
        subscription = runs.feed.subscribe(self._owner, self._bell)
        owed: Frame | None = None
        due = 0.0
        try:
            yield await self._open()
            while True:
                for run_id in list(self._live):
                    for frame in await self._grown(run_id):
                        yield frame
                for note in subscription.take():
                    owed = MODELS if note.kind == "models" or owed is MODELS else ROWS
                    if self._concerns(note):
                        for frame in await self._changed(note):
                            yield frame
                if owed is not None and (now := monotonic()) >= due:
                    yield owed
                    owed, due = None, now + LIST_SECONDS
                if not await self._bell.wait(due - monotonic() if owed else HEARTBEAT_SECONDS) and not owed:
                    yield None
        finally:
            runs.feed.unsubscribe(self._owner, subscription)
            for run_id in self._live:
                runs.log.ignore(run_id, self._bell)

    def _concerns(self, note: Note) -> bool:
        """Whether this conversation changed; an empty id says that any may have."""
        here = self._conversation_id
        return here is not None and note.kind != "models" and note.conversation_id in ("", here)

    async def _open(self) -> Frame:
        frame = {"k": "open", "g": number(), "conversation": self._conversation_id, "title": "", "messages": []}
        frame |= {"earlier": False, "missing": False}
        if self._conversation_id is None:
            return frame
        try:
            conversation = await self._services.store.conversation(self._owner, self._conversation_id)
        except NotFound:
            return frame | {"missing": True}
        except StreamchatError as error:
            return frame | {"error": error.user_message}
        self._known = [message.id for message in conversation.messages]
        shown = conversation.messages[-PAGE:]
        views = [await self._attach(message) for message in shown]
        return frame | {"title": conversation.title, "messages": views, "earlier": len(self._known) > len(shown)}

    async def _attach(self, message: Message) -> Frame:
        """The message as it is now; from here on it is followed if it grows."""
        if message.ended:
            self._unended.discard(message.id)
            return view(message, 0, self._describe)
        log = self._services.runs.log
        try:
            await log.attach(message.id)
            snapshot = log.snapshot(message.id)
        except NotFound:
            self._unended.add(message.id)
            return view(message, 0, self._describe)
        if not snapshot.message.ended:
            self._live[message.id] = LiveAnswer(snapshot, self._describe)
            log.listen(message.id, self._bell)
        return view(snapshot.message, snapshot.seq, self._describe)

    async def _grown(self, run_id: str) -> list[Frame]:
        """What is new of a live answer."""
        try:
            return list(self._advance(run_id))
        except NotFound:  # It ended, and was not kept for as long as this tab was behind: the database has it.
            del self._live[run_id]
            self._unended.add(run_id)
            return await self._changed(Note("ended", self._conversation_id or "", run_id))

    def _advance(self, run_id: str) -> Iterator[Frame]:
        answer = self._live[run_id]
        batch = self._services.runs.log.take(run_id, answer.seq)
        if isinstance(batch, Snapshot):
            self._live[run_id] = LiveAnswer(batch, self._describe)
            yield {"k": "message", "message": view(batch.message, batch.seq, self._describe)}
            ended = batch.message.ended
        else:
            yield from answer.frames(batch)
            ended = bool(batch) and batch[-1].last
        if ended:
            del self._live[run_id]
            self._services.runs.log.ignore(run_id, self._bell)

    async def _changed(self, note: Note) -> list[Frame]:
        """What a change of the active branch means for this tab."""
        if note.kind == "ended" and note.run_id not in self._unended:
            return []  # The log said it already.
        try:
            conversation = await self._services.store.conversation(self._owner, self._conversation_id or "")
        except StreamchatError as error:
            return [say(error.user_message)]
        now = [message.id for message in conversation.messages]
        frames: list[Frame] = [{"k": "drop", "m": old} for old in self._known if old not in now]
        for message in conversation.messages:
            if message.id not in self._known or message.id in self._unended:
                frames.append({"k": "message", "message": await self._attach(message), "n": number()})
        self._known = now
        return frames
