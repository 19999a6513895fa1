"""The frame stream of one tab: an ``open`` frame with its conversation, then incremental updates.

Knows conversations, and has a reader for each answer in them that has not ended; knows nothing of Reflex. Rules:

* The order of the branch is read again if it changes, and of its messages only the new ones. What a run begins with in
  this process is shown before that. A delta never touches the store.
* Nothing waits for a read of the branch, which takes long while the database is busy: there is one at a time, beside
  the other frames, and what was shown meanwhile makes it worthless.
* What is read grows with what the tab shows, never with the length of the conversation.
* Pieces of answers come as often as the tab wants them (``set_pace``): what waits meanwhile is joined. All else comes
  at once.
* ``None`` is yielded after a while without changes, so that the caller can check whether the tab is still there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Protocol

from streamchat.chat.conversation_settings import ConversationSettings
from streamchat.chat.feedback import Feedback, feedback_to_wire
from streamchat.chat.messages import Message
from streamchat.errors import NotFound, StreamchatError
from streamchat.protocols.page.stream import Frame, PageEncoder, about, number, say, view
from streamchat.protocols.page.tool_views import About, Describe
from streamchat.runs.log import Snapshot
from streamchat.runs.notifications import Notification
from streamchat.runs.ports import Begun
from streamchat.runs.reader import FROM_SNAPSHOT, RunReader, pieces_of
from streamchat.runs.wakeup import Wakeup
from streamchat.wiring import Services

PAGE = 100
# Of a conversation that is opened: several screens, which are rendered at once.
OPENED = 50
HEARTBEAT_SECONDS = 5.0
# The list of conversations is sent so long after it has changed, since the first words of an answer come before it, and
# then not more often than this: each time costs a query, and with many answers at once it changes all the time, in
# every tab.
LIST_AFTER_SECONDS = 0.2
LIST_SECONDS = 1.0
# Nor does it take more than a tenth of the time: reading it takes long while the process or the database is busy.
LIST_SHARE = 10
MAX_LIST_SECONDS = 5.0


class ReadList(Protocol):
    """Reads the list of conversations, ``models``: and the models. Returns what is new in it; ``None``: nothing."""

    async def __call__(self, *, models: bool) -> object:
        """See the class."""
        ...


async def no_list(*, models: bool) -> object:
    """Read no list: for whoever shows none."""
    return None


class Page(Protocol):
    """A part of the active branch of a conversation, as the store returns it."""

    @property
    def title(self) -> str:
        """The conversation's title."""
        ...

    @property
    def settings(self) -> ConversationSettings:
        """The conversation's settings."""
        ...

    @property
    def ids(self) -> Sequence[str]:
        """The messages, oldest first."""
        ...

    @property
    def messages(self) -> Sequence[Message]:
        """Those of them that were read."""
        ...

    @property
    def siblings(self) -> Mapping[str, tuple[str, ...]]:
        """The versions of each message that has several."""
        ...

    @property
    def earlier(self) -> bool:
        """Whether there are messages before these."""
        ...

    @property
    def compared(self) -> Sequence[str]:
        """The answers that stand side by side at its end."""
        ...

    @property
    def feedback(self) -> Mapping[str, Feedback]:
        """What its owner thinks of answers, by their ids."""
        ...


def earlier_frame(page: Page, describe: Describe) -> Frame:
    """Return a frame with a page of earlier messages."""
    shown = [view(message, 0, describe) | beside(page, message.id) for message in page.messages]
    return {"k": "earlier", "messages": shown, "earlier": page.earlier, "n": number()}


async def shared_messages(services: Services, share_id: str, before: str | None = None) -> Frame:
    """Return the snapshot behind a link as a frame: its end, or the page before a message. Raises ``StorageError``."""
    frame: Frame = {"k": "open", "g": number(), "conversation": share_id, "title": "", "messages": [], "earlier": False}
    try:
        page = await services.store.shared(share_id, limit=PAGE, before=before)
    except NotFound:
        return frame | {"missing": True, "shared": True}
    if before is not None:
        return earlier_frame(page, describing(services))
    shown = [view(message, 0, describing(services)) for message in page.messages]
    return frame | {
        "title": page.title,
        "messages": shown,
        "earlier": page.earlier,
        "missing": False,
        "shared": True,
    }


