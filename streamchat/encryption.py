"""Encryption of short secrets at rest: AES-256-GCM under keys that are derived from the operator's secrets.

Knows nothing of whose secret it is. Rules:

* The first secret encrypts, and all of them decrypt: a new one is put in front, and an old one is removed when nothing
  is encrypted under it any more (``is_current``).
* A sealed text is bound to what it is about (``context``), so one that was moved to another row does not open.
* What does not open says neither why nor what it is.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MIN_SECRET = 32
"""Characters of a secret: it is hashed once, so it must be long enough not to be guessed."""
_VERSION, _NONCE_BYTES, _ID_BYTES = b"\x01", 12, 4


class CannotDecrypt(Exception):
    """Encrypted under a secret that is not there, about something else, or damaged."""


class Encryption:
    """Seals and opens texts. ``secrets``: one at least, the current one first."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._keys = dict(_derived(secret) for secret in secrets)
        self._current = _derived(secrets[0])[0]
        self._ciphers: dict[bytes, AESGCM] = {}

    def seal(self, text: str, context: str) -> str:
        """Return the text encrypted, as base64: version, id of the key, nonce, ciphertext with its tag."""
        nonce = os.urandom(_NONCE_BYTES)
        head = _VERSION + self._current
        sealed = self._cipher(self._current).encrypt(nonce, text.encode(), head + context.encode())
        return base64.b64encode(head + nonce + sealed).decode()

    def open(self, sealed: str, context: str) -> str:
        """Return the text. Raises ``CannotDecrypt``."""
        head, nonce, ciphertext = _parts(sealed)
        key_id = head[len(_VERSION) :]
        if head[: len(_VERSION)] != _VERSION or key_id not in self._keys:
            raise CannotDecrypt
        from cryptography.exceptions import InvalidTag

        try:
            return self._cipher(key_id).decrypt(nonce, ciphertext, head + context.encode()).decode()
        except (InvalidTag, ValueError):
            raise CannotDecrypt from None

    def is_current(self, sealed: str) -> bool:
        """Return whether a text is encrypted under the first secret. Raises ``CannotDecrypt`` if it is none of ours."""
        return _parts(sealed)[0] == _VERSION + self._current

    def _cipher(self, key_id: bytes) -> AESGCM:
        if (cipher := self._ciphers.get(key_id)) is None:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM

            cipher = self._ciphers[key_id] = AESGCM(self._keys[key_id])
        return cipher


def _derived(secret: str) -> tuple[bytes, bytes]:
    """Return the id and the key of a secret; the one tells nothing of the other."""
    wide = hashlib.sha512(b"streamchat encryption\0" + secret.encode()).digest()
    return hashlib.sha256(wide[32:]).digest()[:_ID_BYTES], wide[:32]


def _parts(sealed: str) -> tuple[bytes, bytes, bytes]:
    try:
        data = base64.b64decode(sealed, validate=True)
    except ValueError:
        raise CannotDecrypt from None
    head = len(_VERSION) + _ID_BYTES
    return data[:head], data[head : head + _NONCE_BYTES], data[head + _NONCE_BYTES :]
