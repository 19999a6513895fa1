"""A run as a Redis stream: keys, entry ids, the encoding of entries, and loading.

Rules:

* Entry ``n`` of a run has the id ``n-0``, so Redis itself refuses a seq that is taken or late.
* The whole message after entry ``n`` has the id ``n-1``. A stream begins with one (``0-1`` if it is complete).
* The epoch of the owner is in the high bits of ``n``. So from the first entry of a new owner on, Redis refuses
  everything from the former ones, whatever its seq. The seq goes on.
* The private wire form is used: it has the opaque data of providers.
* An event's time is the last field of its JSON. Part and offset are not sent: every replica computes them in its own
  fold, so they fit the message that this worker shows, even if it does not know an event of a newer version.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import count
from json.encoder import encode_basestring_ascii
from typing import NamedTuple
from zlib import crc32

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from streamchat.chat.events import Event, Notice, TextDelta
from streamchat.chat.fold import fold
from streamchat.chat.messages import Message
from streamchat.chat.wire import event_from_wire, event_to_wire, message_from_wire, message_to_wire
from streamchat.runs.log import Snapshot
from streamchat.runs.redis.connection import Line

EVENT, MESSAGE = b"e", b"m"
_DELTA = b'{"type":"text-delta","text":'
_AT = ',"at":'
_AT_ONCE = 1000
_EPOCH_BITS = 40
# Adds the whole message under a new epoch, unless the stream has more entries than the message. KEYS: the stream; ARGV:
# the id of the last entry in the message, and id, field and value of the new entry.
CLAIM = """
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
if not last[1] or last[1][1] ~= ARGV[1] then return false end
return redis.call('XADD', KEYS[1], ARGV[2], ARGV[3], ARGV[4])
"""
# For an event of a newer version: it has a seq, so it cannot be left out.
_UNKNOWN = Notice("newer-version", "A part of this answer can only be shown by a newer version of streamchat.")


class Stream(NamedTuple):
    """All of a run that Redis has: a snapshot and the entries after it. ``last_id``: that of the last entry."""

    start: Snapshot
    entries: list[StreamEntry]
    last_id: str


class StreamEntry(NamedTuple):
    """One event as Redis has it. ``at``: Unix seconds; ``None`` if the entry has none."""

    seq: int
    at: float | None
    event: Event


@dataclass(frozen=True, slots=True)
class Keys:
    """The names of keys and channels in Redis. All begin with ``prefix``.

    ``shards``: 1, or the number of parts into which the runs are divided in a cluster. All keys of a shard have the
    same hash tag, and so are on one node: one command may name several of them.
    """

    prefix: str = "streamchat"
    shards: int = 1

    def shard_of(self, run_id: str) -> int:
        """Return the number of a run's shard."""
        return crc32(run_id.encode()) % self.shards if self.shards > 1 else 0

    def shard(self, number: int) -> str:
        """Return the beginning of the keys of a shard's runs, which is on the same node as they are."""
        return f"{self.prefix}:run:{_tags(self.shards)[number]}" if self.shards > 1 else f"{self.prefix}:run:"

    def run(self, run_id: str) -> str:
        """Return the key of a run's stream."""
        return f"{self.shard(self.shard_of(run_id))}{run_id}"

    @property
    def feed(self) -> str:
        """The channel of notifications."""
        return f"{self.prefix}:feed"

    @property
    def stop(self) -> str:
        """The channel of stop requests."""
        return f"{self.prefix}:stop"


