"""What happens to a person's conversations, for every page and client of that person.

Not the answers themselves (that is the log): only that one started, ended, or that a list changed.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass
from typing import Literal, Protocol

from streamchat.runs.bell import Bell


@dataclass(frozen=True, slots=True)
class Note:
    """``run_id`` is empty where the whole conversation changed (renamed, deleted), ``conversation_id`` too where
    notes may have been missed and any conversation may have changed."""

    kind: Literal["started", "ended", "changed", "models"]
    conversation_id: str
    run_id: str = ""


MISSED = Note("changed", "")


class Subscription:
    """A reader's notes; rings the reader's bell. The oldest are dropped where nobody takes them."""

    def __init__(self, bell: Bell) -> None:
        self._bell = bell
        self._notes: deque[Note] = deque(maxlen=1000)

    def put(self, note: Note) -> None:
        self._notes.append(note)
        self._bell.ring()

    def take(self) -> list[Note]:
        notes = list(self._notes)
        self._notes.clear()
        return notes


class Feed(Protocol):
    """What runs and readers need of a feed. No call waits."""

    def publish(self, owner: str, note: Note) -> None:
        """To every subscription of this owner, here and elsewhere."""
        ...

    def subscribe(self, owner: str, bell: Bell) -> Subscription: ...

    def unsubscribe(self, owner: str, subscription: Subscription) -> None: ...


class MemoryFeed:
    """The feed of one process."""

    def __init__(self) -> None:
        self._subscriptions: dict[str, set[Subscription]] = defaultdict(set)

    def publish(self, owner: str, note: Note) -> None:
        for subscription in self._subscriptions.get(owner, ()):
            subscription.put(note)

    def publish_to_all(self, note: Note) -> None:
        """To every owner here."""
        for owner in list(self._subscriptions):
            self.publish(owner, note)

    def subscribe(self, owner: str, bell: Bell) -> Subscription:
        subscription = Subscription(bell)
        self._subscriptions[owner].add(subscription)
        return subscription

    def unsubscribe(self, owner: str, subscription: Subscription) -> None:
        readers = self._subscriptions.get(owner, set())
        readers.discard(subscription)
        if not readers:
            self._subscriptions.pop(owner, None)
