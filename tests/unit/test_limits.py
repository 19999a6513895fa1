"""Limits: what counts as one client, slots that are taken before the work, and rates."""

from __future__ import annotations

import pytest

from streamchat.errors import TooManyRequests
from streamchat.limits import Buckets, Rate, Slot, Slots, client_key


def refuse(limit: int, wait: float = 5.0) -> TooManyRequests:
    return TooManyRequests(f"{limit}", wait)


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::9]", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::1", "::1"),
        ("", ""),
        ("/run/app.sock", "/run/app.sock"),
    ],
)
def test_a_client_is_an_address_or_a_network_of_64_bits(address: str, key: str) -> None:
    """Of IPv6 one customer has a network: its single addresses would be no limit."""
    assert client_key(address) == key


def test_places_are_taken_for_all_keys_or_none() -> None:
    """A refusal leaves nothing taken, whichever key it was for; a slot is given back once."""
    slots = Slots()
    one = slots.take([("a", 2), ("b", 1)], refuse)
    with pytest.raises(TooManyRequests, match="1"):
        slots.take([("a", 2), ("b", 1)], refuse)
    assert (slots.taken("a"), slots.taken("b")) == (1, 1)
    one.release()
    one.release()
    assert (slots.taken("a"), slots.taken("b")) == (0, 0)
    with pytest.raises(ZeroDivisionError), slots.take([("a", 1)], refuse):
        raise ZeroDivisionError
    assert slots.taken("a") == 0
    Slot().release()


def test_several_at_once_are_taken_or_none_is() -> None:
    """Of slots and of a rate: what is refused as a whole leaves room for fewer."""
    slots, rate = Slots(), Rate(lambda: 1000.0)
    taken = slots.take([("a", 3)], refuse, 2)
    with pytest.raises(TooManyRequests):
        slots.take([("b", 9), ("a", 3)], refuse, 2)
    assert (slots.taken("a"), slots.taken("b")) == (2, 0)
    taken.release()
    assert slots.taken("a") == 0
    rate.take([("a", 6)], refuse, 4)
    with pytest.raises(TooManyRequests) as caught:
        rate.take([("b", 9), ("a", 6)], refuse, 3)
    assert caught.value.retry_after == pytest.approx(10)
    rate.take([("b", 9), ("a", 6)], refuse, 2)
    rate.take([("b", 9)], refuse, 7)


def test_a_rate_allows_a_minutes_worth_at_once_and_then_an_even_flow() -> None:
    """The refusal says when the next one is taken, and nothing was counted for any key."""
    now = 1000.0
    rate = Rate(lambda: now)
    for _ in range(6):
        rate.take([("a", 6), ("b", 100)], refuse)
    with pytest.raises(TooManyRequests) as caught:
        rate.take([("b", 100), ("a", 6)], refuse)
    assert caught.value.retry_after == pytest.approx(10)
    for _ in range(94):
        rate.take([("b", 100)], refuse)
    with pytest.raises(TooManyRequests):
        rate.take([("b", 100)], refuse)
    now += 10
    rate.take([("a", 6)], refuse)
    with pytest.raises(TooManyRequests):
        rate.take([("a", 6)], refuse)
    now += 60
    for _ in range(6):
        rate.take([("a", 6)], refuse)


def test_keys_that_are_full_again_are_forgotten() -> None:
    """However many addresses come by, the memory is that of a minute."""
    now = 0.0
    rate = Rate(lambda: now)
    for number in range(10_000):
        rate.take([(str(number), 60)], refuse)
    assert len(rate._buckets._full_at) == 10_000
    now += 120
    rate.take([("x", 60)], refuse)
    assert len(rate._buckets._full_at) == 1


def test_the_number_of_keys_is_bounded() -> None:
    """Whoever comes from more addresses than are kept makes the ones be forgotten that were quiet longest."""
    buckets = Buckets(lambda: 0.0, max_keys=3)
    for key in ("a", "b", "c", "a", "d"):
        buckets.take(key, 1.0)
    assert list(buckets._full_at) == ["c", "a", "d"]
    assert [buckets.wait(key, 1.0, 1) for key in "bcad"] == [0.0, 1.0, 2.0, 1.0]