@cache
def _tags(shards: int) -> tuple[str, ...]:
    """Return a hash tag for each shard, evenly spread over the slots: a cluster gives its nodes neighbouring slots."""
    return tuple(
        next(f"{{{n}}}:" for n in count() if key_slot(b"%d" % n) * shards // REDIS_CLUSTER_HASH_SLOTS == shard)
        for shard in range(shards)
    )


def entry_id(epoch: int, seq: int, *, whole: bool = False) -> str:
    """Return the id of an entry, or of the whole message after it."""
    return f"{(epoch << _EPOCH_BITS) | seq}-{int(whole)}"


def parse_id(entry_id: bytes) -> tuple[int, int, bool]:
    """Return the epoch and the seq in an entry's id, and whether the entry is a whole message."""
    number, _, kind = entry_id.partition(b"-")
    epoch, seq = divmod(int(number), 1 << _EPOCH_BITS)
    return epoch, seq, kind == b"1"


def taken(reply: Exception) -> bool:
    """Return whether Redis refused an entry because its id, or every id, is taken."""
    return "equal or smaller" in str(reply) or "exhausted" in str(reply)


def event_json(event: Event) -> str:
    """Return an event as a JSON object."""
    if type(event) is TextDelta:  # nearly every event is one, and this takes 0.2 µs instead of 4
        return f"{_DELTA.decode()}{encode_basestring_ascii(event.text)}}}"
    return json.dumps(event_to_wire(event, public=False), separators=(",", ":"))


def entry_json(event: Event, at: float) -> str:
    """Return an event with its time (Unix seconds) as one JSON object."""
    return f"{event_json(event)[:-1]}{_AT}{at!r}}}"


def split_time(value: bytes) -> tuple[bytes, float | None]:
    """Return the JSON of an event, and its time if it has one."""
    # A quote inside a text is escaped: this is never part of one.
    event, separator, at = value.rpartition(_AT.encode())
    if separator:
        with suppress(ValueError):  # the end of a result that has a field of this name
            return event + b"}", float(at[:-1])
    return value, None


def _text_delta(value: bytes) -> TextDelta | None:
    """Decode a ``TextDelta``, as fast; ``None`` for anything else."""
    if value.startswith(_DELTA):
        with suppress(ValueError):
            return TextDelta(json.loads(value[len(_DELTA) : -1]))
    return None


def message_json(message: Message) -> str:
    """Return a message as a JSON object."""
    return json.dumps(message_to_wire(message, public=False), separators=(",", ":"))


def decode(entry_id: bytes, fields: Sequence[bytes]) -> StreamEntry | Snapshot:
    """Decode an entry of a stream. Raises ``ValueError`` for one that is not ours."""
    _, number, whole = parse_id(entry_id)
    values = dict(zip(fields[::2], fields[1::2], strict=True))
    try:
        value, at = (values[MESSAGE], None) if whole else split_time(values[EVENT])
    except KeyError:
        raise ValueError("an entry without its field") from None
    if whole:
        return Snapshot(number, message_from_wire(json.loads(value)))
    if delta := _text_delta(value):
        return StreamEntry(number, at, delta)
    data = json.loads(value)
    try:
        return StreamEntry(number, at, event_from_wire(data))
    except ValueError:
        return StreamEntry(number, at, _UNKNOWN)


async def load(line: Line, key: str) -> Stream | None:
    """Return what a stream has; ``None`` if there is none.

    Raises as ``Line``, and ``ValueError`` for a stream with a gap.
    """
    start, entries, after, last = None, [], "-", ""
    while True:
        entries_read = await line.call("XRANGE", key, after, "+", "COUNT", _AT_ONCE)
        for entry_id, fields in entries_read:
            read = decode(entry_id, fields)
            if isinstance(read, Snapshot):
                if start is None or read.seq != (entries[-1].seq if entries else start.seq):
                    start, entries = read, []  # another worker continued it, with more entries
            elif start is None or read.seq != (entries[-1].seq if entries else start.seq) + 1:
                raise ValueError(f"the stream {key} has a gap")
            else:
                entries.append(read)
        if entries_read:
            last = entries_read[-1][0].decode()
        if len(entries_read) < _AT_ONCE:
            return Stream(start, entries, last) if start is not None else None
        after = f"({last}"


def newest(stream: Stream) -> Snapshot:
    """Return the answer after the last entry."""
    start, entries, _ = stream
    if not entries:
        return start
    return Snapshot(entries[-1].seq, fold(start.message, [entry.event for entry in entries]))
