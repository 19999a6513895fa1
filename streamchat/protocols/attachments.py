"""Images and text files inside a request, as base64 or as a ``data:`` URL.

Nothing is fetched: any other URL is refused with an error message. Knows no vendor.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode

from streamchat.chat.messages import FilePart, ImagePart, repair_surrogates
from streamchat.errors import InvalidInput

_DATA = re.compile(r"data:([^;,]*)((?:;[^;,]*)*?)(;base64)?,", re.IGNORECASE)
_IMAGE = re.compile(r"image/[a-z0-9.+-]{1,60}")
_TEXTS = ("application/json", "application/xml", "application/yaml", "application/x-yaml", "application/javascript")
MAX_NAME = 255


def from_url(url: str, name: str = "") -> ImagePart | FilePart:
    """Return the content of a ``data:`` URL. Raises ``InvalidInput``."""
    match = _DATA.match(url[:500])
    if match is None or not match[3]:
        raise InvalidInput("Attachments must be inside the request, as data: URLs in base64; other URLs are not read.")
    return from_base64(match[1].lower() or "text/plain", url[match.end() :], name)


def from_base64(media_type: str, data: str, name: str = "") -> ImagePart | FilePart:
    """Return an image or a text file. Raises ``InvalidInput`` for anything else."""
    media_type = media_type.partition(";")[0].strip().lower()
    name = repair_surrogates(name)[:MAX_NAME]
    try:
        raw = b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInput("An attachment is not valid base64.") from None
    if not raw:
        raise InvalidInput("An attachment is empty.")
    if _IMAGE.fullmatch(media_type):
        return ImagePart(media_type, data, name)
    if media_type.startswith("text/") or media_type in _TEXTS:
        return from_text(raw, media_type, name)
    raise InvalidInput(
        f"Attachments of type {media_type[:80] or 'unknown'} are not supported: only images and text files are."
    )


def from_text(raw: bytes | str, media_type: str, name: str = "") -> FilePart:
    """Return a text file. Raises ``InvalidInput`` if it is not UTF-8."""
    try:
        text = raw.decode() if isinstance(raw, bytes) else repair_surrogates(raw)
    except UnicodeDecodeError:
        raise InvalidInput("A text file is not UTF-8.") from None
    return FilePart(repair_surrogates(name)[:MAX_NAME] or "file.txt", text, media_type[:100])