def beside(page: Page, message_id: str) -> Frame:
    """Return what belongs to a message beside its content: its versions, if several, and its owner's feedback."""
    versions, feedback = page.siblings.get(message_id), page.feedback.get(message_id)
    return ({"versions": list(versions)} if versions else {}) | (
        {"feedback": feedback_to_wire(feedback)} if feedback else {}
    )


def describing(services: Services) -> Describe:
    """Return the function that looks up a tool by name, each time anew: tools of servers come and go."""

    def describe(name: str) -> About:
        tool = services.tools.get(name)
        return About(tool.spec.parameters, tool.server) if tool else About()

    return describe


@dataclass(frozen=True, slots=True)
class Reading:
    """A read of the branch: of its end, as far as it is not in ``known``, or of the page before a message."""

    before: str | None
    known: Sequence[str]
    task: asyncio.Task[Page | StreamchatError]


class Transcript:
    """The transcript of one conversation (``None``: a new chat) in one tab.

    ``begun``: the tab has begun it, and has not got its address yet. ``page``: what it has, if that is known.
    ``read_list``: its results are yielded in frames ``rows``, as ``list``; it is read beside the other frames.
    """

    def __init__(
        self,
        services: Services,
        owner: str,
        conversation_id: str | None,
        *,
        begun: bool = False,
        page: Page | None = None,
        read_list: ReadList = no_list,
    ) -> None:
        self._services = services
        self._read_list = read_list
        self._describe = describing(services)
        self._owner = owner
        self._conversation_id = conversation_id
        self._begun, self._page = begun, page
        self._wakeup = Wakeup()
        # What the tab shows: the ids of the messages in their order, and the versions of those that have several.
        self._known: list[str] = []
        self._begins_late = False  # whether there are messages before those
        self._pages_before: list[str] = []  # the messages before which a page is to be sent
        self._changed_since = False  # whether the branch may have changed since its last read began
        self._reading: Reading | None = None
        self._versions: dict[str, tuple[str, ...]] = {}
        self._feedback: dict[str, Feedback] = {}
        self._about: Frame | None = None  # ``None`` if no conversation is shown
        self._pace = self._pieces_due = 0.0
        self._closed = False
        self._unchecked = False  # whether something was shown without a look at the branch
        # The answers without an ending: those being written, in any worker, and those whose worker died.
        self._live: dict[str, tuple[RunReader, PageEncoder]] = {}

    def show_earlier(self, before: str) -> None:
        """Yield the page of messages before ``before``, at most ``PAGE``, between the other frames."""
        if before not in self._pages_before:
            self._pages_before.append(before)
        self._wakeup.set()

    def set_pace(self, seconds: float) -> None:
        """Leave at least so much time between two batches of pieces. 0: each piece comes at once."""
        self._pace, self._pieces_due = seconds, 0.0
        self._wakeup.set()

    def close(self) -> None:
        """End the frames."""
        self._closed = True
        self._wakeup.set()

    async def frames(self) -> AsyncGenerator[Frame | None, None]:
        """Yield frames, and ``None`` as a heartbeat, until ``close`` is called or the generator is closed."""
        runs = self._services.runs
        subscription = runs.feed.subscribe(self._owner, self._wakeup)
        # Whether the list is to be read, and the models with it. It has what was begun, but is not shown before it.
        pending, models = self._begun, False
        due = monotonic() + LIST_AFTER_SECONDS
        listing: asyncio.Task[object] | None = None
        listed_at = 0.0
        try:
            yield await self._open()
            while not self._closed:
                if monotonic() >= self._pieces_due:
                    for run_id in list(self._live):
                        for frame in await self._grown(run_id):
                            self._pieces_due = monotonic() + self._pace
                            yield frame
                for note in subscription.take():
                    if not pending:
                        due = max(due, monotonic() + LIST_AFTER_SECONDS)
                    pending, models = True, models or note.kind == "models"
                    if self._concerns(note):
                        for frame in await self._changed(note):
                            yield frame
                for frame in await self._reads():
                    yield frame
                if listing is not None and listing.done():
                    frame = {"k": "rows", "list": listing.result()}
                    rest = min(LIST_SHARE * (monotonic() - listed_at), MAX_LIST_SECONDS)
                    listing, due = None, monotonic() + max(rest, LIST_SECONDS)
                    yield frame
                if pending and listing is None and monotonic() >= due:
                    listing, listed_at = self._wakeup.task(self._read_list(models=models), "list"), monotonic()
                    pending = models = False
                now = monotonic()
                dues = [now + HEARTBEAT_SECONDS, *([due] if pending and listing is None else [])]
                dues += [self._pieces_due] if self._pieces_due > now else []
                if not await self._wakeup.wait(min(dues) - now) and not pending:
                    yield None
        finally:
            if listing is not None:
                listing.cancel()
            runs.feed.unsubscribe(self._owner, subscription)
            self._leave_all()
            self._wakeup.close()

    def _concerns(self, note: Notification) -> bool:
        """Return whether this conversation changed. An empty identifier in ``note`` means any."""
        here = self._conversation_id
        return here is not None and note.kind != "models" and note.conversation_id in ("", here)

    async def _open(self) -> Frame:
        page = self._page
        if page is None and self._conversation_id is not None:
            return await self._opened(await self._read(OPENED))
        self._page = None
        return await self._opened(page)

    async def _read(self, limit: int, before: str | None = None, known: Sequence[str] = ()) -> Page | StreamchatError:
        """Return a part of the branch, or why it cannot be read."""
        where = self._conversation_id or ""
        try:
            return await self._services.store.branch_page(self._owner, where, limit=limit, before=before, known=known)
        except StreamchatError as error:
            return error

    async def _reads(self) -> list[Frame]:
        """Return the frames for what was read of the branch, if it is there, and begin the next read."""
        frames = self._unknown_pages() if self._pages_before else []
        if self._reading is not None and self._reading.task.done():
            reading, self._reading = self._reading, None
            frames += await self._arrived(reading)
        if self._reading is None and self._pages_before:
            self._begin(PAGE, self._pages_before[0], ())
        elif self._reading is None and self._changed_since:
            self._changed_since = self._unchecked = False
            self._begin(OPENED, None, tuple(self._known))
        return frames

    def _begin(self, limit: int, before: str | None, known: Sequence[str]) -> None:
        self._reading = Reading(before, known, self._wakeup.task(self._read(limit, before, known), "branch"))

    async def _arrived(self, reading: Reading) -> list[Frame]:
        page = reading.task.result()
        if reading.before is not None:
            self._pages_before.remove(reading.before)
            return [self._earlier(page)]
        if list(reading.known) != self._known:  # a question came meanwhile, which may be missing in what was read
            self._changed_since = True
            return []
        # If none is shown, it was missing, or could not be read.
        return [await self._opened(page)] if self._about is None else await self._reloaded(page)

    async def _opened(self, page: Page | StreamchatError | None) -> Frame:
        frame = {"k": "open", "g": number(), "conversation": self._conversation_id, "title": "", "messages": []}
        frame |= {"earlier": False, "missing": False} | ({"begun": True} if self._begun else {})
        if page is None:
            return frame
        if isinstance(page, NotFound):
            return frame | {"missing": True}
        if isinstance(page, StreamchatError):
            return frame | {"error": page.user_message}
        self._begins_late = page.earlier
        self._known, self._versions, self._feedback = list(page.ids), dict(page.siblings), dict(page.feedback)
        self._about = about(page.title, page.settings, page.compared)
        views = [await self._attach(message) | beside(page, message.id) for message in page.messages]
        return frame | self._about | {"messages": views, "earlier": page.earlier}

    def _unknown_pages(self) -> list[Frame]:
        """Refuse the pages before messages that are not shown."""
        unknown = [before for before in self._pages_before if before not in self._known]
        self._pages_before = [before for before in self._pages_before if before in self._known]
        return [say("There is no such message.") for _ in unknown]

    def _earlier(self, page: Page | StreamchatError) -> Frame:
        if isinstance(page, StreamchatError):
            return say(page.user_message)
        self._known[:0] = [message.id for message in page.messages if message.id not in self._known]
        self._begins_late = page.earlier
        return earlier_frame(page, self._describe)

    async def _attach(self, message: Message) -> Frame:
        """Return the message as it is now, and follow it from here on if it has not ended.

        The times of an answer are stored after its ending, and its log has both: the newest one may lack them here.
        """
        newest = message.role == "assistant" and message.id in (self._known[-1], *self._compared)
        if message.ended and not (newest and message.timing is None):
            return view(message, 0, self._describe)
        reader = RunReader(self._services.runs, self._owner, message.id, FROM_SNAPSHOT, wakeup=self._wakeup)
        encoder = PageEncoder(self._describe)
        self._live[message.id] = reader, encoder
        try:
            batch = await reader.take()
        except NotFound:  # deleted since; a notification follows
            batch = None
        frame = encoder.view(batch if isinstance(batch, Snapshot) else Snapshot(0, message))
        if reader.ended:
            self._leave(message.id)
        return frame

    async def _grown(self, run_id: str) -> list[Frame]:
        """Return the new frames of a live answer."""
        reader, encoder = self._live[run_id]
        try:
            batch = await reader.take()
        except NotFound:  # deleted
            self._leave(run_id)
            self._changed_since = True
            return []
        frames = [] if batch is None else list(pieces_of(batch, reader, encoder))
        if reader.ended:
            self._leave(run_id)
        return frames

    def _leave(self, run_id: str) -> None:
        if live := self._live.pop(run_id, None):
            live[0].close()

    def _leave_all(self) -> None:
        for run_id in list(self._live):
            self._leave(run_id)
        if self._reading is not None:
            self._reading.task.cancel()

    async def _changed(self, note: Notification) -> list[Frame]:
        """Return the frames for a change of the active branch that is known without a read. An ending comes from the
        answer's reader."""
        if note.kind == "ended":
            self._changed_since |= self._unchecked
            return []
        run = self._services.runs.active(note.run_id) if note.kind == "started" else None
        begun = run.begun if run and run.owner == self._owner else None
        if begun and self._follows(begun):
            return await self._appended(begun)
        self._changed_since = True
        return []

    def _follows(self, begun: Begun) -> bool:
        """Return whether a question and its answer stand below all that the tab shows."""
        before = begun.history[-2:-1]
        return bool(self._known and before) and before[0].id == self._known[-1] and not self._compared

    async def _appended(self, begun: Begun) -> list[Frame]:
        """Return the frames for a question and its answer without a query: the branch is read when it has ended."""
        self._unchecked = True
        self._known += [begun.user.id, begun.answer.id]
        shown = [await self._attach(message) for message in (begun.user, begun.answer)]
        return [{"k": "messages", "messages": shown, "n": number()}]

    async def _reloaded(self, page: Page | StreamchatError) -> list[Frame]:
        known = self._known
        if isinstance(page, NotFound):
            self._leave_all()
            self._known, self._about = [], None
            return [await self._opened(page)]
        if isinstance(page, StreamchatError):
            return [say(page.user_message)]
        gone = [old for old in known if old not in page.ids]
        for old in gone:
            self._leave(old)
        order = self._rearranged(page)
        # Where nothing of what is shown stays, the order follows what replaces it, as the drops do.
        stays = not set(known).isdisjoint(page.ids)
        frames = order if stays else []
        self._begins_late = page.earlier
        now = about(page.title, page.settings, page.compared)
        changed = now if now != self._about else None
        self._about = now
        new = {message.id for message in page.messages}
        rated = self._feedback.items() ^ page.feedback.items()
        self._known, self._versions, self._feedback = list(page.ids), dict(page.siblings), dict(page.feedback)
        if page.messages:
            shown = [await self._attach(message) | beside(page, message.id) for message in page.messages]
            frames.append({"k": "messages", "messages": shown, "n": number()})
        for one in sorted({rated_id for rated_id, _ in rated} - new):
            value = page.feedback.get(one)
            wire = feedback_to_wire(value) if value else None
            frames.append({"k": "feedback", "m": one, "feedback": wire, "n": number()})
        # Behind what replaces them, so that the thread is never shorter than before and after.
        frames += [{"k": "drop", "m": old} for old in gone]
        frames += [] if stays else order
        if changed is not None:
            # Answers that stand side by side do so from the first moment on.
            frames.insert(0 if page.compared else len(frames), {"k": "about", **changed, "n": number()})
        return frames

    @property
    def _compared(self) -> Sequence[str]:
        return (self._about or {}).get("compared", ())

    def _rearranged(self, page: Page) -> list[Frame]:
        """Return a frame with the new order, unless dropping and appending messages leads to it."""
        stay = [one for one in self._known if one in page.ids]
        changed = {
            one: list(versions)
            for one in stay
            if (versions := page.siblings.get(one, ())) != self._versions.get(one, ())
        }
        if list(page.ids[: len(stay)]) == stay and not changed and page.earlier == self._begins_late:
            return []
        frame = {"k": "order", "ids": list(page.ids), "earlier": page.earlier, "n": number()}
        return [frame | {"versions": changed} if changed else frame]
