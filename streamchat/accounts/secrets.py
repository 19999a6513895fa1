"""Secrets that the program makes itself: session tokens, API keys, invitations. Pure.

Rules: 256 random bits each, so a plain SHA-256 is what is stored; the prefix says what a leaked one is, to people and
to programs that look for leaks.
"""

from __future__ import annotations

import hashlib
from secrets import token_urlsafe

SESSION, KEY, INVITATION, CEREMONY = "scs_", "sck_", "sci_", "scc_"
HINT_LENGTH = 9
_LONGEST = 200


def new_secret(prefix: str) -> str:
    """Return a new secret of this kind, in letters that a URL and a cookie can hold."""
    return prefix + token_urlsafe(32)


def hash_of(secret: str) -> str:
    """Return what is stored of a secret; of one that is far too long, a hash that nothing has."""
    return hashlib.sha256(secret[:_LONGEST].encode("utf-8", "surrogatepass")).hexdigest()


def hint_of(secret: str) -> str:
    """Return the beginning of a key, to recognise it by in a list."""
    return secret[:HINT_LENGTH]
