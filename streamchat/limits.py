"""Limits of use per key, such as an owner or a client address: how many at the same time, and how many a minute.

Knows neither HTTP nor Reflex: the edges ask before they start something, and answer a refusal in their own shape.
Rules:

* A slot is taken before the work starts, never after: of simultaneous requests only as many pass as there are slots.
* An address stands for one customer: of IPv6 the first 64 bits count. All unknown addresses are one.
* Counts are those of this process.
"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from ipaddress import IPv6Address, IPv6Network, ip_address

from streamchat.errors import StreamchatError


def client_key(address: str) -> str:
    """Return the part of an address that counts: an IPv4 address, an IPv6 network of 64 bits, or the text itself."""
    try:
        parsed = ip_address(address.strip().strip("[]").partition("%")[0])
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(parsed) if parsed.is_loopback else str(IPv6Network((parsed, 64), strict=False))


class Slot:
    """A slot that was taken. Release it once the work has ended; releasing it again does nothing."""

    def __init__(self, release: Callable[[], None] = lambda: None) -> None:
        self._release: Callable[[], None] | None = release

    def release(self) -> None:
        """Give the slot back."""
        release, self._release = self._release, None
        if release is not None:
            release()

    def __enter__(self) -> Slot:
        """Return the slot, which is released at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class Slots:
    """Counts how many slots each key has at the same time."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()

    def taken(self, key: str) -> int:
        """Return how many slots the key has."""
        return self._taken.get(key, 0)

    def take(
        self, limits: Iterable[tuple[str, int]], refusal: Callable[[int], StreamchatError], count: int = 1
    ) -> Slot:
        """Take ``count`` slots for each key, or none. ``limits``: keys with the greatest number that each may have.

        Raises ``refusal(limit)`` if a key has no slot left.
        """
        keys = []
        for key, limit in limits:
            if self.taken(key) + count > limit:
                raise refusal(limit)
            keys += [key] * count
        self._taken.update(keys)

        def release() -> None:
            self._taken.subtract(keys)
            for key in keys:
                if not self._taken[key]:
                    del self._taken[key]

        return Slot(release)


class Buckets:
    """Token buckets, one per key: ``burst`` events at once, then one ``every`` so many seconds.

    The whole state of a bucket is the time at which it is full again; then it is forgotten. The number of keys is
    bounded: the ones that were quiet longest go first.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, max_keys: int = 100_000) -> None:
        self._clock = clock
        self._max_keys = max_keys
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def wait(self, key: str, every: float, burst: float) -> float:
        """Return the seconds until the next event of this key is due; 0 if it is due already."""
        now = self._clock()
        wait = self._full_at.get(key, now) - now - (burst - 1) * every
        return wait if wait > 1e-6 else 0.0

    def take(self, key: str, every: float) -> None:
        """Count one event, due or not."""
        now = self._clock()
        self._full_at[key] = max(self._full_at.get(key, now), now) + every
        self._full_at.move_to_end(key)
        while len(self._full_at) > self._max_keys or next(iter(self._full_at.values())) <= now:
            self._full_at.popitem(last=False)

    def give_back(self, key: str, every: float) -> None:
        """Take back one event."""
        if key in self._full_at:
            self._full_at[key] -= every


class Rate:
    """Events a minute per key. A bucket holds what a minute allows, and fills up evenly."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._buckets = Buckets(now)

    def take(
        self, limits: Iterable[tuple[str, int]], refusal: Callable[[int, float], StreamchatError], count: int = 1
    ) -> None:
        """Count ``count`` events for each key, or none. ``limits``: keys with the events a minute that each may have.

        Raises ``refusal(limit, seconds until the next event)`` if a bucket is empty.
        """
        limits = list(limits)
        for key, limit in limits:
            if wait := self._buckets.wait(key, 60 / limit, limit - count + 1):
                raise refusal(limit, wait)
        for key, limit in limits * count:
            self._buckets.take(key, 60 / limit)
