"""Accounts, from the settings, and what keeps workers of one mind about what was revoked."""

from __future__ import annotations

from streamchat.accounts.audit import Audit
from streamchat.accounts.provider import Provider, ProviderSettings
from streamchat.accounts.service import Accounts, fingerprint
from streamchat.accounts.sessions import Sessions, Ways
from streamchat.runs.notifications import Feed, Notification
from streamchat.runs.wakeup import Wakeup
from streamchat.settings import Settings
from streamchat.storage import Storage


def build_accounts(settings: Settings, store: Storage, feed: Feed) -> Accounts | None:
    """Return the accounts, ``None`` if nobody has to say who they are."""
    if not settings.requires_identity:
        return None
    password = settings.password.get_secret_value() if settings.password else None
    header = settings.trusted_user_header.lower() if settings.trusted_user_header else None
    ways = Ways(None if password is None else fingerprint(password), header)

    def announce(account_id: str) -> None:
        feed.publish(account_id, Notification("revoked", account_id))

    sessions = Sessions(store.accounts, ways, announce)
    accounts = Accounts(
        store.accounts,
        sessions,
        ways,
        open_to_all=settings.accounts == "open",
        password=password,
        audit=Audit(store.audit),
    )
    if settings.oidc_issuer and settings.oidc_client_id:
        secret = settings.oidc_client_secret
        plain = None if secret is None else secret.get_secret_value()
        accounts.provider = Provider(ProviderSettings(settings.oidc_issuer, settings.oidc_client_id, plain))
    return accounts


async def hear_revocations(feed: Feed, sessions: Sessions) -> None:
    """Forget what another worker revoked, for ever; everything, if something may have been missed."""
    wakeup = Wakeup()
    subscription = feed.subscribe(None, wakeup)
    try:
        while await wakeup.wait():
            for note in subscription.take():
                if note.kind == "revoked":
                    sessions.forget(note.conversation_id)
                elif note.kind == "changed" and not note.conversation_id:
                    sessions.forget(None)
    finally:
        feed.unsubscribe(None, subscription)
