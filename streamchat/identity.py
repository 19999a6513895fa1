"""Authentication: maps the credentials of a request, socket or call to an ``Identity``, once, at the edge.

All layers below take the owner from it. Knows nothing of FastAPI, gRPC or Reflex: each edge passes the ``Credentials``
that it received. Rules:

* ``LOCAL_OWNER`` is used in this module only: without accounts, everybody who reaches the server is its one owner. With
  accounts it is the id of the first account, which so keeps the conversations from before.
* A caller is identified per request, socket or event, never per log entry.
* An identify function raises ``StreamchatError`` to refuse. It may be slow the first time, so it is awaited.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from streamchat.errors import NotAllowed

LOCAL_OWNER = "local"
FIRST_ACCOUNT = LOCAL_OWNER
"""The id of the first account. With one password for everybody it is the only one."""
Role: TypeAlias = Literal["admin", "user"]
Scope: TypeAlias = Literal["read", "chat", "account"]
READ: Scope = "read"
"""Look at conversations and answers."""
CHAT: Scope = "chat"
"""Start and stop answers, and decide about their tool calls."""
ACCOUNT: Scope = "account"
"""Manage sessions, keys and accounts: a person in a browser, never a key."""
EVERYTHING: frozenset[Scope] = frozenset((READ, CHAT, ACCOUNT))


@dataclass(frozen=True, slots=True)
class Identity:
    """An authenticated caller.

    ``owner``: identifier in rows, runs and notifications; ``name``: for display; ``shown``: the kind of credential by
    which it was recognised, for example ``"local"``, a session or a key; ``credential``: the id of that session or key;
    ``per_minute``: limit of requests, ``None`` for no limit.
    """

    owner: str
    name: str
    shown: str
    role: Role = "user"
    scopes: frozenset[Scope] = EVERYTHING
    credential: str = ""
    per_minute: int | None = None

    def require(self, scope: Scope) -> None:
        """Raise ``NotAllowed`` if the key that was shown is not for this."""
        if scope not in self.scopes:
            raise NotAllowed(f"This key may not do this: it has no scope {scope!r}.")

    def require_admin(self) -> None:
        """Raise ``NotAllowed`` for anybody but an admin in a browser."""
        self.require(ACCOUNT)
        if self.role != "admin":
            raise NotAllowed("Only an admin may do this.")


@dataclass(frozen=True, slots=True)
class Credentials:
    """The credentials that a client sent.

    ``headers``: names in lower case, gRPC metadata included; ``address``: the client's, as the edge sees it; empty if
    unknown.
    """

    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: Mapping[str, str] = field(default_factory=dict)
    address: str = ""


Identify: TypeAlias = Callable[[Credentials], Awaitable[Identity]]
LOCAL = Identity(LOCAL_OWNER, "You", "local", "admin")


async def identify_local(credentials: Credentials) -> Identity:
    """Return the only owner of a server without accounts."""
    return LOCAL
