"""Accounts in the database: values in, values out, one transaction per call.

Knows the tables of ``account_tables``; knows no password, no token and no rule of who may what. Rules:

* Secrets come in as hashes only.
* A call on behalf of a person takes the account's id first, and reaches only what belongs to it.
* Raises only ``NotFound``, ``Conflict`` or ``StorageError``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Table, delete, func, insert, select, update

from streamchat.errors import InvalidInput, NotFound, StorageError
from streamchat.storage.account_tables import (
    AccountIdentityTable,
    AccountTable,
    ApiKeyTable,
    CeremonyTable,
    InvitationTable,
    PasskeyTable,
    SessionTable,
)
from streamchat.storage.engine import Database
from streamchat.storage.tables import new_id, now


def _table(model: Any) -> Table:
    return model.__table__


account = _table(AccountTable)
identity = _table(AccountIdentityTable)
session = _table(SessionTable)
api_key = _table(ApiKeyTable)
invitation = _table(InvitationTable)
passkey = _table(PasskeyTable)
ceremony = _table(CeremonyTable)


class Conflict(InvalidInput):
    """The name is taken, or the identity belongs to an account already."""


@dataclass(frozen=True, slots=True)
class Account:
    """One person. ``role``: ``"admin"`` or ``"user"``. ``password_hash``: ``None`` for somebody without one."""

    id: str
    name: str
    role: str
    password_hash: str | None
    disabled: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Session:
    """One session of a browser, without its token."""

    id: str
    account_id: str
    method: str
    address: str
    agent: str
    created_at: datetime
    used_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One API key, without its secret. ``per_minute``: requests."""

    id: str
    account_id: str
    name: str
    hint: str
    scopes: tuple[str, ...]
    per_minute: int | None
    created_at: datetime
    used_at: datetime | None
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Invitation:
    """One invitation that nobody has used, without its secret."""

    id: str
    role: str
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Passkey:
    """One passkey. ``id`` and ``public_key`` are base64url."""

    id: str
    account_id: str
    name: str
    public_key: str
    sign_count: int
    created_at: datetime
    used_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewAccount:
    """What an account begins with. ``first_id``: its id if it is the first one. ``identity``: issuer and subject."""

    name: str
    name_key: str
    first_id: str
    password_hash: str | None = None
    identity: tuple[str, str] | None = None


