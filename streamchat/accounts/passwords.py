"""Hashes of passwords: argon2id, in threads, a bounded number at a time.

Knows nothing of accounts. Rules:

* A name that does not exist costs as much as one that does: the caller checks against ``None``.
* A flood of sign-ins takes two threads and 2 × 64 MiB, and no turn of the event loop.
"""

from __future__ import annotations

import asyncio
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argon2 import PasswordHasher

AT_ONCE = 2


class Passwords:
    """Makes and checks hashes."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def hash(self, password: str) -> str:
        """Return the argon2id hash of a password."""
        async with self._turns:
            return await asyncio.to_thread(_hasher().hash, password)

    async def check(self, stored: str | None, password: str) -> bool:
        """Return whether the password has this hash; ``None``: of somebody who has no password, or does not exist."""
        async with self._turns:
            return await asyncio.to_thread(_check, stored, password)


def is_outdated(stored: str) -> bool:
    """Return whether a hash was made with other parameters than one of today."""
    return _hasher().check_needs_rehash(stored)


@cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher()  # RFC 9106, the profile for little memory: 64 MiB, three passes, about 0.1 s of CPU


@cache
def _nobody() -> str:
    return _hasher().hash("nobody's password")


def _check(stored: str | None, password: str) -> bool:
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        return _hasher().verify(stored or _nobody(), password) and stored is not None
    except (VerificationError, InvalidHashError):
        return False
