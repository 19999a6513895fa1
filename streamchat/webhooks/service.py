"""Webhooks of a server: who has which, and the task that delivers.

Knows the outbox and how an attempt is made. Rules:

* Answers wait for nothing here: what is to be delivered is stored with their ending, and found by this task.
* One attempt at a time for each webhook and worker: a receiver that hangs holds up its own deliveries only. Owners
  take turns.
* Exponential backoff with jitter, for ``max_age`` seconds at most; then the delivery has failed, which its log says.
* A receiver that says it is gone (410) gets nothing more.
* Secrets are encrypted at rest if there is an encryption.
"""

from __future__ import annotations

import asyncio
import builtins
import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

from streamchat.backoff import pause_after
from streamchat.encryption import CannotDecrypt, Encryption
from streamchat.errors import StorageError
from streamchat.storage.tables import now
from streamchat.storage.webhooks import EVENTS, Claimed, Delivery, Webhook, WebhookStore, new_webhook_id
from streamchat.webhooks.attempt import GONE, Outcome, Sender
from streamchat.webhooks.signature import PREFIX, headers, new_secret

# For what is to be tried again, or was left by another process; what is new here is taken at once.
POLL_SECONDS = 5.0
AT_ONCE, CLAIMED_AT_ONCE = 256, 32
"""Attempts under way in a worker, which are mostly waiting; and how many are begun at a time, in one transaction."""
FIRST_PAUSE, LONGEST_PAUSE, FACTOR = 5.0, 6 * 3600.0, 4
MAX_AGE_SECONDS = 3 * 86400.0
KEEP_DAYS = 30
"""How long the log has a delivery that is done."""
_MARGIN, _FORGET_SECONDS = 15.0, 3600.0
_UNREADABLE = "its secret cannot be decrypted with STREAMCHAT_SECRET_KEY"
logger = logging.getLogger(__name__)


