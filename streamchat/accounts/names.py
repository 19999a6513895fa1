"""What a person may be called, and what a password may be. Pure."""

from __future__ import annotations

import re
import unicodedata

from streamchat.errors import InvalidInput

MAX_NAME = 64
MIN_PASSWORD, MAX_PASSWORD = 8, 1000
# Letters, digits and what stands in mail addresses: nothing that could be taken for another name or for markup.
_NAME = re.compile(r"[\w][\w .@+'-]*")


def read_name(value: object) -> str:
    """Return a name as it is shown. Raises ``InvalidInput``."""
    name = unicodedata.normalize("NFKC", value).strip() if isinstance(value, str) else ""
    if not name or len(name) > MAX_NAME or not _NAME.fullmatch(name):
        raise InvalidInput(f"A name has 1 to {MAX_NAME} letters, digits, spaces or any of . @ + ' - _")
    return name


def name_key(name: str) -> str:
    """Return the form in which two names are the same."""
    return unicodedata.normalize("NFKC", name.strip().casefold())


def read_password(value: object) -> str:
    """Return a new password in its one Unicode form. Raises ``InvalidInput``."""
    password = plain_password(value)
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise InvalidInput(f"A password has {MIN_PASSWORD} to {MAX_PASSWORD} characters.")
    return password


def plain_password(value: object) -> str:
    """Return a password in its one Unicode form, whatever keyboard wrote it; of what is none, ``""``."""
    if not isinstance(value, str) or len(value) > MAX_PASSWORD:
        return ""
    return unicodedata.normalize("NFC", value)
