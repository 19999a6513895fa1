"""What an admin decides about a running server: limits of people and keys, and which models are on.

Knows the rows by ``UsageStore``, and the catalog. Rules:

* Every worker has the decisions in memory: a start that nothing limits asks no database.
* A decision is stored, applies here at once, and is announced to the other workers.
* Limits of a day are those of UTC. They count answers that have ended, and those in progress.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from weakref import WeakValueDictionary

from streamchat.errors import StorageError, StreamchatError, TooManyRequests
from streamchat.providers.catalog import Catalog
from streamchat.runs.notifications import Feed, Notification
from streamchat.runs.wakeup import Wakeup
from streamchat.settings import Settings
from streamchat.storage.usage import Counts, Limits, UsageStore, today

NOBODY = ""
DECIDED = Notification("decided", "")
RUNNING_SECONDS = 5.0
# Pause between two looks at the decisions, if none is announced.
LOOK_SECONDS = 60.0
logger = logging.getLogger(__name__)


class Administration:
    """The decisions, in memory, and the counts that they limit."""

    def __init__(self, settings: Settings, store: UsageStore, models: Catalog, feed: Feed) -> None:
        self.store = store
        self.defaults = Limits(settings.requests_per_day, None, settings.tokens_per_day, settings.cost_per_day)
        self._models = models
        self._feed = feed
        self._limits: dict[str, Limits] | None = None
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def limits(self) -> dict[str, Limits]:
        """Return the limits of owners and keys that have some of their own, by id."""
        if self._limits is None:
            await self.reload()
        return self._limits or {}

    async def set_limits(self, owner: str, limits: Limits, *, key: str | None = None) -> None:
        """Set the limits of an owner, or of one of the owner's keys."""
        await self.store.set_limits(owner, limits, key=key)
        await self._decided()

    async def switch_model(self, model_id: str, *, off: bool) -> None:
        """Switch a model off or on, in the picker of every tab. Answers in progress go on."""
        await self.store.switch_model(model_id, off=off)
        await self._decided()

    async def _decided(self) -> None:
        await self.reload()
        self._feed.publish(NOBODY, DECIDED)

    async def reload(self) -> None:
        """Read the decisions, and tell the pages of this worker if others are offered now. Raises ``StorageError``."""
        self._limits, off = await self.store.limits(), await self.store.models_off()
        if off != self._models.off:
            self._models.off = off
            self._feed.publish_to_all(Notification("models", ""))

    @asynccontextmanager
    async def within(
        self, owner: str, credential: str, is_repeated: Callable[[], Awaitable[object]]
    ) -> AsyncIterator[None]:
        """Start an answer in this context: it is within the limits of its owner and its key.

        Starts of an owner who has limits follow each other, so that two do not pass by the same count. Raises
        ``TooManyRequests``, unless ``is_repeated``.
        """
        all_limits = await self.limits()
        of_owner = all_limits.get(owner, Limits()).over(self.defaults)
        of_key = all_limits.get(credential, Limits()) if credential else Limits()
        if of_owner == of_key == Limits():
            yield
            return
        lock = self._locks.get(owner)
        if lock is None:
            lock = self._locks[owner] = asyncio.Lock()
        async with lock:
            used = await self.store.used(owner, today())
            refusal = _refusal(of_owner, sum(used.values(), Counts()), "You have")
            refusal = refusal or _refusal(of_key, used.get(credential, Counts()), "This key has")
            if refusal is not None and not await is_repeated():
                raise refusal
            yield

    async def work(self) -> None:
        """Take over what another worker's admin decides, for ever."""
        wakeup = Wakeup()
        subscription = self._feed.subscribe(None, wakeup)
        try:
            while True:
                try:
                    await self.reload()
                except StorageError as error:
                    logger.warning("limits and switches of models are those of before: %s", error)
                until = time.monotonic() + LOOK_SECONDS
                while not any(note == DECIDED or _missed(note) for note in subscription.take()):
                    if not await wakeup.wait(max(0.0, until - time.monotonic())):
                        break
        finally:
            self._feed.unsubscribe(None, subscription)


def _missed(note: Notification) -> bool:
    return note.kind == "changed" and not note.conversation_id


def _refusal(limits: Limits, used: Counts, who: str) -> StreamchatError | None:
    """Return why no other answer may start, ``None`` if one may."""
    if limits.running is not None and used.running >= limits.running:
        many = _counted(limits.running, "answer")
        return TooManyRequests(f"{who} {many} in progress, and no more are allowed. Stop one first.", RUNNING_SECONDS)
    reached = None
    if limits.requests is not None and used.requests + used.running >= limits.requests:
        reached = _counted(limits.requests, "answer")
    elif limits.tokens is not None and used.tokens >= limits.tokens:
        reached = _counted(limits.tokens, "token")
    elif limits.cost is not None and used.cost >= limits.cost:
        reached = "$" + f"{limits.cost:,.6f}".rstrip("0").rstrip(".")
    if reached is None:
        return None
    text = f"{who} used what a day allows ({reached}). The next day begins at midnight, UTC."
    return TooManyRequests(text, seconds_left())


def seconds_left() -> float:
    """Return the seconds until the next day of UTC."""
    at = datetime.now(UTC)
    midnight = (at + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return max(1.0, (midnight - at).total_seconds())


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