class Webhooks:
    """The webhooks of everybody. ``first_pause``: seconds before the second attempt; ``max_age``: of a delivery."""

    def __init__(
        self,
        store: WebhookStore,
        sender: Sender,
        encryption: Encryption | None = None,
        *,
        first_pause: float = FIRST_PAUSE,
        max_age: float = MAX_AGE_SECONDS,
        poll: float = POLL_SECONDS,
    ) -> None:
        self._store = store
        self._sender = sender
        self._encryption = encryption
        self._first_pause, self._max_age, self._poll = first_pause, max_age, poll
        self._attempts: dict[str, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()

    async def add(self, owner: str, url: str, events: Sequence[str] = EVENTS) -> tuple[Webhook, str]:
        """Store a webhook; returns it with its secret, which is not told again. Raises ``InvalidInput``."""
        url, secret, webhook_id = self._sender.check(url), new_secret(), new_webhook_id()
        sealed = self._encryption.seal(secret, _context(owner, webhook_id)) if self._encryption else secret
        kept = tuple(event for event in EVENTS if event in events)
        return await self._store.add(owner, webhook_id, url, kept, sealed), secret

    async def list(self, owner: str) -> builtins.list[Webhook]:
        """Return the webhooks of a person."""
        return await self._store.list(owner)

    async def delete(self, owner: str, webhook_id: str) -> None:
        """Delete a webhook and what is to be delivered to it. Raises ``NotFound``."""
        await self._store.delete(owner, webhook_id)

    async def deliveries(
        self, owner: str, webhook_id: str, *, limit: int = 50, before: str | None = None
    ) -> builtins.list[Delivery]:
        """Return a page of the log of a webhook, newest first. Raises ``NotFound``."""
        return await self._store.deliveries(owner, webhook_id, limit=limit, before=before)

    async def again(self, owner: str, webhook_id: str, delivery_id: str) -> Delivery:
        """Make a delivery anew, whatever came of it. Raises ``NotFound``."""
        return await self._store.again(owner, webhook_id, delivery_id)

    async def work(self) -> None:
        """Deliver what is due, for ever."""
        forget_at = 0.0
        with suppress(StorageError):
            await self._seal_again()
        try:
            while True:
                try:
                    await self._begin()
                    if time.monotonic() >= forget_at:
                        forget_at = time.monotonic() + _FORGET_SECONDS
                        await self._store.forget(now() - timedelta(days=KEEP_DAYS))
                except StorageError:  # what is due stays due
                    pass
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._poll):
                        await self._wake.wait()
                self._wake.clear()
        finally:
            attempts = list(self._attempts.values())
            for attempt in attempts:
                attempt.cancel()
            await asyncio.gather(*attempts, return_exceptions=True)

    async def _begin(self) -> None:
        """Begin attempts of what is due, of each webhook one at a time."""
        room = min(CLAIMED_AT_ONCE, AT_ONCE - len(self._attempts))
        if room <= 0:
            return
        lease = self._sender.seconds + _MARGIN
        for claimed in await self._store.claim(room, list(self._attempts), lease):
            attempt = asyncio.create_task(self._attempt(claimed), name="webhook")
            self._attempts[claimed.webhook_id] = attempt
            self._wake.set()  # there may be more

    async def _attempt(self, claimed: Claimed) -> None:
        try:
            outcome = await self._outcome(claimed)
            pause = self._pause(claimed, outcome)
            status = "delivered" if outcome.error is None else "pending" if pause is not None else "failed"
            gone = outcome.status == GONE
            if status == "failed":
                logger.warning("webhook %s: delivery %s failed: %s", claimed.webhook_id, claimed.id, outcome.error)
            await self._store.settle(claimed, status, outcome.status, outcome.error, pause, disable=gone)
        except StorageError:  # it is due again when the claim has run out
            logger.warning("webhook %s: what came of delivery %s is not stored", claimed.webhook_id, claimed.id)
        finally:
            del self._attempts[claimed.webhook_id]
            self._wake.set()

    async def _outcome(self, claimed: Claimed) -> Outcome:
        try:
            secret = self._opened(claimed.owner, claimed.webhook_id, claimed.secret)
        except CannotDecrypt:
            return Outcome(error=_UNREADABLE)
        signed = headers(secret, claimed.id, int(time.time()), claimed.body)
        return await self._sender.send(claimed.url, signed, claimed.body.encode())

    def _pause(self, claimed: Claimed, outcome: Outcome) -> float | None:
        """Return the seconds until the next attempt, ``None`` if there is none."""
        if outcome.error is None or outcome.status == GONE:
            return None
        # Half of it is certain: a receiver that comes back is not met by everything at once, nor too early.
        pause = pause_after(claimed.attempts - 1, base=self._first_pause, cap=LONGEST_PAUSE, factor=FACTOR, certain=0.5)
        pause = max(pause, min(outcome.retry_after or 0.0, LONGEST_PAUSE))
        return pause if claimed.age + pause <= self._max_age else None

    def _opened(self, owner: str, webhook_id: str, secret: str) -> str:
        if secret.startswith(PREFIX):
            return secret
        if self._encryption is None:
            raise CannotDecrypt
        return self._encryption.open(secret, _context(owner, webhook_id))

    async def _seal_again(self) -> None:
        """Encrypt under the current key what is not."""
        if self._encryption is None:
            return
        for webhook_id, owner, secret in await self._store.secrets():
            with suppress(CannotDecrypt):
                if secret.startswith(PREFIX) or not self._encryption.is_current(secret):
                    context = _context(owner, webhook_id)
                    again = self._encryption.seal(self._opened(owner, webhook_id, secret), context)
                    await self._store.replace_secret(webhook_id, secret, again)


def _context(owner: str, webhook_id: str) -> str:
    """Return what a sealed secret is bound to."""
    return f"webhook secret\n{webhook_id}\n{owner}"
