"""The feed of several workers, and remote stop requests.

Rules:

* A notification reaches the readers of its own worker at once, and those of every other worker once, after the entries
  that were written before it.
* A worker without a connection misses notifications. It then tells its readers that anything may have changed, and
  they read the database.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable

from streamchat.runs.notifications import MISSED, MemoryFeed, Notification, Subscription
from streamchat.runs.redis.connection import REPLY_SECONDS, Line, Link
from streamchat.runs.redis.publisher import Publisher
from streamchat.runs.redis.sharding import ShardedPublisher
from streamchat.runs.redis.stream import Keys
from streamchat.runs.wakeup import Wakeup

PING_SECONDS = 5.0
# By then the others have a connection again too, and Redis what they had written meanwhile.
_LOOK_AGAIN_SECONDS = 3.0
logger = logging.getLogger(__name__)


class RedisFeed:
    """Implements ``Feed``. ``worker``: the name of this process."""

    def __init__(self, link: Link, keys: Keys, publisher: Publisher | ShardedPublisher, worker: str) -> None:
        self._link = link
        self._keys = keys
        self._publisher = publisher
        self._worker = worker
        self._local = MemoryFeed()
        self._was_connected = False
        self.on_stop: Callable[[str], None] = lambda run_id: None

    def publish(self, owner: str, note: Notification) -> None:
        """See ``Feed``."""
        self._local.publish(owner, note)
        payload = [self._worker, owner, note.kind, note.conversation_id, note.run_id]
        self._publisher.put(note.run_id or note.conversation_id, "PUBLISH", self._keys.feed, json.dumps(payload))

    def publish_to_all(self, note: Notification) -> None:
        """See ``Feed``."""
        self._local.publish_to_all(note)

    def subscribe(self, owner: str | None, wakeup: Wakeup) -> Subscription:
        """See ``Feed``."""
        return self._local.subscribe(owner, wakeup)

    def unsubscribe(self, owner: str | None, subscription: Subscription) -> None:
        """See ``Feed``."""
        self._local.unsubscribe(owner, subscription)

    def ask_stop(self, run_id: str) -> None:
        """Ask the worker that owns this run to stop it."""
        self._publisher.put(run_id, "PUBLISH", self._keys.stop, run_id)

    async def work(self) -> None:
        """Listen to the other workers for ever."""
        await self._link.keep("listening", self._listen)

    async def _listen(self, line: Line) -> None:
        await line.send([("SUBSCRIBE", self._keys.feed, self._keys.stop)])
        pinged = False
        while True:
            reply = await line.read(REPLY_SECONDS if pinged else PING_SECONDS)
            if reply is None and pinged:
                raise TimeoutError("it does not answer")
            pinged = reply is None
            if reply is None:
                await line.send([("PING",)])
            elif isinstance(reply, Exception):
                raise reply
            elif reply[0] == b"message":
                self._hear(reply[1].decode(), reply[2])
            elif reply[0] == b"subscribe" and reply[2] == 2:
                self._connected_again()

    def _connected_again(self) -> None:
        if self._was_connected:
            self._local.publish_to_all(MISSED)
            asyncio.get_running_loop().call_later(_LOOK_AGAIN_SECONDS, self._local.publish_to_all, MISSED)
        self._was_connected = True

    def _hear(self, channel: str, data: bytes) -> None:
        if channel == self._keys.stop:
            self.on_stop(data.decode(errors="replace"))
            return
        try:
            worker, owner, *fields = map(str, json.loads(data))
            note = Notification(*fields)  # pyrefly: ignore[bad-argument-type] an unknown kind is ignored
        except (ValueError, TypeError):
            logger.warning("an unreadable notification was ignored")
            return
        if worker != self._worker:
            self._local.publish(owner, note)
