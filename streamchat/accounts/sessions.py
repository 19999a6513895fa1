"""What was shown becomes an identity: sessions in cookies, API keys in headers, people whom a trusted proxy names.

Knows the store of accounts and the ways that the settings allow. Rules:

* A credential is looked up once, then known for ``KNOWN_SECONDS``; when it is revoked it is forgotten at once, in every
  worker (``forget``). So a request costs a hash and a look into a table in memory.
* What says that it is a key is one or nothing: a wrong key is never passed over for a cookie beside it.
* Of a proxy's header the edge has made sure that a trusted proxy sent it.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import OrderedDict, defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

from streamchat.accounts.secrets import KEY, SESSION, hash_of
from streamchat.accounts.throttle import Throttle
from streamchat.errors import StorageError, Unauthorized
from streamchat.identity import EVERYTHING, FIRST_ACCOUNT, Credentials, Identity, Role, Scope
from streamchat.storage.accounts import Account, AccountStore, Conflict, NewAccount

COOKIE = "streamchat-session"
KNOWN_SECONDS = 60.0
MAX_KNOWN = 20_000
FLUSH_SECONDS = 30.0
PROXY = "proxy"
_ENDED = "Sign in again: this session has ended."
_PERSON = re.compile(r"[^\s,;\x00-\x1f\x7f]{1,200}")


@dataclass(frozen=True, slots=True)
class Ways:
    """The ways to come in. ``password``: the fingerprint of the one password there is; ``header``: in lower case."""

    password: str | None = None
    header: str | None = None

    @property
    def accounts(self) -> bool:
        """Whether people have accounts of their own."""
        return self.password is None and self.header is None


class Sessions:
    """Recognises callers. ``announce`` tells the other workers that something of this account was revoked."""

    def __init__(self, store: AccountStore, ways: Ways, announce: Callable[[str], None]) -> None:
        self._store = store
        self._ways = ways
        self._announce = announce
        self._known: OrderedDict[str, tuple[Identity, float]] = OrderedDict()
        self._watchers: defaultdict[str, set[Callable[[], None]]] = defaultdict(set)
        self._used: dict[str, dict[str, datetime]] = {"session": {}, "key": {}}
        self._generation = 0
        self._requests = Throttle(1, 1, "This key has made as many requests as it may. Try again later.")

    async def identify(self, credentials: Credentials) -> Identity:
        """Return who shows this. Raises ``Unauthorized``, ``StorageError``."""
        identity = await self._recognise(credentials)
        if identity.shown in self._used:
            self._used[identity.shown][identity.credential] = datetime.now(UTC)
        return identity

    async def _recognise(self, credentials: Credentials) -> Identity:
        if (key := key_of(credentials)) is not None:
            return await self._look_up(key, self._of_key)
        if self._ways.header is not None:
            return await self._look_up(f"\0{credentials.headers.get(self._ways.header, '')}", self._of_header)
        if token := credentials.cookies.get(COOKIE):
            return await self._look_up(token, self._of_session)
        raise Unauthorized

    async def _look_up(self, secret: str, find: Callable[[str], Awaitable[Identity]]) -> Identity:
        hashed = hash_of(secret)
        known = self._known.get(hashed)
        if known is not None and known[1] > time.monotonic():
            return known[0]
        generation = self._generation
        identity = await find(secret)
        if generation != self._generation:  # something was revoked meanwhile, maybe this
            return identity
        self._known[hashed] = identity, time.monotonic() + KNOWN_SECONDS
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
        return identity

    async def _of_key(self, secret: str) -> Identity:
        row = await self._store.key(hash_of(secret)) if secret.startswith(KEY) else None
        if row is None or (self._ways.password is not None and row[1].id != FIRST_ACCOUNT):
            raise Unauthorized("This API key is unknown, was revoked or has expired.")
        key, account = row
        scopes = frozenset(cast("tuple[Scope, ...]", key.scopes))
        return Identity(account.id, account.name, "key", cast("Role", account.role), scopes, key.id, key.per_minute)

    async def _of_session(self, secret: str) -> Identity:
        row = await self._store.session(hash_of(secret)) if secret.startswith(SESSION) else None
        if row is None:
            raise Unauthorized(_ENDED)
        session, account = row
        # Sessions of another way to come in, or of a password that was changed since, do not count.
        if session.method.partition(":")[2] != (self._ways.password or ""):
            raise Unauthorized(_ENDED)
        return Identity(account.id, account.name, "session", cast("Role", account.role), EVERYTHING, session.id)

    async def _of_header(self, value: str) -> Identity:
        name = value.removeprefix("\0")
        if not _PERSON.fullmatch(name):
            raise Unauthorized("The proxy in front of this server did not say who is asking.")
        account = await self._store.by_identity(PROXY, name) or await self._welcome(name)
        if account.disabled:
            raise Unauthorized("This account is disabled.")
        return Identity(account.id, account.name, "proxy", cast("Role", account.role), EVERYTHING)

    async def _welcome(self, name: str) -> Account:
        # A name key that no name has: these people are told apart by what the proxy says, to the letter.
        new = NewAccount(name, f"{PROXY}:{name}", FIRST_ACCOUNT, identity=(PROXY, name))
        try:
            return await self._store.create(new, invited_by=None, open_to_all=True)
        except (Conflict, StorageError):  # two requests of somebody new, or a name that an account has
            if (account := await self._store.by_identity(PROXY, name)) is None:
                raise
            return account

    def count(self, identity: Identity) -> None:
        """Count one request of a key that is limited. Raises ``TooManyRequests``."""
        if identity.per_minute is not None:
            limit = identity.per_minute
            self._requests.take(identity.credential, burst=limit, seconds=60 / limit)

    def watch(self, owner: str, changed: Callable[[], None]) -> Callable[[], None]:
        """Call ``changed`` whenever something of this owner was revoked, and return what ends that."""
        self._watchers[owner].add(changed)

        def unwatch() -> None:
            watchers = self._watchers.get(owner, set())
            watchers.discard(changed)
            if not watchers:
                self._watchers.pop(owner, None)

        return unwatch

    def revoked(self, owner: str) -> None:
        """Something of this account was revoked here: forget it, everywhere."""
        self.forget(owner)
        self._announce(owner)

    def forget(self, owner: str | None) -> None:
        """Look everything of this account up again; ``None``: of all accounts."""
        self._generation += 1
        stale = [hashed for hashed, (identity, _) in self._known.items() if owner in (None, identity.owner)]
        for hashed in stale:
            del self._known[hashed]
        for name in list(self._watchers) if owner is None else [owner]:
            for changed in list(self._watchers.get(name, ())):
                changed()

    async def work(self) -> None:
        """Store from time to time when sessions and keys were used, for ever."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Store when sessions and keys were used since the last call."""
        sessions, keys = self._used["session"], self._used["key"]
        self._used = {"session": {}, "key": {}}
        if sessions or keys:
            try:
                await self._store.used(sessions, keys)
            except StorageError:
                pass  # the next use is stored


def key_of(credentials: Credentials) -> str | None:
    """Return the API key that was shown, as OpenAI's and gRPC's clients show it or as Anthropic's do."""
    authorization = credentials.headers.get("authorization")
    if authorization is not None:
        kind, _, value = authorization.partition(" ")
        return value.strip() if kind.lower() == "bearer" else ""
    return credentials.headers.get("x-api-key")
