"""Notifications about a person's conversations, for every page and client of that person.

They say that an answer started or ended, or that a list changed. The answers themselves are in the log.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass
from typing import Literal, Protocol

from streamchat.runs.wakeup import Wakeup


@dataclass(frozen=True, slots=True)
class Notification:
    """One change. ``released``: the process that owned a run gave it up; another one may take it over.

    ``run_id`` is empty if the whole conversation changed (renamed, deleted).

    Both ids are empty if notifications may have been missed: any conversation may have changed. ``revoked``: a session,
    a key or the account itself; ``conversation_id`` is then the account's id. ``erased``: a run of an account that was
    deleted; nothing of it may remain. ``decided``: an admin changed limits or models; for workers, never for a person.
    """

    kind: Literal["started", "ended", "released", "changed", "models", "revoked", "erased", "decided"]
    conversation_id: str
    run_id: str = ""


MISSED = Notification("changed", "")


class Subscription:
    """A reader's queue of notifications; sets the reader's wakeup. The oldest of more than 1,000 are dropped."""

    def __init__(self, wakeup: Wakeup) -> None:
        self._wakeup = wakeup
        self._notes: deque[Notification] = deque(maxlen=1000)

    def put(self, note: Notification) -> None:
        """Add a notification and wake the reader."""
        self._notes.append(note)
        self._wakeup.set()

    def take(self) -> list[Notification]:
        """Return the waiting notifications, and empty the queue."""
        notes = list(self._notes)
        self._notes.clear()
        return notes


class Feed(Protocol):
    """The interface of a feed. No call waits."""

    def publish(self, owner: str, note: Notification) -> None:
        """Send to every subscription of this owner, here and in other workers."""
        ...

    def publish_to_all(self, note: Notification) -> None:
        """Send to every subscription of every owner, in this worker."""
        ...

    def subscribe(self, owner: str | None, wakeup: Wakeup) -> Subscription:
        """Return a new subscription. ``None``: of every owner, for the program itself and never for a person."""
        ...

    def unsubscribe(self, owner: str | None, subscription: Subscription) -> None:
        """End a subscription."""
        ...


class MemoryFeed:
    """The feed of one process."""

    def __init__(self) -> None:
        self._subscriptions: dict[str | None, set[Subscription]] = defaultdict(set)

    def publish(self, owner: str, note: Notification) -> None:
        """See ``Feed``."""
        for reader in (owner, None):
            for subscription in self._subscriptions.get(reader, ()):
                subscription.put(note)

    def publish_to_all(self, note: Notification) -> None:
        """See ``Feed``."""
        for subscriptions in self._subscriptions.values():
            for subscription in subscriptions:
                subscription.put(note)

    def subscribe(self, owner: str | None, wakeup: Wakeup) -> Subscription:
        """See ``Feed``."""
        subscription = Subscription(wakeup)
        self._subscriptions[owner].add(subscription)
        return subscription

    def unsubscribe(self, owner: str | None, subscription: Subscription) -> None:
        """See ``Feed``."""
        readers = self._subscriptions.get(owner, set())
        readers.discard(subscription)
        if not readers:
            self._subscriptions.pop(owner, None)