class AccountStore:
    """Accounts in a database that is open."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # Accounts

    async def count(self) -> int:
        """Return how many accounts there are."""

        def work(connection: Connection) -> int:
            return connection.execute(select(func.count()).select_from(account)).scalar_one()

        return await self._database.read(work)

    async def create(self, new: NewAccount, *, invited_by: str | None, open_to_all: bool) -> Account:
        """Create an account. The first one is an admin; a later one needs an invitation unless ``open_to_all``.

        ``invited_by``: the hash of an invitation, which is used up. Raises ``Conflict`` if the name is taken, and
        ``NotFound`` if an invitation is needed and this is none that counts.
        """

        def work(connection: Connection) -> Account:
            is_first = connection.execute(select(account.c.id).limit(1)).first() is None
            role = "admin" if is_first else "user"
            if invited_by is not None and not is_first:
                used = delete(invitation).where(invitation.c.token_hash == invited_by, invitation.c.expires_at > now())
                row = connection.execute(used.returning(invitation.c.role)).first()
                if row is None:
                    raise NotFound("This invitation was used, was withdrawn or has expired.")
                role = row.role
            elif not is_first and not open_to_all:
                raise NotFound("An account needs an invitation here.")
            taken = select(account.c.id).where(account.c.name_key == new.name_key)
            if connection.execute(taken).first() is not None:
                raise Conflict("This name is taken. Choose another one.")
            values = {
                "id": new.first_id if is_first else new_id(),
                "name": new.name,
                "name_key": new.name_key,
                "role": role,
                "password_hash": new.password_hash,
                "created_at": now(),
            }
            connection.execute(insert(account).values(values))
            if new.identity is not None:
                issuer, subject = new.identity
                linked = {"issuer": issuer, "subject": subject, "account_id": values["id"]}
                connection.execute(insert(identity).values(linked))
            return Account(values["id"], new.name, role, new.password_hash, False, values["created_at"])

        try:
            return await self._database.write(work)
        except StorageError as error:
            if error.reason != "conflict":
                raise
        # Another request was faster: it took the first id, the name or the identity.
        return await self._database.write(work)

    async def by_name(self, name_key: str) -> Account | None:
        """Return the account of this name."""
        return await self._account(account.c.name_key == name_key)

    async def by_id(self, account_id: str) -> Account:
        """Return an account. Raises ``NotFound``."""
        if (found := await self._account(account.c.id == account_id)) is None:
            raise NotFound("There is no such account.")
        return found

    async def by_identity(self, issuer: str, subject: str) -> Account | None:
        """Return the account that is ``subject`` at ``issuer``."""
        linked = select(identity.c.account_id).where(identity.c.issuer == issuer, identity.c.subject == subject)
        return await self._account(account.c.id == linked.scalar_subquery())

    async def accounts(self) -> list[Account]:
        """Return all accounts, oldest first."""

        def work(connection: Connection) -> list[Account]:
            rows = connection.execute(select(account).order_by(account.c.created_at, account.c.id))
            return [_account(row) for row in rows]

        return await self._database.read(work)

    async def change(self, account_id: str, **values: Any) -> None:
        """Change columns of an account. Raises ``NotFound``, and ``Conflict`` for what would leave no admin."""

        def work(connection: Connection) -> None:
            changed = update(account).where(account.c.id == account_id).values(values)
            if connection.execute(changed).rowcount == 0:
                raise NotFound("There is no such account.")
            _check_an_admin_stays(connection)

        await self._database.write(work)

    async def _account(self, condition: Any) -> Account | None:
        def work(connection: Connection) -> Account | None:
            row = connection.execute(select(account).where(condition)).first()
            return None if row is None else _account(row)

        return await self._database.read(work)

    # Sessions

    async def add_session(self, token_hash: str, new: Session) -> None:
        """Store a session, and forget those that have expired."""

        def work(connection: Connection) -> None:
            connection.execute(delete(session).where(session.c.expires_at < now()))
            connection.execute(insert(session).values(token_hash=token_hash, **_values(new)))

        await self._database.write(work)

    async def session(self, token_hash: str) -> tuple[Session, Account] | None:
        """Return the session of this token and its account, if it has not expired and the account is not disabled."""

        def work(connection: Connection) -> tuple[Session, Account] | None:
            row = connection.execute(_of_token(session, token_hash)).first()
            return None if row is None else (_session(row), _owner_of(connection, row))

        return await self._database.read(work)

    async def sessions(self, account_id: str) -> list[Session]:
        """Return the sessions of an account, the last one used first."""

        def work(connection: Connection) -> list[Session]:
            own = select(session).where(session.c.account_id == account_id, session.c.expires_at > now())
            return [_session(row) for row in connection.execute(own.order_by(session.c.used_at.desc()))]

        return await self._database.read(work)

    async def remove_session(self, account_id: str, session_id: str) -> None:
        """End a session. Raises ``NotFound``."""
        await self._remove(session, account_id, session_id, "There is no such session.")

    async def remove_sessions(self, account_id: str, *, but: str | None = None) -> None:
        """End all sessions of an account, but for one."""

        def work(connection: Connection) -> None:
            own = delete(session).where(session.c.account_id == account_id)
            connection.execute(own if but is None else own.where(session.c.id != but))

        await self._database.write(work)

    # Keys

    async def add_key(self, token_hash: str, new: ApiKey) -> None:
        """Store a key."""
        values = _values(new) | {"token_hash": token_hash, "scopes": list(new.scopes)}
        await self._insert(api_key, values)

    async def key(self, token_hash: str) -> tuple[ApiKey, Account] | None:
        """Return the key with this hash and its account, if it has not expired and the account is not disabled."""

        def work(connection: Connection) -> tuple[ApiKey, Account] | None:
            row = connection.execute(_of_token(api_key, token_hash)).first()
            return None if row is None else (_key(row), _owner_of(connection, row))

        return await self._database.read(work)

    async def keys(self, account_id: str) -> list[ApiKey]:
        """Return the keys of an account, newest first."""
        return [_key(row) for row in await self._of(api_key, account_id)]

    async def remove_key(self, account_id: str, key_id: str) -> None:
        """Revoke a key. Raises ``NotFound``."""
        await self._remove(api_key, account_id, key_id, "There is no such key.")

    async def used(self, sessions: Mapping[str, datetime], keys: Mapping[str, datetime]) -> None:
        """Store when sessions and keys, by their ids, were last used."""

        def work(connection: Connection) -> None:
            for table, times in ((session, sessions), (api_key, keys)):
                for row_id, at in sorted(times.items()):
                    connection.execute(update(table).where(table.c.id == row_id).values(used_at=at))

        await self._database.write(work)

    # Invitations

    async def add_invitation(self, token_hash: str, account_id: str, new: Invitation) -> None:
        """Store an invitation by this account."""
        await self._insert(invitation, {**_values(new), "token_hash": token_hash, "account_id": account_id})

    async def invitation(self, token_hash: str) -> Invitation | None:
        """Return the invitation with this hash, if it can still be used."""

        def work(connection: Connection) -> Invitation | None:
            row = connection.execute(_of_token(invitation, token_hash)).first()
            return None if row is None else _invitation(row)

        return await self._database.read(work)

    async def invitations(self, account_id: str) -> list[Invitation]:
        """Return the invitations of an account that nobody has used, newest first."""
        return [_invitation(row) for row in await self._of(invitation, account_id)]

    async def remove_invitation(self, account_id: str, invitation_id: str) -> None:
        """Withdraw an invitation. Raises ``NotFound``."""
        await self._remove(invitation, account_id, invitation_id, "There is no such invitation.")

    # Passkeys

    async def add_passkey(self, new: Passkey) -> None:
        """Store a passkey."""
        await self._insert(passkey, _values(new))

    async def passkey(self, passkey_id: str) -> tuple[Passkey, Account] | None:
        """Return a passkey and its account, if that is not disabled."""

        def work(connection: Connection) -> tuple[Passkey, Account] | None:
            query = select(passkey).join(account).where(passkey.c.id == passkey_id, account.c.disabled_at.is_(None))
            row = connection.execute(query).first()
            return None if row is None else (_passkey(row), _owner_of(connection, row))

        return await self._database.read(work)

    async def passkeys(self, account_id: str) -> list[Passkey]:
        """Return the passkeys of an account, newest first."""
        return [_passkey(row) for row in await self._of(passkey, account_id)]

    async def count_passkey(self, passkey_id: str, sign_count: int) -> None:
        """Store the counter of a passkey that was just used."""

        def work(connection: Connection) -> None:
            changed = update(passkey).where(passkey.c.id == passkey_id)
            connection.execute(changed.values(sign_count=sign_count, used_at=now()))

        await self._database.write(work)

    async def remove_passkey(self, account_id: str, passkey_id: str) -> None:
        """Remove a passkey. Raises ``NotFound``."""
        await self._remove(passkey, account_id, passkey_id, "There is no such passkey.")

    # Ceremonies

    async def begin_ceremony(self, token_hash: str, data: Mapping[str, Any], expires_at: datetime) -> None:
        """Store what the second step of a sign-in is checked by, and forget those that have expired."""

        def work(connection: Connection) -> None:
            connection.execute(delete(ceremony).where(ceremony.c.expires_at < now()))
            row = {"id": token_hash, "data": dict(data), "expires_at": expires_at}
            connection.execute(insert(ceremony).values(row))

        await self._database.write(work)

    async def take_ceremony(self, token_hash: str) -> dict[str, Any] | None:
        """Return the data of a ceremony that has not expired, once."""

        def work(connection: Connection) -> dict[str, Any] | None:
            taken = delete(ceremony).where(ceremony.c.id == token_hash, ceremony.c.expires_at > now())
            row = connection.execute(taken.returning(ceremony.c.data)).first()
            return None if row is None else row.data

        return await self._database.write(work)

    async def _insert(self, table: Table, values: Mapping[str, Any]) -> None:
        def work(connection: Connection) -> None:
            connection.execute(insert(table).values(dict(values)))

        try:
            await self._database.write(work)
        except StorageError as error:
            if error.reason == "conflict":
                raise Conflict("This is known already.") from None
            raise

    async def _of(self, table: Table, account_id: str) -> Sequence[Row]:
        def work(connection: Connection) -> Sequence[Row]:
            own = select(table).where(table.c.account_id == account_id)
            return connection.execute(own.order_by(table.c.created_at.desc(), table.c.id)).all()

        return await self._database.read(work)

    async def _remove(self, table: Table, account_id: str, row_id: str, missing: str) -> None:
        def work(connection: Connection) -> None:
            own = delete(table).where(table.c.id == row_id, table.c.account_id == account_id)
            if connection.execute(own).rowcount == 0:
                raise NotFound(missing)

        await self._database.write(work)


def _check_an_admin_stays(connection: Connection) -> None:
    active = select(account.c.id).where(account.c.role == "admin", account.c.disabled_at.is_(None)).limit(1)
    if connection.execute(active).first() is None:
        raise Conflict("This is the last admin. Make somebody else one first.")


def _of_token(table: Table, token_hash: str) -> Any:
    valid = table.c.expires_at.is_(None) | (table.c.expires_at > now())
    active = account.c.disabled_at.is_(None)
    return select(table).join(account).where(table.c.token_hash == token_hash, valid, active)


def _owner_of(connection: Connection, row: Row) -> Account:
    return _account(connection.execute(select(account).where(account.c.id == row.account_id)).one())


def _values(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__slots__}


def _account(row: Row) -> Account:
    return Account(row.id, row.name, row.role, row.password_hash, row.disabled_at is not None, row.created_at)


def _session(row: Row) -> Session:
    return Session(*(getattr(row, name) for name in Session.__slots__))


def _key(row: Row) -> ApiKey:
    return replace(ApiKey(*(getattr(row, name) for name in ApiKey.__slots__)), scopes=tuple(row.scopes))


def _invitation(row: Row) -> Invitation:
    return Invitation(*(getattr(row, name) for name in Invitation.__slots__))


def _passkey(row: Row) -> Passkey:
    return Passkey(*(getattr(row, name) for name in Passkey.__slots__))
