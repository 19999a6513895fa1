"""A run as a Redis stream: keys, entry ids, what is in an entry, and how all of it is read.

Rules:

* Entry ``n`` of a run has the id ``n-0``, so Redis itself refuses a number that is taken or comes late.
* The whole message after entry ``n`` has the id ``n-1``. A stream begins with one (``0-1`` where nothing was left out).
* The form is the private one: what a provider wants back unread is in it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii

from streamchat.chat.events import Event, Notice, TextDelta
from streamchat.chat.fold import fold
from streamchat.chat.messages import Message
from streamchat.chat.wire import event_from_wire, event_to_wire, message_from_wire, message_to_wire
from streamchat.runs.log import Entry, Snapshot
from streamchat.runs.redis_link import Line

EVENT, MESSAGE = b"e", b"m"
_DELTA = b'{"type":"text-delta","text":'
_AT_ONCE = 1000
# The last entry of a run by another hand than its writer's: from then on Redis takes no number at all. KEYS: the
# stream; ARGV: id and event of the entry, and how many seconds the stream is kept.
BURY = """
local added = redis.call('XADD', KEYS[1], 'NOMKSTREAM', ARGV[1], 'e', ARGV[2])
if added then
    redis.call('XSETID', KEYS[1], '18446744073709551615-18446744073709551615')
    redis.call('EXPIRE', KEYS[1], ARGV[3])
end
return added
"""
# Of a worker with a newer version: it has a number, so it cannot be left out.
_UNKNOWN = Notice("newer-version", "A part of this answer can only be shown by a newer version of streamchat.")


@dataclass(frozen=True, slots=True)
class Keys:
    """The names of what is in Redis. Everything begins with ``prefix``."""

    prefix: str = "streamchat"

    def run(self, run_id: str) -> str:
        return f"{self.prefix}:run:{run_id}"

    @property
    def feed(self) -> str:
        return f"{self.prefix}:feed"

    @property
    def stop(self) -> str:
        return f"{self.prefix}:stop"


def place(entry_id: bytes) -> tuple[int, bool]:
    """The number in an entry's id, and whether it is a whole message."""
    number, _, kind = entry_id.partition(b"-")
    return int(number), kind == b"1"


def taken(reply: Exception) -> bool:
    """Whether this is how Redis refuses an entry because its number, or every number, is taken."""
    return "equal or smaller" in str(reply) or "exhausted" in str(reply)


def event_json(event: Event) -> str:
    if type(event) is TextDelta:  # nearly every event is one, and this takes 0.2 µs instead of 4
        return f"{_DELTA.decode()}{encode_basestring_ascii(event.text)}}}"
    return json.dumps(event_to_wire(event, public=False), separators=(",", ":"))


def _text_delta(value: bytes) -> TextDelta | None:
    """The other way, as fast; ``None`` for anything else."""
    if value.startswith(_DELTA):
        with suppress(ValueError):
            return TextDelta(json.loads(value[len(_DELTA) : -1]))
    return None


def message_json(message: Message) -> str:
    return json.dumps(message_to_wire(message, public=False), separators=(",", ":"))


def decode(entry_id: bytes, fields: Sequence[bytes]) -> Entry | Snapshot:
    """What an entry of a stream says. Raises ``ValueError`` for one that is not ours."""
    number, whole = place(entry_id)
    values = dict(zip(fields[::2], fields[1::2], strict=True))
    try:
        if not whole and (delta := _text_delta(values[EVENT])):
            return Entry(number, delta)
        data = json.loads(values[MESSAGE if whole else EVENT])
    except KeyError:
        raise ValueError("an entry without its field") from None
    if whole:
        return Snapshot(number, message_from_wire(data))
    try:
        return Entry(number, event_from_wire(data))
    except ValueError:
        return Entry(number, _UNKNOWN)


async def load(line: Line, key: str) -> tuple[Snapshot, list[Entry]] | None:
    """Where a stream begins and what follows; ``None`` where there is none. Raises as ``Line``, and ``ValueError``."""
    start, entries, after = None, [], "-"
    while True:
        found = await line.call("XRANGE", key, after, "+", "COUNT", _AT_ONCE)
        for entry_id, fields in found:
            read = decode(entry_id, fields)
            if isinstance(read, Snapshot):
                if start is None or read.seq != (entries[-1].seq if entries else start.seq):
                    start, entries = read, []  # somebody went on with it who had more of it
            elif start is None or read.seq != (entries[-1].seq if entries else start.seq) + 1:
                raise ValueError(f"the stream {key} has a gap")
            else:
                entries.append(read)
        if len(found) < _AT_ONCE:
            return (start, entries) if start is not None else None
        after = f"({found[-1][0].decode()}"


def newest(start: Snapshot, entries: Sequence[Entry]) -> Snapshot:
    """The answer as the whole stream has it."""
    if not entries:
        return start
    return Snapshot(entries[-1].seq, fold(start.message, [entry.event for entry in entries]))
