"""The log of several workers: the local log, what is written here sent to Redis, what is written elsewhere copied.

Rules:

* Producers and readers use the local log, so an answer reaches the readers of its own worker as fast as without
  Redis, and goes on where Redis does not.
* Only ``attach`` and ``bury`` wait for Redis.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from redis.exceptions import ResponseError

from streamchat.chat.events import Ending, Event
from streamchat.chat.fold import fold
from streamchat.chat.messages import Message
from streamchat.runs.bell import Bell
from streamchat.runs.log import Entry, MemoryLog, Snapshot
from streamchat.runs.redis_link import TROUBLE, Link
from streamchat.runs.redis_mirrors import Mirrors
from streamchat.runs.redis_outbox import Outbox
from streamchat.runs.redis_sending import Limits
from streamchat.runs.redis_stream import BURY, Keys, event_json, load, newest, taken

logger = logging.getLogger(__name__)


class Alive(Exception):
    """The run that was taken for dead goes on."""


class RedisLog:
    """Implements ``Log``. ``on_superseded`` is told of a run of this process that another worker ended."""

    def __init__(self, link: Link, keys: Keys, limits: Limits) -> None:
        self._link = link
        self._keys = keys
        self._limits = limits
        self._local = MemoryLog(limits.keep_seconds)
        self._superseded: set[str] = set()
        self.outbox = Outbox(link, keys, self._local, limits)
        self.outbox.on_superseded = self._supersede
        self.mirrors = Mirrors(link, keys, self._local)
        self.outbox.on_parked = self.mirrors.adopt
        self.on_superseded: Callable[[str], None] = lambda run_id: None

    def open(self, message: Message, events: Iterable[Event] = ()) -> None:
        """See ``Log``."""
        self._local.open(message, events)
        self.outbox.open(Snapshot(0, message))

    def go_on(self, start: Snapshot) -> None:
        """See ``Log``. From now on it is written here, wherever it was written before."""
        self.mirrors.drop(start.message.id)
        self._superseded.discard(start.message.id)
        self._local.go_on(start)
        self.outbox.open(start)

    def append(self, run_id: str, event: Event) -> Entry:
        """See ``Log``. Of a run that another worker ended nothing more is kept."""
        if run_id in self._superseded:
            return Entry(self._local.reached(run_id)[0], event)
        entry = self._local.append(run_id, event)
        self.outbox.mark(run_id)
        return entry

    async def attach(self, run_id: str) -> None:
        """See ``Log``."""
        if not self._local.has(run_id):
            await self.mirrors.open(run_id)

    def snapshot(self, run_id: str) -> Snapshot:
        """See ``Log``."""
        return self._local.snapshot(run_id)

    def take(self, run_id: str, after: int) -> list[Entry] | Snapshot:
        """See ``Log``."""
        return self._local.take(run_id, after)

    def listen(self, run_id: str, bell: Bell) -> None:
        """See ``Log``."""
        self._local.listen(run_id, bell)

    def ignore(self, run_id: str, bell: Bell) -> None:
        """See ``Log``."""
        self._local.ignore(run_id, bell)

    async def bury(self, run_id: str, ending: Ending) -> Snapshot | None:
        """End a run whose worker is gone: the whole answer, as far as Redis has it; its readers are told.

        ``None`` where Redis has nothing of it, or is away. Raises ``Alive``.
        """
        key = self._keys.run(run_id)
        try:
            async with self._link.line() as line:
                if (found := await load(line, key)) is None:
                    return None
                last = newest(*found)
                if last.message.ended:
                    return last
                entry = (f"{last.seq + 1}-0", event_json(ending), self._limits.keep)
                added = await line.call("EVAL", BURY, 1, key, *entry)
        except ResponseError as error:
            if taken(error):
                raise Alive from None
            logger.warning("run %s cannot be ended in Redis: %s", run_id, error)
            return None
        except (*TROUBLE, ValueError) as error:
            logger.info("run %s cannot be ended in Redis: %s", run_id, error)
            return None
        return Snapshot(last.seq + 1, fold(last.message, ending)) if added else None

    def _supersede(self, whole: Snapshot) -> None:
        run_id = whole.message.id
        self._superseded.add(run_id)
        self._local.restore(Snapshot(max(whole.seq, self._local.reached(run_id)[0] + 1), whole.message))
        self.on_superseded(run_id)
