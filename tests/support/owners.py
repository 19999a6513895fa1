"""Two people on one server, before there are accounts: a header says who asks, as a test's ``identify``."""

from __future__ import annotations

from streamchat.errors import StreamchatError
from streamchat.identity import Credentials, Identity

HEADER = "x-test-owner"
A, B = {HEADER: "anna"}, {HEADER: "bert"}


async def identify_by_header(credentials: Credentials) -> Identity:
    """Whoever the header names. Raises ``StreamchatError`` without it: no entrance may ask for nobody."""
    if not (owner := credentials.headers.get(HEADER)):
        raise StreamchatError("Nobody is asking.")
    return Identity(owner, owner.title(), "test header")
