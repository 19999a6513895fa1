"""The feed of several workers, and how one asks the others to stop a run.

Rules:

* A note reaches the readers of its own worker at once, and those of every other worker once, after the entries
  that were written before it.
* What is said while a worker has no connection is lost to it. It then tells its readers that anything may have
  changed, and they look at the database.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable

from streamchat.runs.bell import Bell
from streamchat.runs.feed import MISSED, MemoryFeed, Note, Subscription
from streamchat.runs.redis_link import REPLY_SECONDS, Line, Link
from streamchat.runs.redis_outbox import Outbox
from streamchat.runs.redis_stream import Keys

PING_SECONDS = 5.0
# By then the others have a connection again too, and Redis what they had written meanwhile.
_LOOK_AGAIN_SECONDS = 3.0
logger = logging.getLogger(__name__)


class RedisFeed:
    """Implements ``Feed`` and ``Stops``. ``worker`` is this process's name among the others."""

    def __init__(self, link: Link, keys: Keys, outbox: Outbox, worker: str) -> None:
        self._link = link
        self._keys = keys
        self._outbox = outbox
        self._worker = worker
        self._local = MemoryFeed()
        self._was_connected = False
        self.on_stop: Callable[[str], None] = lambda run_id: None

    def publish(self, owner: str, note: Note) -> None:
        """See ``Feed``."""
        self._local.publish(owner, note)
        told = [self._worker, owner, note.kind, note.conversation_id, note.run_id]
        self._outbox.put("PUBLISH", self._keys.feed, json.dumps(told))

    def subscribe(self, owner: str, bell: Bell) -> Subscription:
        """See ``Feed``."""
        return self._local.subscribe(owner, bell)

    def unsubscribe(self, owner: str, subscription: Subscription) -> None:
        """See ``Feed``."""
        self._local.unsubscribe(owner, subscription)

    def ask_stop(self, run_id: str) -> None:
        """See ``Stops``."""
        self._outbox.put("PUBLISH", self._keys.stop, run_id)

    async def work(self) -> None:
        """Listen to the other workers for ever."""
        await self._link.keep("listening", self._listen)

    async def _listen(self, line: Line) -> None:
        await line.send([("SUBSCRIBE", self._keys.feed, self._keys.stop)])
        asked = False
        while True:
            reply = await line.read(REPLY_SECONDS if asked else PING_SECONDS)
            if reply is None and asked:
                raise TimeoutError("it does not answer")
            asked = reply is None
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
            worker, owner, *said = map(str, json.loads(data))
            note = Note(*said)  # pyright: ignore[reportArgumentType] nobody acts on a kind it does not know
        except (ValueError, TypeError):
            logger.warning("a note that is not one of ours was ignored")
            return
        if worker != self._worker:
            self._local.publish(owner, note)
