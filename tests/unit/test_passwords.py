"""Hashes of passwords cost whoever guesses as much as RFC 9106 recommends."""

from __future__ import annotations

from argon2 import PasswordHasher, extract_parameters

from streamchat.accounts.passwords import Passwords, is_outdated


async def test_a_hash_has_the_recommended_cost() -> None:
    """64 MiB, three passes; it opens for its password only, and for nobody who does not exist."""
    passwords = Passwords()
    stored = await passwords.hash("correct horse battery")
    parameters = extract_parameters(stored)
    assert stored.startswith("$argon2id$")
    assert (parameters.memory_cost, parameters.time_cost) == (64 * 1024, 3)
    assert await passwords.check(stored, "correct horse battery")
    assert not await passwords.check(stored, "wrong horse battery")
    assert not await passwords.check(None, "nobody's password")


def test_a_cheaper_hash_is_outdated() -> None:
    """It is made anew at the next sign-in."""
    assert is_outdated(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("correct horse battery"))
