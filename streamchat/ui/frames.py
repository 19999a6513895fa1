"""What one tab is told: the transcript first, then every change, as small frames.

Knows the log, the feed and the store; knows nothing of Reflex. Rules:

* A frame carries what is new, never what the page has: its size grows neither with the answer nor with the history.
* Offsets count UTF-16 code units within a part, as the browser does.
* What waits is joined: a slow tab gets fewer and larger pieces, and slows nobody.
* ``None`` is yielded when nothing happened for a while, so that the caller can look whether the tab is still there.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Iterator
from itertools import count
from typing import Any, TypeAlias

from streamchat.chat import events as e
from streamchat.chat.fold import Folding
from streamchat.chat.messages import Message, ReasoningPart, TextPart, whole
from streamchat.chat.outcome import explain, offers
from streamchat.chat.wire import message_to_wire, part_to_wire
from streamchat.errors import NotFound, StreamchatError
from streamchat.runs.bell import Bell
from streamchat.runs.feed import Note
from streamchat.runs.log import Entry, Snapshot
from streamchat.wiring import Services

Frame: TypeAlias = dict[str, Any]
# Not for the browser: the list of conversations changed, or that of models.
ROWS: Frame = {"k": "rows"}
MODELS: Frame = {"k": "rows", "models": True}
PAGE = 100
HEARTBEAT_SECONDS = 5.0
# A frame equal to the one before it would not reach the page.
_number = count(1)


def say(text: str, client_id: str | None = None) -> Frame:
    """A sentence beside the composer; with a client id, that message was refused."""
    frame = {"k": "say", "text": whole(text), "n": next(_number)}
    return frame | {"client_id": whole(client_id)} if client_id else frame


def sent(client_id: str) -> Frame:
    """This message was accepted."""
    return {"k": "sent", "client_id": client_id, "n": next(_number)}


def utf16(text: str) -> int:
    """Length in UTF-16 code units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


async def earlier_messages(services: Services, owner: str, conversation_id: str | None, before: str) -> Frame:
    """The page of messages before this one. Raises ``NotFound``, ``StorageError``."""
    conversation = await services.store.conversation(owner, conversation_id or "")
    ids = [message.id for message in conversation.messages]
    if before not in ids:
        raise NotFound("There is no such message.")
    end = ids.index(before)
    shown = conversation.messages[max(0, end - PAGE) : end]
    return {"k": "earlier", "messages": [view(m, 0) for m in shown], "earlier": end > PAGE, "n": next(_number)}


def view(message: Message, seq: int) -> Frame:
    """A whole message for the page."""
    return message_to_wire(message) | {"seq": seq} | _outcome(message)


def _outcome(message: Message) -> Frame:
    """What the page says and offers under an answer that is not simply complete."""
    why = explain(message)
    return {"why": why, "offers": list(offers(message))} if why else {}


class LiveAnswer:
    """An answer that grows: what the page has of it, and the frames that bring it further."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.seq = snapshot.seq
        self._folding = Folding(snapshot.message)
        self._lengths = {
            i: utf16(p.text) for i, p in enumerate(snapshot.message.parts) if isinstance(p, TextPart | ReasoningPart)
        }
        self._id = snapshot.message.id

    def frames(self, entries: Iterable[Entry]) -> Iterator[Frame]:
        piece: Frame | None = None
        for entry in entries:
            self.seq, event = entry.seq, entry.event
            index = self._folding.add(event)
            if index is not None and isinstance(event, e.TextDelta | e.ReasoningDelta):
                if piece is not None and piece["p"] == index:
                    piece |= {"s": entry.seq, "t": piece["t"] + event.text}
                else:
                    if piece is not None:
                        yield piece
                    piece = self._piece(index, event, entry.seq)
                self._lengths[index] = self._lengths.get(index, 0) + utf16(event.text)
                continue
            if piece is not None:
                yield piece
                piece = None
            yield from self._other(index, event)
        if piece is not None:
            yield piece

    def _piece(self, index: int, event: e.TextDelta | e.ReasoningDelta, seq: int) -> Frame:
        piece = {"m": self._id, "s": seq, "p": index, "o": self._lengths.get(index, 0), "t": event.text}
        return piece if isinstance(event, e.TextDelta) else piece | {"y": "reasoning"}

    def _other(self, index: int | None, event: e.Event) -> Iterator[Frame]:
        if isinstance(event, e.ToolCallArguments | e.UsageReported):
            return  # Fragments of JSON are nobody's reading; usage comes with the end.
        if isinstance(event, e.Ending):
            yield self._end()
        elif index is None:
            yield {"k": "message", "message": view(self._folding.message, self.seq)}
        else:
            part = part_to_wire(self._folding.part(index))
            yield {"k": "part", "m": self._id, "s": self.seq, "p": index, "part": part}

    def _end(self) -> Frame:
        whole = view(self._folding.message, self.seq)
        length = utf16(whole["text"])
        kept = {k: whole[k] for k in ("status", "stop_reason", "error", "usage", "why", "offers") if k in whole}
        return {"k": "end", "m": self._id, "s": self.seq, "length": length, **kept}


class Transcript:
    """One tab on one conversation (``None``: a new chat)."""

    def __init__(self, services: Services, owner: str, conversation_id: str | None) -> None:
        self._services = services
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
        try:
            yield await self._open()
            while True:
                for run_id in list(self._live):
                    for frame in self._advance(run_id):
                        yield frame
                for note in subscription.take():
                    yield MODELS if note.kind == "models" else ROWS
                    if self._concerns(note):
                        for frame in await self._changed(note):
                            yield frame
                if not await self._bell.wait(HEARTBEAT_SECONDS):
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
        frame = {"k": "open", "g": next(_number), "conversation": self._conversation_id, "title": "", "messages": []}
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
            return view(message, 0)
        log = self._services.runs.log
        try:
            await log.attach(message.id)
            snapshot = log.snapshot(message.id)
        except NotFound:
            self._unended.add(message.id)
            return view(message, 0)
        if not snapshot.message.ended:
            self._live[message.id] = LiveAnswer(snapshot)
            log.listen(message.id, self._bell)
        return view(snapshot.message, snapshot.seq)

    def _advance(self, run_id: str) -> Iterator[Frame]:
        answer = self._live[run_id]
        batch = self._services.runs.log.take(run_id, answer.seq)
        if isinstance(batch, Snapshot):
            self._live[run_id] = LiveAnswer(batch)
            yield {"k": "message", "message": view(batch.message, batch.seq)}
        elif batch:
            yield from answer.frames(batch)
            if batch[-1].last:
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
                frames.append({"k": "message", "message": await self._attach(message), "n": next(_number)})
        self._known = now
        return frames
