"""Keys of vendors that people bring: who has which, and the models of a person, which answer with them.

Knows the rows and how they are encrypted; the catalog knows the vendors. Rules:

* A key is encrypted before it is stored, bound to its owner and vendor, and never goes out again: all that is told of
  one is its last characters and two times.
* It is read and decrypted when the models of a person are looked up: once for a run, whichever process writes it, and
  never while an answer is written.
* A key that cannot be read makes the vendor's models unusable for its owner: nobody else pays instead.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from streamchat.encryption import CannotDecrypt, Encryption
from streamchat.errors import InvalidInput, NotFound, StorageError
from streamchat.providers.catalog import Catalog, OwnKeys
from streamchat.runs.notifications import Feed, Notification
from streamchat.settings import Settings
from streamchat.storage.provider_keys import ProviderKey, ProviderKeyStore
from streamchat.storage.tables import now

OFF = "Keys of your own are off here: whoever runs this server would have to set STREAMCHAT_SECRET_KEY."
ENDING = 4
FLUSH_SECONDS = 30.0
_KEY = re.compile(r"[!-~]{16,500}")
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """What is told of a key. ``ending``: its last characters; ``used_at``: ``None`` if it was not used yet."""

    ending: str
    set_at: datetime
    used_at: datetime | None


class PersonalKeys:
    """The keys of everybody. Off without ``STREAMCHAT_SECRET_KEY``: then nobody can bring one, and none is used."""

    def __init__(self, settings: Settings, store: ProviderKeyStore, models: Catalog, feed: Feed) -> None:
        secrets = [secret.get_secret_value() for secret in settings.secret_key]
        self._encryption = Encryption(secrets) if secrets else None
        self._store = store
        self._models = models
        self._feed = feed
        self._used: dict[tuple[str, str], datetime] = {}

    @property
    def is_on(self) -> bool:
        """Whether people can bring keys."""
        return self._encryption is not None

    @property
    def vendors(self) -> Mapping[str, OwnKeys]:
        """What people can bring keys for."""
        return self._models.vendors

    async def models_of(self, owner: str) -> Catalog:
        """Return the models of a person. Raises ``StorageError``."""
        if self._encryption is None:
            return self._models
        keys = {key.vendor: self._opened(key) for key in await self._store.list(owner)}
        return self._models.for_person(keys, lambda vendor: self._note(owner, vendor))

    async def list(self, owner: str) -> dict[str, KeyInfo]:
        """Return what is told of a person's keys, by vendor. Raises ``StorageError``."""
        return {key.vendor: self._info(key) for key in await self._store.list(owner)}

    async def set(self, owner: str, vendor: str, secret: str) -> KeyInfo:
        """Store a key, in place of the one before it. Raises ``NotFound``, ``InvalidInput``, ``StorageError``."""
        if self._encryption is None:
            raise NotFound(OFF)
        if vendor not in self.vendors:
            raise NotFound("Nobody can bring a key for this vendor.")
        if not _KEY.fullmatch(secret := secret.strip()):
            raise InvalidInput("A key has 16 to 500 letters, digits and signs, and no spaces.")
        sealed = self._encryption.seal(secret, _context(owner, vendor))
        self._used.pop((owner, vendor), None)
        key = await self._store.save(owner, vendor, sealed, secret[-ENDING:])
        self._changed(owner)
        return self._info(key)

    async def remove(self, owner: str, vendor: str) -> None:
        """Delete a key. Answers in progress go on with it. Raises ``NotFound``, ``StorageError``."""
        await self._store.delete(owner, vendor)
        self._used.pop((owner, vendor), None)
        self._changed(owner)

    async def work(self) -> None:
        """Encrypt under the current secret what is encrypted under older ones; then store uses, for ever."""
        with suppress(StorageError):
            await self.renew()
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await self.flush()

    async def renew(self) -> None:
        """Encrypt all keys under the current secret, so that older ones can be removed. Raises ``StorageError``."""
        if self._encryption is None:
            return
        lost = 0
        for key in await self._store.all():
            try:
                if not self._encryption.is_current(key.sealed):
                    context = _context(key.owner, key.vendor)
                    again = self._encryption.seal(self._encryption.open(key.sealed, context), context)
                    await self._store.seal_again(key, again)
            except CannotDecrypt:
                lost += 1
        if lost:
            logger.warning("%d keys that people brought cannot be decrypted with STREAMCHAT_SECRET_KEY", lost)

    async def flush(self) -> None:
        """Store when keys were used since the last call."""
        used, self._used = self._used, {}
        if used:
            with suppress(StorageError):  # the next use is stored
                await self._store.used(used)

    def _opened(self, key: ProviderKey) -> str | None:
        assert self._encryption is not None
        try:
            return self._encryption.open(key.sealed, _context(key.owner, key.vendor))
        except CannotDecrypt:
            return None

    def _note(self, owner: str, vendor: str) -> None:
        self._used[owner, vendor] = now()

    def _info(self, key: ProviderKey) -> KeyInfo:
        return KeyInfo(key.ending, key.set_at, self._used.get((key.owner, key.vendor), key.used_at))

    def _changed(self, owner: str) -> None:
        self._feed.publish(owner, Notification("models", ""))


def _context(owner: str, vendor: str) -> str:
    """Return what a sealed key is bound to. No vendor has a line break in its name."""
    return f"provider key\n{vendor}\n{owner}"
