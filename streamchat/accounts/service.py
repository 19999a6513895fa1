"""What people do with accounts: sign up, sign in, sign out, invite, and manage what they are recognised by.

Knows names, passwords and rules; the rows are the store's. Rules:

* A sign-in that fails says the same, and takes as long, whatever was wrong. It is counted per name and per address.
* A session gets a new token at each sign-in, so a token that somebody planted in a browser is worth nothing.
* Whatever ends a session, a key or an account is announced to every worker at once.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from streamchat.accounts.audit import Audit
from streamchat.accounts.names import name_key, plain_password, read_name, read_password
from streamchat.accounts.passwords import Passwords, is_outdated
from streamchat.accounts.secrets import CEREMONY, INVITATION, KEY, SESSION, hash_of, hint_of, new_secret
from streamchat.accounts.sessions import Sessions, Ways
from streamchat.accounts.throttle import Throttle
from streamchat.errors import InvalidInput, NotFound, Unauthorized
from streamchat.identity import CHAT, FIRST_ACCOUNT, READ, Identity
from streamchat.limits import client_key
from streamchat.storage.accounts import Account, AccountStore, ApiKey, Invitation, NewAccount, Session
from streamchat.storage.tables import new_id, now

if TYPE_CHECKING:
    from streamchat.accounts.provider import Provider

SESSION_DAYS = 30
INVITATION_DAYS = 7
CEREMONY_MINUTES = 10
MAX_KEYS = 100
_WRONG = "This name and password do not fit."
_TOO_OFTEN = "Too many attempts. Wait a little, then try again."
_LONGEST_AGENT = 200


@dataclass(frozen=True, slots=True)
class Client:
    """From where somebody signs in: the address, and what the browser says it is."""

    address: str = ""
    agent: str = ""


class Accounts:
    """``open_to_all``: an account needs no invitation. ``password``: the only one, where there are no accounts."""

    def __init__(
        self,
        store: AccountStore,
        sessions: Sessions,
        ways: Ways,
        *,
        audit: Audit,
        open_to_all: bool,
        password: str | None = None,
    ) -> None:
        self.audit = audit
        self._store = store
        self._sessions = sessions
        self._open = open_to_all
        self._password = password
        self._passwords = Passwords()
        self._by_name = Throttle(6, 20, _TOO_OFTEN)
        self._by_address = Throttle(20, 3, _TOO_OFTEN)
        self._sign_ups = Throttle(30, 20, _TOO_OFTEN)
        self.ways = ways
        self.provider: Provider | None = None

    @property
    def store(self) -> AccountStore:
        """The rows."""
        return self._store

    @property
    def sessions(self) -> Sessions:
        """Recognises callers."""
        return self._sessions

    async def close(self) -> None:
        """Store when sessions and keys were used, and close the connections to the provider."""
        await self._sessions.flush()
        if self.provider is not None:
            await self.provider.close()

    # Coming in

    async def may_sign_up(self, invitation: str | None) -> bool:
        """Return whether somebody with this invitation, or with none, can make an account."""
        if not self.ways.accounts:
            return False
        if self._open or not await self._store.count():
            return True
        return bool(invitation) and await self._store.invitation(hash_of(invitation)) is not None

    async def sign_up(self, name: object, password: object, invitation: str | None, client: Client) -> Account:
        """Create an account; the first one is an admin. Raises ``InvalidInput``, ``NotFound``, ``TooManyRequests``."""
        name, password = read_name(name), read_password(password)
        self._sign_ups.take(client_key(client.address))
        if not await self.may_sign_up(invitation):
            raise NotFound("An account needs an invitation here.")
        hashed = await self._passwords.hash(password)
        return await self._create(NewAccount(name, name_key(name), FIRST_ACCOUNT, hashed), invitation, client.address)

    async def sign_up_as(self, name: str, identity: tuple[str, str], invitation: str | None) -> Account:
        """Create an account without a password for somebody who is known elsewhere. Raises as ``sign_up`` does."""
        name = read_name(name)
        new = NewAccount(name, name_key(name), FIRST_ACCOUNT, identity=identity)
        return await self._create(new, invitation)

    async def _create(self, new: NewAccount, invitation: str | None, address: str = "") -> Account:
        invited_by = hash_of(invitation) if invitation else None
        account = await self._store.create(new, invited_by=invited_by, open_to_all=self._open)
        await self.audit.record("sign-up", account.id, account.id, address=address, role=account.role)
        return account

    def count_attempt(self, client: Client) -> None:
        """Count one step of a sign-in that names nobody. Raises ``TooManyRequests``."""
        self._sign_ups.take(client_key(client.address))

    async def sign_in(self, name: object, password: object, client: Client) -> Account:
        """Return the account of this name and password. Raises ``Unauthorized``, ``TooManyRequests``."""
        name = name_key(name) if isinstance(name, str) else ""
        address = client_key(client.address)
        self._by_address.take(address)
        self._by_name.take(name)
        account = await self._checked(name, plain_password(password))
        if account is None:
            known = await self._store.by_name(name)
            await self.sign_in_failed("password", client, known.id if known else None)
            raise Unauthorized(_WRONG)
        self._by_address.give_back(address)
        self._by_name.give_back(name)
        return account

    async def sign_in_failed(self, method: str, client: Client, account_id: str | None = None) -> None:
        """Record that somebody did not come in. ``account_id``: of the account that was named, if there is one."""
        await self.audit.record("sign-in-failed", None, account_id, address=client.address, method=method)

    async def _checked(self, name: str, password: str) -> Account | None:
        if self._password is not None:
            is_right = hmac.compare_digest(self._password.encode(), password.encode("utf-8", "surrogatepass"))
            return await self._only_account() if is_right else None
        account = await self._store.by_name(name)
        stored = account.password_hash if account is not None else None
        if not await self._passwords.check(stored, password) or account is None or account.disabled:
            return None
        if stored is not None and is_outdated(stored):
            await self._store.change(account.id, password_hash=await self._passwords.hash(password))
        return account

    async def _only_account(self) -> Account:
        try:
            return await self._store.by_id(FIRST_ACCOUNT)
        except NotFound:
            new = NewAccount("You", name_key("You"), FIRST_ACCOUNT)
            return await self._store.create(new, invited_by=None, open_to_all=True)

    async def open_session(
        self, account: Account, method: Literal["password", "passkey", "provider"], client: Client
    ) -> str:
        """Begin a session and return its token, which is stored nowhere."""
        token, at = new_secret(SESSION), now()
        how = f"{method}:{self.ways.password}" if self.ways.password else method
        until = at + timedelta(days=SESSION_DAYS)
        agent = client.agent[:_LONGEST_AGENT]
        session = Session(new_id(), account.id, how, client.address, agent, at, at, until)
        await self._store.add_session(hash_of(token), session)
        await self.audit.record("sign-in", account.id, account.id, address=client.address, method=method)
        return token

    # What an account has

    async def end_session(self, identity: Identity, session_id: str) -> None:
        """End one of one's own sessions. Raises ``NotFound``."""
        await self._store.remove_session(identity.owner, session_id)
        self._sessions.revoked(identity.owner)
        await self.audit.record("sign-out", identity.owner, identity.owner, id=session_id)

    async def change_password(self, identity: Identity, old: object, new: object) -> None:
        """Set another password and end all other sessions. Raises ``Unauthorized`` if the old one is wrong."""
        account = await self._store.by_id(identity.owner)
        password = read_password(new)
        self._by_name.take(account.id)
        if account.password_hash is not None:
            if not await self._passwords.check(account.password_hash, plain_password(old)):
                raise Unauthorized("The old password is wrong.")
        self._by_name.give_back(account.id)
        await self._store.change(account.id, password_hash=await self._passwords.hash(password))
        await self._store.remove_sessions(account.id, but=identity.credential)
        self._sessions.revoked(account.id)
        await self.audit.record("password-changed", account.id, account.id)

    async def create_key(
        self, identity: Identity, name: str, scopes: Iterable[str], per_minute: int | None, days: int | None
    ) -> tuple[str, ApiKey]:
        """Create an API key; the secret is returned here and never again. Raises ``InvalidInput``."""
        if len(await self._store.keys(identity.owner)) >= MAX_KEYS:
            raise InvalidInput(f"{MAX_KEYS} keys are enough. Revoke one first.")
        wanted = tuple(sorted(set(scopes)))
        if not wanted or not set(wanted) <= {READ, CHAT}:
            raise InvalidInput(f"A key has the scope {READ!r}, {CHAT!r} or both.")
        secret, at = new_secret(KEY), now()
        until = None if days is None else at + timedelta(days=days)
        key = ApiKey(new_id(), identity.owner, name, hint_of(secret), wanted, per_minute, at, None, until)
        await self._store.add_key(hash_of(secret), key)
        scope = " ".join(wanted)
        await self.audit.record("key-created", key.account_id, key.account_id, id=key.id, scopes=scope, days=days)
        return secret, key

    async def revoke_key(self, identity: Identity, key_id: str) -> None:
        """Revoke one of one's own keys. Raises ``NotFound``."""
        await self._store.remove_key(identity.owner, key_id)
        self._sessions.revoked(identity.owner)
        await self.audit.record("key-revoked", identity.owner, identity.owner, id=key_id)

    # What admins do

    async def invite(self, identity: Identity, role: Literal["admin", "user"]) -> tuple[str, Invitation]:
        """Create an invitation; its secret is returned here and never again."""
        secret, at = new_secret(INVITATION), now()
        invitation = Invitation(new_id(), role, at, at + timedelta(days=INVITATION_DAYS))
        await self._store.add_invitation(hash_of(secret), identity.owner, invitation)
        await self.audit.record("invited", identity.owner, id=invitation.id, role=role)
        return secret, invitation

    async def withdraw(self, identity: Identity, invitation_id: str) -> None:
        """Withdraw one of one's own invitations. Raises ``NotFound``."""
        await self._store.remove_invitation(identity.owner, invitation_id)
        await self.audit.record("invitation-withdrawn", identity.owner, id=invitation_id)

    async def remove_passkey(self, identity: Identity, passkey_id: str) -> None:
        """Remove one of one's own passkeys. Raises ``NotFound``."""
        await self._store.remove_passkey(identity.owner, passkey_id)
        await self.audit.record("passkey-removed", identity.owner, identity.owner, id=passkey_id)

    async def change_account(
        self, identity: Identity, account_id: str, *, role: str | None = None, disabled: bool | None = None
    ) -> None:
        """Give somebody another role, or keep them out. Raises ``NotFound``, ``Conflict`` for the last admin."""
        values: dict[str, Any] = {} if role is None else {"role": role}
        if disabled is not None:
            values["disabled_at"] = now() if disabled else None
        if values:
            await self._store.change(account_id, **values)
            self._sessions.revoked(account_id)
            await self.audit.record("account-changed", identity.owner, account_id, role=role, disabled=disabled)

    async def close_account(self, account_id: str, name: str) -> None:
        """Keep somebody out before everything of them is deleted: no session and no key counts any more.

        ``name``: of the account, typed once more as the confirmation. Raises ``InvalidInput`` for another name,
        ``NotFound``, and ``Conflict`` for the last admin.
        """
        account = await self._store.by_id(account_id)
        if name_key(name) != name_key(account.name):
            raise InvalidInput("To delete an account, repeat its name.")
        await self._store.change(account_id, disabled_at=now())
        self._sessions.revoked(account_id)

    # Sign-ins of two steps

    async def begin_ceremony(self, data: Mapping[str, Any]) -> str:
        """Keep what the second step is checked by, and return the secret that the browser keeps meanwhile."""
        secret = new_secret(CEREMONY)
        until: datetime = now() + timedelta(minutes=CEREMONY_MINUTES)
        await self._store.begin_ceremony(hash_of(secret), data, until)
        return secret

    async def take_ceremony(self, secret: str | None, kind: str) -> dict[str, Any]:
        """Return what was kept, once. Raises ``Unauthorized``."""
        data = await self._store.take_ceremony(hash_of(secret)) if secret else None
        if data is None or data.get("kind") != kind:
            raise Unauthorized("This sign-in took too long, or was begun elsewhere. Begin again.")
        return data


def fingerprint(password: str) -> str:
    """Return by what sessions know with which password they began; slow to guess a password by."""
    return hashlib.scrypt(password.encode(), salt=b"streamchat password", n=2**14, r=8, p=1, dklen=16).hex()
